"""Samples that are images of the real data set: a mistake in a path, or worse."""

from frerec.data.address import Address
from frerec.data.decode import pixel_digest
from frerec.data.decoding import Decoding
from frerec.data.hashing import hash_images
from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers import read_described
from frerec.errors import DataError

KEYS = {"hash": "file", "pixels": "image, encoded anew"}  # the latter are before any resizing


def with_content(samples: Manifest, decoding: Decoding, *, progress: bool = False) -> Manifest:
    """Add the hashes of the samples' files and of their pixels, read as the real images are.

    A sample that cannot be read gets "", for decoding to name it.

    Args:
        samples: Images whose files exist.
        decoding: That of the real images; its size is of no effect.
        progress: Show a bar.
    """

    def digest(address: Address) -> str:
        try:
            image, _ = read_described(address, channels=decoding.channels, options=decoding.options)
        except DataError:
            return ""
        return pixel_digest(image)

    found = in_threads(
        digest,
        samples.addresses,
        total=len(samples),
        what="comparing with real images",
        progress=progress,
    )
    hashed = hash_images(samples, on_error="skip", progress=progress)
    return hashed.with_columns(pixels=list(found))


def files_of_real_images(samples: Manifest, real: Manifest) -> list[str]:
    """Refuse samples that are images of the validation or test split; count training ones.

    Args:
        samples: With the column ``hash`` or ``pixels``, or both; see :func:`with_content`.
        real: The real images, with both and their splits.

    Returns:
        A one-line warning where samples are images of the training split.

    Raises:
        DataError: Names the first image of the validation or test split.
    """
    names, splits = samples.table["image"], real.table["split"]
    copied = [False] * len(samples)
    for key, what in KEYS.items():
        if key not in samples.table:
            continue
        split_of: dict[str, str] = {}
        for split in ("train", "val", "test"):  # of an image in two splits, the later counts
            split_of |= dict.fromkeys(real.table[key][splits == split], split)
        split_of.pop("", None)
        found = [split_of.get(digest, "") for digest in samples.table[key]]
        for name, split in zip(names, found, strict=True):
            if split in ("val", "test"):
                raise DataError(
                    f"{samples.root / name}: is a real {split} {what}; samples have to be a"
                    " generator's images, not the real ones"
                )
        copied = [old or new == "train" for old, new in zip(copied, found, strict=True)]
    copies = sum(copied)
    return [f"{copies} samples are images of the training split"] if copies else []
