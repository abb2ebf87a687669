"""Messidor-2: the images of ADCIS with the adjudicated grades of Krause et al. (2018)."""

import logging

from frerec.data.sources.layout import locate, locate_if_any, published, require_some
from frerec.data.sources.retinopathy_grades import (
    Part,
    RetinopathySource,
    bare,
    find,
    read_grades,
)
from frerec.data.tree import IMAGE_SUFFIXES, Tree
from frerec.errors import DataError

URL = "https://www.kaggle.com/datasets/google-brain/messidor2-dr-grades"
IMAGES_URL = "https://www.adcis.net/en/third-party/messidor2/"
GRADES, PAIRS = "messidor_data.csv", "messidor-2.csv"
_IMAGE, _GRADE, _GRADABLE = "image_id", "adjudicated_dr_grade", "adjudicated_gradable"
_LAYOUT = f"{GRADES} with IMAGES/*.png and IMAGES/*.JPG (and {PAIRS}, which pairs the eyes)"
_SOURCES = f"{URL} (grades) and {IMAGES_URL} (images)"

_log = logging.getLogger(__name__)


class Messidor2Source(RetinopathySource):
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

    dataset = "messidor2"

    def parts(self, tree: Tree) -> list[Part]:
        """See `RetinopathySource`; a table of pairs has at least one."""
        table = locate(tree, GRADES, _LAYOUT, _SOURCES)
        graded = read_grades(
            tree, table, _IMAGE, _GRADE, hint=f"get it from {URL}", gradable_column=_GRADABLE
        )
        prefer = published(table, "images")
        images = find(tree, graded.names, "IMAGES/{}.png", prefer=prefer)
        require_some(tree, images, _LAYOUT, _SOURCES)
        patients = _patients(tree)
        groups = [patients.get(bare(name).lower(), "") for name in graded.names]
        return [Part(images, graded.grades, patients=groups)]


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
