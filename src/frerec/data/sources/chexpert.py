"""CheXpert (Irvin et al., AAAI 2019), full size or small, merged or in its four batches."""

import logging
import posixpath
from pathlib import Path

import numpy as np
import pandas as pd

from frerec.data.manifest import Manifest
from frerec.data.sources.chexpert_labels import LabelPolicy, check_view
from frerec.data.sources.layout import (
    by_filename,
    locate,
    one_of,
    published,
    require_some,
    unexpected,
)
from frerec.data.tree import Tree, open_tree, read_table
from frerec.errors import DataError

URL = "https://stanfordmlgroup.github.io/competitions/chexpert/"
TEST_TABLES = ("test.csv", "test_labels.csv")
_LAYOUT = "train.csv, valid.csv, train/patient00001/study1/view1_frontal.jpg, ..., valid/..."
_PATH = r"^(?:.*/)?(?P<place>(?:train|valid|test)/(?P<tail>patient(?P<patient>\d+)/[^/]+/[^/]+))$"
_BATCH = r"CheXpert-v1\.0 batch [^/]*/.*"
_SIDE, _PROJECTION = "Frontal/Lateral", "AP/PA"

_log = logging.getLogger(__name__)


class ChexpertSource:
    """224,316 radiographs of 65,240 patients, 14 findings by a rule-based reader of the reports.

    `train.csv` and `valid.csv` (234 images of 200 patients, labelled by radiologists); `test.csv`
    or `test_labels.csv` beside them, where the user has the test set that was published later. The
    column `Path` begins with `CheXpert-v1.0/` or `CheXpert-v1.0-small/`; the root may be that
    folder or its parent. Images may also lie in the four batches of the download, as `CheXpert-v1.0
    batch 2 (train 1)/patient00001/...`. The patient is the number in `patient00001`.

    Args:
        root: the folder or zip archive with `train.csv`.
        finding, uncertain, blank: see `chexpert_labels.LabelPolicy`.
        view: `frontal`, `lateral` or `all`.
        projection: `all`, `AP` or `PA`; only frontal views have one. AP is taken of patients who
            lie in bed, and makes hearts larger.
        valid_is: the split that `valid.csv` becomes, `val` or `test`; `auto` is val where there is
            a test table, and test where there is none, since its labels are the more certain ones.
            [ours] What is missing is cut from train, by patient, where splits are assigned.
    """

    def __init__(
        self,
        root: str | Path,
        finding: str = "Cardiomegaly",
        uncertain: str = "ignore",
        blank: str = "negative",
        view: str = "frontal",
        projection: str = "all",
        valid_is: str = "auto",
    ) -> None:
        self.policy = LabelPolicy(finding, uncertain, blank)
        check_view(view, projection)
        one_of("valid_is", valid_is, ("auto", "val", "test"))
        self.root = root
        self.view = view
        self.projection = projection
        self.valid_is = valid_is

    def read(self) -> Manifest:
        """Read the tables.

        Raises:
            DataError: a table, a column or all images are missing; a label or path that is not
                understood; nothing left after the choices.
        """
        tree = open_tree(self.root)
        parts, listed = [], 0
        for name, split in self._tables(tree).items():
            rows = self._rows(tree, name).assign(split=split)
            listed += len(rows)
            rows = rows[rows["label"] != ""]
            if not any(image in tree for image in rows["image"]):  # not merged: look everywhere
                wanted = dict.fromkeys(rows["tail"])
                prefer = published(posixpath.dirname(name), _BATCH)
                found = by_filename(tree, key=_tail, wanted=wanted, prefer=prefer)
                places = zip(rows["tail"], rows["image"], strict=True)
                rows = rows.assign(image=[found.get(tail, image) for tail, image in places])
            parts.append(rows)
        table = pd.concat(parts)
        choice = (
            f"view={self.view}, projection={self.projection}, and {self.policy.finding} labelled"
        )
        if table.empty:
            raise DataError(f"data.root={tree.name}: none of the {listed} images has {choice}")
        _log.info("chexpert: %d of %d images used (%s)", len(table), listed, choice)
        require_some(tree, table["image"].tolist(), _LAYOUT, URL)
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in table["image"]],
            labels=table["label"].tolist(),
            splits=table["split"].tolist(),
            groups=table["patient"].tolist(),
            dataset="chexpert",
            classes=self.policy.classes,
        )

    def _tables(self, tree: Tree) -> dict[str, str]:
        """Names of the tables, each with its split."""
        train = locate(tree, "train.csv", _LAYOUT, URL)
        folder = posixpath.dirname(train)
        valid, *tests = (posixpath.join(folder, name) for name in ("valid.csv", *TEST_TABLES))
        if valid not in tree:
            raise unexpected(tree, valid, _LAYOUT, URL)
        tests = [name for name in tests if name in tree][:1]
        becomes = ("val" if tests else "test") if self.valid_is == "auto" else self.valid_is
        return {train: "train", valid: becomes} | dict.fromkeys(tests, "test")

    def _rows(self, tree: Tree, name: str) -> pd.DataFrame:
        """Columns image, tail (below the split's folder), patient, label ("" for left out)."""
        table = read_table(tree, name, ("Path", self.policy.finding), hint=f"see {URL}")
        where = tree.blob(name).name
        path = table["Path"].str.extract(_PATH)
        if path["place"].isna().any():
            line = int(path["place"].isna().to_numpy().argmax())
            raise DataError(
                f"{where}: line {line + 2} has Path {table['Path'].iat[line]!r}; expected "
                f"CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg"
            )
        label = self.policy.decide(table[self.policy.finding], where)
        label[~self._has_view(table, path["tail"])] = ""
        folder = posixpath.dirname(name)
        image = f"{folder}/" + path["place"] if folder else path["place"]
        return path.assign(image=image, label=label)

    def _has_view(self, table: pd.DataFrame, tail: pd.Series) -> np.ndarray:
        """Which images have the view, bool [N]; the test table says so only in the file's name."""
        keep = np.ones(len(table), dtype=bool)
        if self.view != "all":
            side = table[_SIDE].str.lower() if _SIDE in table else tail.str.extract(r"_(\w+)\.")[0]
            keep &= (side == self.view).to_numpy()
        if self.projection != "all":
            given = _PROJECTION in table
            keep &= (table[_PROJECTION] == self.projection).to_numpy() if given else False
        return keep


def _tail(image: str) -> str:
    """`patient00001/study1/view1_frontal.jpg` of a full name."""
    return "/".join(image.split("/")[-3:])
