"""The public cardiomegaly set: Kaggle rahimanshu/cardiomegaly-disease-prediction-using-cnn."""

from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.sources.folder import list_images, resolve_root
from frerec.errors import DataError

URL = "https://www.kaggle.com/datasets/rahimanshu/cardiomegaly-disease-prediction-using-cnn"
CLASSES = ("no_cardiomegaly", "cardiomegaly")
_LABELS = {"true": "cardiomegaly", "false": "no_cardiomegaly"}


class KaggleCardiomegalySource:
    """`train/train/{true,false}` and `test/test/{true,false}`: 128 px grey, no patient ids.

    2,219 + 2,219 images to train and 557 + 557 to test as published. `train/{true,false}` without
    the doubled level is read too. [ours]

    Args:
        root: the folder into which the archive was unpacked.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = root

    def read(self) -> Manifest:
        """List the images with the published train and test split.

        Raises:
            DataError: no such folder, or one of the four class folders is missing or empty.
        """
        root = resolve_root(self.root)
        images: list[str] = []
        labels: list[str] = []
        splits: list[str] = []
        for split in ("train", "test"):
            doubled = root / split / split
            base = doubled if doubled.is_dir() else root / split
            for folder, label in _LABELS.items():
                found = list_images(base / folder)
                if not found:
                    raise self._unexpected(root, f"{split}/{split}/{folder}")
                prefix = (base / folder).relative_to(root).as_posix()
                images += [f"{prefix}/{name}" for name in found]
                labels += [label] * len(found)
                splits += [split] * len(found)
        return Manifest.build(
            root,
            images=images,
            labels=labels,
            splits=splits,
            dataset="kaggle_cardiomegaly",
            classes=CLASSES,
        )

    def _unexpected(self, root: Path, absent: str) -> DataError:
        entries = sorted(entry.name for entry in root.iterdir())
        found = ", ".join(entries[:6]) + (", ..." if len(entries) > 6 else "")
        return DataError(
            f"data.root={self.root}: no images in {absent}; expected train/train/{{true,false}} "
            f"and test/test/{{true,false}}, found {found or 'an empty folder'}; get the set from "
            f"{URL} and unpack it there"
        )
