"""APTOS 2019: Kaggle's competition "Blindness Detection", and its pre-split copy."""

import logging
from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import locate, require_some
from frerec.data.sources.retinopathy_grades import (
    by_stem,
    classes_of,
    find,
    labels_of,
    locate_if_any,
    read_grades,
)
from frerec.data.tree import Tree, open_tree

URL = "https://www.kaggle.com/c/aptos2019-blindness-detection"
_IMAGE, _GRADE = "id_code", "diagnosis"
_LAYOUT = (
    "train.csv with train_images/ID.png, ... (or train_1.csv, valid.csv and test.csv with "
    "train_images/, val_images/ and test_images/)"
)

_log = logging.getLogger(__name__)


class Aptos2019Source:
    """`train.csv` (id_code, diagnosis) with `train_images/ID.png`: 3,662 images, no patient ids.

    The copy that cuts these into 2,930, 366 and 366 (Kaggle mariaherrerot/aptos2019: `train_1.csv`,
    `valid.csv`, `test.csv`, folders such as `train_images/train_images/`) is read with its splits;
    its `test.csv` ends in empty lines, which are left out. The competition's own `test.csv` has no
    grades and is not read. Images are found by their base name in whatever folders. The patient is
    not published, so two eyes of one person may be in two splits. Under the competition's rules.

    Args:
        root: the folder or zip archive with the tables.
        threshold: least grade of the positive class, 1 to 4; None keeps the five grades.
    """

    def __init__(self, root: str | Path, threshold: int | None = 1) -> None:
        self.root = root
        self.threshold = threshold
        self.classes = classes_of(threshold)

    def read(self) -> Manifest:
        """Read the tables and look for the images.

        Raises:
            DataError: no such folder; a table, a column, a grade or all images of a table are
                missing.
        """
        tree = open_tree(self.root)
        tables = _tables(tree)
        files = by_stem(tree)
        images: list[str] = []
        grades: list[int] = []
        splits: list[str] = []
        for split, table in tables.items():
            graded = read_grades(tree, table, _IMAGE, _GRADE, hint=f"get it from {URL}")
            found = find(files, graded.names, f"{split}_images/{{}}.png")
            require_some(tree, found, _LAYOUT, URL)
            images += found
            grades += graded.grades
            splits += [split if len(tables) > 1 else ""] * len(found)
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in images],
            labels=labels_of(grades, self.threshold),
            splits=splits,
            dataset="aptos2019",
            classes=self.classes,
        )


def _tables(tree: Tree) -> dict[str, str]:
    """The tables with grades, by split."""
    pre_split = locate_if_any(tree, "train_1.csv", _LAYOUT, URL)
    if pre_split is not None:
        others = {"val": "valid.csv", "test": "test.csv"}
        found = {split: locate(tree, name, _LAYOUT, URL) for split, name in others.items()}
        return {"train": pre_split, **found}
    test = locate_if_any(tree, "test.csv", _LAYOUT, URL)
    if test is not None:
        _log.info("%s: the competition's images without grades, not read", tree.blob(test).name)
    return {"train": locate(tree, "train.csv", _LAYOUT, URL)}
