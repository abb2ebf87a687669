"""The public cardiomegaly set: Kaggle rahimanshu/cardiomegaly-disease-prediction-using-cnn."""

from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import unexpected
from frerec.data.tree import open_tree

URL = "https://www.kaggle.com/datasets/rahimanshu/cardiomegaly-disease-prediction-using-cnn"
CLASSES = ("no_cardiomegaly", "cardiomegaly")
_LAYOUT = "train/train/{true,false} and test/test/{true,false}"
_LABELS = {"true": "cardiomegaly", "false": "no_cardiomegaly"}


class KaggleCardiomegalySource:
    """`train/train/{true,false}` and `test/test/{true,false}`: 128 px grey, no patient ids.

    2,219 + 2,219 images to train and 557 + 557 to test as published. `train/{true,false}` without
    the doubled level is read too. [ours]

    Args:
        root: the folder into which the archive was unpacked, or the archive.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = root

    def read(self) -> Manifest:
        """List the images with the published train and test split.

        Raises:
            DataError: no such folder, or one of the four class folders is missing or empty.
        """
        tree = open_tree(self.root)
        images: list[str] = []
        labels: list[str] = []
        splits: list[str] = []
        for split in ("train", "test"):
            doubled = f"{split}/{split}"
            base = doubled if tree.files(doubled, None) else split
            for folder, label in _LABELS.items():
                found = tree.files(f"{base}/{folder}")
                if not found:
                    raise unexpected(tree, f"images in {doubled}/{folder}", _LAYOUT, URL)
                images += [tree.address(name) for name in found]
                labels += [label] * len(found)
                splits += [split] * len(found)
        return Manifest.build(
            tree.root,
            images=images,
            labels=labels,
            splits=splits,
            dataset="kaggle_cardiomegaly",
            classes=CLASSES,
        )
