"""EyePACS 2015: Kaggle's competition "Diabetic Retinopathy Detection"."""

import re
from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import locate, require_some
from frerec.data.sources.retinopathy_grades import (
    bare,
    by_stem,
    classes_of,
    find,
    labels_of,
    locate_if_any,
    read_grades,
)
from frerec.data.tree import Tree, open_tree
from frerec.errors import DataError

URL = "https://www.kaggle.com/c/diabetic-retinopathy-detection"
TRAIN, TEST = "trainLabels.csv", "retinopathy_solution.csv"
_LAYOUT = f"{TRAIN} with train/10_left.jpeg, ... (and, if test images are there, {TEST} with test/)"
_EYE = re.compile(r"(.+)_(left|right)", re.IGNORECASE)


class EyePacsSource:
    """`trainLabels.csv` (image, level) with `train/`, `retinopathy_solution.csv` with `test/`.

    35,126 images to train and 53,576 to test as published, JPEG of many cameras and sizes, one
    grader. Images are found by their base name in whatever folders and with whatever suffix, as
    resized copies have them. An image is named after its patient and eye, `10_left`. With the
    solution's table the competition's split is used, its public and private part both as test;
    without it only the training images are read, and no split is given. Under the competition's
    rules; not to be redistributed.

    Args:
        root: the folder or zip archive with the table.
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
                missing; an image that is not named after a patient and an eye.
        """
        tree = open_tree(self.root)
        tables = {"train": locate(tree, TRAIN, _LAYOUT, URL)}
        test = locate_if_any(tree, TEST, _LAYOUT, URL)
        if test is not None:
            tables["test"] = test
        files = by_stem(tree)
        images: list[str] = []
        grades: list[int] = []
        splits: list[str] = []
        groups: list[str] = []
        for split, table in tables.items():
            graded = read_grades(tree, table, "image", "level", hint=f"get it from {URL}")
            found = find(files, graded.names, f"{split}/{{}}.jpeg")
            require_some(tree, found, _LAYOUT, URL)
            images += found
            grades += graded.grades
            splits += [split if len(tables) > 1 else ""] * len(found)
            groups += [_patient(tree, table, name) for name in graded.names]
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in images],
            labels=labels_of(grades, self.threshold),
            splits=splits,
            groups=groups,
            dataset="eyepacs",
            classes=self.classes,
        )


def _patient(tree: Tree, table: str, name: str) -> str:
    """The patient of an image: what its name has before the eye."""
    match = _EYE.fullmatch(bare(name))
    if match is None:
        raise DataError(
            f"{tree.blob(table).name}: image {name}, expected PATIENT_left or PATIENT_right"
        )
    return match[1]
