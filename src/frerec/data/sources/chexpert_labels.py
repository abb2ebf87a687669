"""Labels as the CheXpert labeller writes them, 1, 0, -1 or blank, made into two classes.

Shared by CheXpert and MIMIC-CXR-JPG. 1 is positive, 0 negative, -1 uncertain; a blank means that
the report does not mention the finding.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from frerec.data.sources.layout import one_of
from frerec.errors import DataError

FINDINGS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
UNCERTAIN: Mapping[str, int | None] = {"ignore": None, "zeros": 0, "ones": 1}
BLANK: Mapping[str, int | None] = {"negative": 0, "ignore": None}
VIEWS = ("frontal", "lateral", "all")
PROJECTIONS = ("all", "AP", "PA")


class LabelPolicy:
    """Which images are positive, which negative, and which are left out.

    Args:
        finding: one of `FINDINGS`.
        uncertain: what -1 becomes, for all splits alike: left out (`ignore`), negative (`zeros`) or
            positive (`ones`), U-Ignore, U-Zeroes and U-Ones of the CheXpert paper (Irvin 2019).
        blank: `negative`, as Table 1 of that paper counts it, or `ignore` to keep only images
            whose report denies the finding.

    Raises:
        ConfigError: a value that does not exist.
    """

    def __init__(self, finding: str, uncertain: str, blank: str) -> None:
        one_of("finding", finding, FINDINGS)
        one_of("uncertain", uncertain, UNCERTAIN)
        one_of("blank", blank, BLANK)
        self.finding = finding
        self._meaning = {1.0: 1, 0.0: 0, -1.0: UNCERTAIN[uncertain]}
        self._blank = BLANK[blank]

    @property
    def classes(self) -> tuple[str, str]:
        """`no_FINDING` and `FINDING`, in small letters."""
        name = self.finding.lower().replace(" ", "_")
        return f"no_{name}", name

    def decide(self, values: pd.Series, where: str) -> np.ndarray:
        """Class names, str [N], "" where the image is left out.

        Args:
            values: the finding's column, as text.
            where: the table's name, for messages.

        Raises:
            DataError: a value that is not 1, 0, -1 or blank.
        """
        meaning = {value: self._class(value) for value in values.unique()}
        unknown = [value for value, name in meaning.items() if name is None]
        if unknown:
            line = int((values == unknown[0]).to_numpy().argmax()) + 2
            raise DataError(
                f"{where}: line {line} has {self.finding} {unknown[0]!r}; expected 1, 0, -1 or "
                f"blank"
            )
        return values.map(meaning).to_numpy(dtype=object)

    def _class(self, value: str) -> str | None:
        """The class of one value, "" for left out, None for one that does not exist."""
        try:
            index = self._blank if value == "" else self._meaning[float(value)]
        except (ValueError, KeyError):
            return None
        return "" if index is None else self.classes[index]


def check_view(view: str, projection: str) -> None:
    """Raise ConfigError where a choice of views does not exist."""
    one_of("view", view, VIEWS)
    one_of("projection", projection, PROJECTIONS)
