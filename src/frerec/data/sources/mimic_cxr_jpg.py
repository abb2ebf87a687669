"""MIMIC-CXR-JPG (Johnson et al., 2019), as PhysioNet publishes it."""

import logging
import posixpath
from pathlib import Path

import numpy as np
import pandas as pd

from frerec.data.manifest import Manifest
from frerec.data.sources.chexpert_labels import LabelPolicy, check_view
from frerec.data.sources.layout import require_some, unexpected
from frerec.data.tree import Tree, open_tree, read_table
from frerec.errors import DataError

URL = "https://physionet.org/content/mimic-cxr-jpg/ (credentialed access)"
SIDES = {"AP": "frontal", "PA": "frontal", "LATERAL": "lateral", "LL": "lateral"}
"""Values of ViewPosition that count as frontal or lateral; others (oblique, blank) as neither."""
SPLITS = {"train": "train", "validate": "val", "test": "test"}
_LAYOUT = (
    "mimic-cxr-2.0.0-{split,metadata,chexpert}.csv.gz (or .csv) and "
    "files/p10/p10000032/s50414267/DICOM_ID.jpg"
)
_SUFFIXES = (".csv.gz", ".csv")

_log = logging.getLogger(__name__)


class MimicCxrJpgSource:
    """377,110 radiographs of 227,835 studies, labels by the CheXpert labeller, official splits.

    Images, studies and patients are keyed by `dicom_id`, `study_id` and `subject_id`. Labels
    belong to studies and are given to all their images; images of the few studies without labels
    are left out and counted. The tables keep `2.0.0` in their names in version 2.1.0.

    Args:
        root: the folder with the tables and `files/`, or one above it, or a zip archive.
        finding, uncertain, blank: see `chexpert_labels.LabelPolicy`.
        view: `frontal`, `lateral` or `all`, by ViewPosition, see `SIDES`.
        projection: `all`, `AP` or `PA`. AP is taken of patients who lie in bed, and makes hearts
            larger.
    """

    def __init__(
        self,
        root: str | Path,
        finding: str = "Cardiomegaly",
        uncertain: str = "ignore",
        blank: str = "negative",
        view: str = "frontal",
        projection: str = "all",
    ) -> None:
        self.policy = LabelPolicy(finding, uncertain, blank)
        check_view(view, projection)
        self.root = root
        self.view = view
        self.projection = projection

    def read(self) -> Manifest:
        """Join the tables.

        Raises:
            DataError: a table, a column or all images are missing; a label or split that is not
                understood; an image or study twice in a table; nothing left after the choices.
        """
        tree = open_tree(self.root)
        names = _tables(tree)
        finding = self.policy.finding
        table = read_table(tree, names["split"], ("dicom_id", "study_id", "subject_id", "split"))
        studies = _keyed(tree, names["chexpert"], "study_id", finding)
        views = _keyed(tree, names["metadata"], "dicom_id", "ViewPosition")
        where = tree.blob(names["split"]).name
        label_of = pd.Series(
            self.policy.decide(studies, tree.blob(names["chexpert"]).name), index=studies.index
        )
        label = table["study_id"].map(label_of)
        view = table["dicom_id"].map(views).fillna("")
        reasons = {
            "of studies without labels": label.isna().to_numpy(),
            f"with {finding} blank or uncertain": (label == "").to_numpy(),
            f"without view={self.view}, projection={self.projection}": ~self._has_view(view),
        }
        keep = ~np.logical_or.reduce(list(reasons.values()))
        counts = ", ".join(f"{int(out.sum())} {why}" for why, out in reasons.items() if out.any())
        if not keep.any():
            raise DataError(f"{where}: none of its {len(table)} images is left ({counts})")
        _log.info("mimic_cxr_jpg: %d of %d images used (%s)", keep.sum(), len(table), counts)
        table, folder = table[keep], posixpath.dirname(names["split"])
        images = _images(table, folder).tolist()
        require_some(tree, images, _LAYOUT, URL)
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in images],
            labels=label[keep].tolist(),
            splits=_splits(table["split"], where),
            groups=table["subject_id"].tolist(),
            dataset="mimic_cxr_jpg",
            classes=self.policy.classes,
        )

    def _has_view(self, position: pd.Series) -> np.ndarray:
        """Which images have the view, bool [N]."""
        keep = np.ones(len(position), dtype=bool)
        if self.view != "all":
            keep &= (position.map(SIDES) == self.view).to_numpy()
        if self.projection != "all":
            keep &= (position == self.projection).to_numpy()
        return keep


def _tables(tree: Tree) -> dict[str, str]:
    """Names of the three tables, at the top or else below, gzipped or not."""
    wanted = {k: f"mimic-cxr-2.0.0-{k}" for k in ("split", "metadata", "chexpert")}
    at_top = [stem + suffix for stem in wanted.values() for suffix in _SUFFIXES]
    present = [name for name in at_top if name in tree]
    if len(present) < len(wanted):
        present += tree.files(suffixes=_SUFFIXES)
    names = {}
    for kind, stem in wanted.items():
        files = {stem + suffix for suffix in _SUFFIXES}
        found = [name for name in present if posixpath.basename(name) in files]
        if not found:
            raise unexpected(tree, f"{stem}.csv.gz", _LAYOUT, URL)
        if len({posixpath.dirname(name) for name in found}) > 1:
            raise DataError(
                f"data.root={tree.name}: {stem} is there twice, {found[0]} and {found[-1]}; give "
                f"the folder that holds the one you mean, or take the other away"
            )
        names[kind] = found[0]
    return names


def _keyed(tree: Tree, name: str, key: str, column: str) -> pd.Series:
    """One column of a table by its key; DataError where a key occurs twice."""
    table = read_table(tree, name, (key, column), hint=f"see {URL}")
    twice = table[key].duplicated()
    if twice.any():
        line = int(twice.to_numpy().argmax()) + 2
        raise DataError(f"{tree.blob(name).name}: line {line} repeats a {key}; get it from {URL}")
    return table.set_index(key)[column]


def _images(table: pd.DataFrame, folder: str) -> pd.Series:
    """`files/p10/p10000032/s50414267/DICOM_ID.jpg` of each row."""
    subject = table["subject_id"]
    below = f"{folder}/files/p" if folder else "files/p"
    place = below + subject.str[:2] + "/p" + subject + "/s" + table["study_id"]
    return place + "/" + table["dicom_id"] + ".jpg"


def _splits(splits: pd.Series, where: str) -> list[str]:
    unknown = splits[~splits.isin(list(SPLITS))]
    if len(unknown):
        raise DataError(
            f"{where}: line {unknown.index[0] + 2} has split {unknown.iloc[0]!r}; expected one of "
            f"{', '.join(SPLITS)}"
        )
    return splits.map(SPLITS).tolist()
