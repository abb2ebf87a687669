"""Samples that are files of the real data set: a mistake in a path, or worse."""

from frerec.data.manifest import Manifest
from frerec.errors import DataError


def files_of_real_images(samples: Manifest, real: Manifest) -> list[str]:
    """Refuse samples that are files of the validation or test split; count training ones.

    Args:
        samples: With the files' hashes.
        real: The real images, with theirs and their splits.

    Returns:
        A one-line warning where samples are files of the training split.

    Raises:
        DataError: Names the first file of the validation or test split.
    """
    table = real.table
    split_of = dict(zip(table["hash"], table["split"], strict=True))
    splits = [split_of.get(digest, "") for digest in samples.table["hash"]]
    for name, split in zip(samples.table["image"], splits, strict=True):
        if split in ("val", "test"):
            raise DataError(
                f"{samples.root / name}: is a real {split} image; samples have to be a generator's"
                " images, not the real ones"
            )
    copies = splits.count("train")
    return [f"{copies} samples are files of the training split"] if copies else []
