"""Messidor-2: the images of ADCIS with the adjudicated grades of Krause et al. (2018)."""

import logging
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
from frerec.data.tree import IMAGE_SUFFIXES, Tree, open_tree
from frerec.errors import DataError

URL = "https://www.kaggle.com/datasets/google-brain/messidor2-dr-grades"
IMAGES_URL = "https://www.adcis.net/en/third-party/messidor2/"
GRADES, PAIRS = "messidor_data.csv", "messidor-2.csv"
_IMAGE, _GRADE, _GRADABLE = "image_id", "adjudicated_dr_grade", "adjudicated_gradable"
_LAYOUT = f"{GRADES} with IMAGES/*.png and IMAGES/*.JPG (and {PAIRS}, which pairs the eyes)"
_SOURCES = f"{URL} (grades) and {IMAGES_URL} (images)"

_log = logging.getLogger(__name__)


class Messidor2Source:
    """`messidor_data.csv` with `IMAGES/`: 1,748 images of 874 examinations, no published split.

    The grades (image_id, adjudicated_dr_grade, adjudicated_dme, adjudicated_gradable) come from
    Kaggle, the images from ADCIS. Ungradable images (4 as published) have no grade and are left
    out. Images are PNG and JPG, and the table's suffixes differ from the files' in case, so they
    are found by base name. `messidor-2.csv` from ADCIS (`left;right`) pairs the two eyes of an
    examination, which stands for the patient; an image in no pair stands alone. 1,058 of the images
    are also in Messidor (1). Research only, not to be redistributed.

    Args:
        root: the folder or zip archive with the table.
        threshold: least grade of the positive class, 1 to 4; None keeps the five grades.
    """

    def __init__(self, root: str | Path, threshold: int | None = 1) -> None:
        self.root = root
        self.threshold = threshold
        self.classes = classes_of(threshold)

    def read(self) -> Manifest:
        """Read the grades and the pairs, and look for the images.

        Raises:
            DataError: no such folder; the table, a column, a grade of a gradable image or all
                images are missing; a table of pairs without any.
        """
        tree = open_tree(self.root)
        table = locate(tree, GRADES, _LAYOUT, _SOURCES)
        graded = read_grades(
            tree, table, _IMAGE, _GRADE, hint=f"get it from {URL}", gradable_column=_GRADABLE
        )
        images = find(by_stem(tree), graded.names, "IMAGES/{}.png")
        require_some(tree, images, _LAYOUT, _SOURCES)
        patients = _patients(tree)
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in images],
            labels=labels_of(graded.grades, self.threshold),
            groups=[patients.get(bare(name).lower(), "") for name in graded.names],
            dataset="messidor2",
            classes=self.classes,
        )


def _patients(tree: Tree) -> dict[str, str]:
    """The patient of each image that is in a pair, by `bare` name in lower case."""
    table = locate_if_any(tree, PAIRS, _LAYOUT, _SOURCES)
    if table is None:
        _log.warning(
            "messidor2: no %s, so each image stands alone and a patient's two eyes may be in two "
            "splits; get it from %s",
            PAIRS,
            IMAGES_URL,
        )
        return {}
    blob = tree.blob(table)
    patients: dict[str, str] = {}
    for line in blob.read().decode("utf-8-sig", errors="replace").splitlines():
        cells = [cell.strip(' "').lower() for cell in line.replace(",", ";").split(";")]
        pair = [bare(cell) for cell in cells if cell.endswith(IMAGE_SUFFIXES)]
        if len(pair) < 2:
            continue
        before = {patients[name] for name in pair if name in patients}
        for name in [*pair, *(n for n, patient in patients.items() if patient in before)]:
            patients[name] = f"examination of {pair[0]}"
    if not patients:
        raise DataError(f"{blob.name}: no pairs, expected lines of LEFT.png;RIGHT.png; {_SOURCES}")
    return patients
