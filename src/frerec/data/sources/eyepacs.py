"""EyePACS 2015: Kaggle's competition "Diabetic Retinopathy Detection"."""

import logging
import re

from frerec.data.sources.layout import locate, locate_if_any, published, require_some
from frerec.data.sources.retinopathy_grades import (
    Part,
    RetinopathySource,
    bare,
    find,
    read_grades,
)
from frerec.data.tree import Tree
from frerec.errors import DataError

URL = "https://www.kaggle.com/c/diabetic-retinopathy-detection"
TRAIN, TEST = "trainLabels.csv", "retinopathy_solution.csv"
_LAYOUT = f"{TRAIN} with train/10_left.jpeg, ... (and, if test images are there, {TEST} with test/)"
_EYE = re.compile(r"(.+)_(left|right)", re.IGNORECASE)

_log = logging.getLogger(__name__)


class EyePacsSource(RetinopathySource):
    """`trainLabels.csv` (image, level) with `train/`, `retinopathy_solution.csv` with `test/`.

    35,126 images to train and 53,576 to test as published, JPEG of many cameras and sizes, one
    grader. Images are found by their base name in whatever folders and with whatever suffix, as
    resized copies have them; of an image that is there twice, the one in `train/` or `test/` is
    read. An image is named after its patient and eye, `10_left`. With the solution's table the
    competition's split is used, its public and private part both as test; without it, or without
    any of its images, only the training images are read, and no split is given. Under the
    competition's rules; not to be redistributed.

    Args:
        root: the folder or zip archive with the table.
        threshold: least grade of the positive class, 1 to 4; None keeps the five grades.
    """

    dataset = "eyepacs"

    def parts(self, tree: Tree) -> list[Part]:
        """See `RetinopathySource`; an image is named after a patient and an eye."""
        train = self._part(tree, "train", locate(tree, TRAIN, _LAYOUT, URL))
        require_some(tree, train.images, _LAYOUT, URL)
        solution = locate_if_any(tree, TEST, _LAYOUT, URL)
        if solution is None:
            return [train]
        test = self._part(tree, "test", solution)
        if not any(image in tree for image in test.images):
            _log.warning(
                "%s: none of its %d images is there, for example %s; the table is left out, and "
                "the split with it",
                tree.blob(solution).name,
                len(test.images),
                test.images[0],
            )
            return [train]
        return [train, test]

    def _part(self, tree: Tree, split: str, table: str) -> Part:
        graded = read_grades(tree, table, "image", "level", hint=f"get it from {URL}")
        prefer = published(table, f"{split}(/{split})?")
        images = find(tree, graded.names, f"{split}/{{}}.jpeg", prefer=prefer)
        patients = [_patient(tree, table, name) for name in graded.names]
        return Part(images, graded.grades, split, patients)


def _patient(tree: Tree, table: str, name: str) -> str:
    """The patient of an image: what its name has before the eye."""
    match = _EYE.fullmatch(bare(name))
    if match is None:
        raise DataError(
            f"{tree.blob(table).name}: image {name}, expected PATIENT_left or PATIENT_right"
        )
    return match[1]
