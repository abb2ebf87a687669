"""Kaggle jakeshbohaju/brain-tumor: tumour or none by a table, 3,762 slices."""

from pathlib import Path, PurePosixPath

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import by_filename, locate, published, require_some
from frerec.data.tree import IMAGE_SUFFIXES, open_tree, read_table
from frerec.errors import DataError

URL = "https://www.kaggle.com/datasets/jakeshbohaju/brain-tumor"
TABLE = "Brain Tumor.csv"
CLASSES = ("notumor", "tumor")
_LABELS = dict(zip(("0", "1"), CLASSES, strict=True))
_EXPECTED = f"{TABLE} and Brain Tumor/Brain Tumor/*.jpg"


class JakeshbohajuBrainTumorSource:
    """`Brain Tumor.csv` and `Brain Tumor/Brain Tumor/Image1.jpg`, ..., no splits or patient ids.

    The table's `Image` has no suffix, `Class` is 1 for a tumour and 0 for none; its other columns
    are texture features, and the older table beside it, `bt_dataset_t3.csv`, is not used. Images
    are found by name in whatever folder they are.

    Args:
        root: the folder (or zip) with the table and the images.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = root

    def read(self) -> Manifest:
        """Read the table.

        Raises:
            DataError: no table; a column is missing; a class other than 0 and 1, or an image
                without a name; none of the images is there.
        """
        tree = open_tree(self.root)
        name = locate(tree, TABLE, _EXPECTED, URL)
        table = read_table(tree, name, ("Image", "Class"), hint=f"get the set from {URL}")
        labels = []
        for line, (image, value) in enumerate(zip(table["Image"], table["Class"], strict=True), 2):
            label = _LABELS.get(value.removesuffix(".0"))
            if label is None or not image:
                raise DataError(
                    f"{tree.blob(name).name}: line {line} has Image {image!r} and Class {value!r}; "
                    f"expected a name, and 0 or 1"
                )
            labels.append(label)
        stems = [_stem(image) for image in table["Image"]]
        folder = "Brain Tumor/Brain Tumor"
        wanted = dict.fromkeys(stems)
        places = by_filename(tree, key=_stem, wanted=wanted, prefer=published(name, folder))
        above = PurePosixPath(name).parent
        images = [places.get(stem, f"{above / folder / stem}.jpg") for stem in stems]
        require_some(tree, images, _EXPECTED, URL)
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in images],
            labels=labels,
            dataset="jakeshbohaju_brain_tumor",
            classes=CLASSES,
        )


def _stem(image: str) -> str:
    """The name of an image without the suffix that copies of the table may write."""
    path = PurePosixPath(image)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
