"""NIH ChestX-ray14 (Wang et al., CVPR 2017), as published and as on Kaggle."""

import logging
import posixpath
import re
from pathlib import Path

import numpy as np
import pandas as pd

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import (
    by_filename,
    locate_if_any,
    one_of,
    published,
    require_some,
    unexpected,
)
from frerec.data.tree import Tree, open_tree, read_table
from frerec.errors import DataError

URL = "https://nihcc.app.box.com/v/ChestXray-NIHCC (or Kaggle nih-chest-xrays/data)"
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
NO_FINDING = "No Finding"
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
LISTS = {
    "train": ("train_val_list.txt", "train_val_list_NIH.txt"),
    "test": ("test_list.txt", "test_list_NIH.txt"),
}
_IMAGE, _LABELS, _PATIENT, _VIEW = "Image Index", "Finding Labels", "Patient ID", "View Position"
_LAYOUT = (
    f"{TABLES[0]} (or {TABLES[1]}), train_val_list.txt and test_list.txt, with the PNG files in "
    f"images_001/images ... images_012/images, in images, or beside them"
)

_log = logging.getLogger(__name__)


class NihChestXray14Source:
    """112,120 frontal PNG radiographs of 30,805 patients, 1024 px, 14 findings text-mined.

    The table and the lists may lie anywhere below the root, and so may the images, in whatever
    folders; where images are there twice, only those in the published folders are read. The
    official lists become train and test; val is cut from train, by patient, where splits are
    assigned, and there it is also checked that no patient is in both lists. Images in neither list
    are left out and counted; without lists all images are kept and no split is given. A few hundred
    files are RGBA; the readers drop the alpha.

    Args:
        root: the folder or zip archive with the table.
        finding: the positive class, one of `FINDINGS`.
        negative: `rest`, all images without the finding, or `no_finding`, only those that are
            labelled `No Finding`, so that images with other findings are left out. [ours]
        view: `all`, `PA` or `AP`. AP is taken of patients who lie in bed, and makes hearts larger.
    """

    def __init__(
        self,
        root: str | Path,
        finding: str = "Cardiomegaly",
        negative: str = "rest",
        view: str = "all",
    ) -> None:
        one_of("finding", finding, FINDINGS)
        one_of("negative", negative, ("rest", "no_finding"))
        one_of("view", view, ("all", "PA", "AP"))
        self.root = root
        self.finding = finding
        self.negative = negative
        self.view = view

    def read(self) -> Manifest:
        """Read the table and the lists, and look for the images.

        Raises:
            DataError: the table, a column, one list of the two or all images are missing; a label
                that does not exist; a file in both lists; nothing left after the choices.
        """
        tree = open_tree(self.root)
        name = _first(tree, TABLES)
        if name is None:
            raise unexpected(tree, TABLES[0], _LAYOUT, URL)
        table = read_table(tree, name, (_IMAGE, _LABELS, _PATIENT, _VIEW), hint=f"see {URL}")
        where = tree.blob(name).name
        split = _official_splits(tree, table[_IMAGE])
        label = self._labels(table[_LABELS], where)
        reasons = {
            "in neither list": np.zeros(len(table), bool) if split is None else split == "",
            f"not {self.view}": ((table[_VIEW] != self.view) & (self.view != "all")).to_numpy(),
            "with other findings only": label == "",
        }
        keep = ~np.logical_or.reduce(list(reasons.values()))
        counts = ", ".join(f"{int(out.sum())} {why}" for why, out in reasons.items() if out.any())
        if not keep.any():
            raise DataError(
                f"{where}: none of its {len(table)} images is left ({counts or 'none'})"
            )
        if counts:
            _log.info("nih_chestxray14: %d of %d images used (%s)", keep.sum(), len(table), counts)
        wanted = table[_IMAGE][keep].tolist()
        prefer = (
            *published(name, r"images_\d+/images", "images"),
            re.escape(posixpath.dirname(name)),
        )
        found = by_filename(tree, (".png",), wanted=dict.fromkeys(wanted), prefer=prefer)
        names = [found.get(image, f"images/{image}") for image in wanted]
        require_some(tree, names, _LAYOUT, URL)
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in names],
            labels=label[keep].tolist(),
            splits=None if split is None else split[keep].tolist(),
            groups=table[_PATIENT][keep].tolist(),
            dataset="nih_chestxray14",
            classes=self.classes,
        )

    @property
    def classes(self) -> tuple[str, str]:
        """Names of the negative and of the positive class."""
        name = self.finding.lower()
        return ("no_finding" if self.negative == "no_finding" else f"no_{name}"), name

    def _labels(self, cells: pd.Series, where: str) -> np.ndarray:
        """Class names, str [N], "" where the image is neither positive nor negative."""
        classes = {}
        for cell in cells.unique():
            findings = set(cell.split("|"))
            unknown = sorted(findings - {*FINDINGS, NO_FINDING})
            if unknown:
                line = int((cells == cell).to_numpy().argmax()) + 2
                raise DataError(
                    f"{where}: line {line} has {_LABELS} {cell!r}; {unknown[0]!r} is none of the "
                    f"14 findings nor {NO_FINDING}"
                )
            negative = self.negative == "rest" or findings == {NO_FINDING}
            positive = self.finding in findings
            classes[cell] = self.classes[positive] if positive or negative else ""
        return cells.map(classes).to_numpy(dtype=object)


def _first(tree: Tree, names: tuple[str, ...]) -> str | None:
    """The first of some files that there is, at the top or else anywhere below."""
    found = (locate_if_any(tree, name, _LAYOUT, URL) for name in names)
    return next((name for name in found if name is not None), None)


def _official_splits(tree: Tree, images: pd.Series) -> np.ndarray | None:
    """Split names, str [N], "" where an image is in no list; None where there are no lists."""
    names = {split: _first(tree, files) for split, files in LISTS.items()}
    absent = [LISTS[split][0] for split, name in names.items() if name is None]
    if len(absent) == len(LISTS):
        _log.info(
            "nih_chestxray14: no %s; splits are cut anew, by patient", " and no ".join(absent)
        )
        return None
    if absent:
        raise unexpected(tree, absent[0], _LAYOUT, URL)
    lists = {split: _lines(tree, str(name)) for split, name in names.items()}
    both = sorted(lists["train"] & lists["test"])
    if both:
        raise DataError(
            f"{tree.blob(str(names['test'])).name}: {len(both)} files are in the other list too, "
            f"for example {both[0]}; get both lists from {URL}"
        )
    split_of = {image: split for split, listed in lists.items() for image in listed}
    return images.map(split_of).fillna("").to_numpy(dtype=object)


def _lines(tree: Tree, name: str) -> set[str]:
    """The lines of a text file that are not blank."""
    blob = tree.blob(name)
    try:
        text = blob.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{blob.name}: not a text file; expected one file name a line") from None
    return {line.strip() for line in text.splitlines() if line.strip()}
