"""APTOS 2019: Kaggle's competition "Blindness Detection", and its pre-split copy."""

import logging

from frerec.data.sources.layout import locate, locate_if_any, published, require_some
from frerec.data.sources.retinopathy_grades import Part, RetinopathySource, find, read_grades
from frerec.data.tree import Tree, read_table

URL = "https://www.kaggle.com/c/aptos2019-blindness-detection"
_IMAGE, _GRADE = "id_code", "diagnosis"
_LAYOUT = (
    "train.csv with train_images/ID.png, ... (or train_1.csv, valid.csv and test.csv with "
    "train_images/, val_images/ and test_images/)"
)

_log = logging.getLogger(__name__)


class Aptos2019Source(RetinopathySource):
    """`train.csv` (id_code, diagnosis) with `train_images/ID.png`: 3,662 images, no patient ids.

    The copy that cuts these into 2,930, 366 and 366 (Kaggle mariaherrerot/aptos2019: `train_1.csv`
    or `train.csv`, `valid.csv`, `test.csv`, folders such as `train_images/train_images/`) is read
    with its splits; its `test.csv` ends in empty lines, which are left out. `valid.csv` and
    `test.csv` are read where they have grades; the competition's own `test.csv` has none. Images
    are found by their base name in whatever folders. The patient is not published, so two eyes of
    one person may be in two splits. Under the competition's rules.

    Args:
        root: the folder or zip archive with the tables.
        threshold: least grade of the positive class, 1 to 4; None keeps the five grades.
    """

    dataset = "aptos2019"

    def parts(self, tree: Tree) -> list[Part]:
        """See `RetinopathySource`."""
        parts = []
        for split, table in _tables(tree).items():
            graded = read_grades(tree, table, _IMAGE, _GRADE, hint=f"get it from {URL}")
            folder = f"{split}_images"
            prefer = published(table, f"{folder}(/{folder})?")
            images = find(tree, graded.names, f"{folder}/{{}}.png", prefer=prefer)
            require_some(tree, images, _LAYOUT, URL)
            parts.append(Part(images, graded.grades, split))
        return parts


def _tables(tree: Tree) -> dict[str, str]:
    """The tables with grades, by split."""
    others = {"val": "valid.csv", "test": "test.csv"}
    train = locate_if_any(tree, "train_1.csv", _LAYOUT, URL)
    if train is not None:
        found = {split: locate(tree, name, _LAYOUT, URL) for split, name in others.items()}
        return {"train": train, **found}
    tables = {"train": locate(tree, "train.csv", _LAYOUT, URL)}
    for split, name in others.items():
        table = locate_if_any(tree, name, _LAYOUT, URL)
        if table is None:
            continue
        if _GRADE in read_table(tree, table):
            tables[split] = table
        else:
            _log.info("%s: images without grades, not read", tree.blob(table).name)
    return tables
