"""What a classifier predicted, image by image: written once, every figure is computed from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from frerec.errors import DataError
from frerec.evaluation.metrics import classification_metrics

_COLUMNS = ("image", "group", "split", "label")
_REMEDY = "delete its folder and run the benchmark again, it redoes this cell alone"


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one split, in the order of the manifest.

    Attributes:
        images: addresses, object ``[N]``.
        groups: patients' pseudonyms, object ``[N]``; unique to the image where none is known.
        labels: int64 ``[N]`` in 0 .. C-1.
        probabilities: float64 ``[N, C]``, rows with the sum 1.
    """

    images: NDArray[np.object_]
    groups: NDArray[np.object_]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def codes(self) -> NDArray[np.int64]:
        """Patients as integers from 0, int64 ``[N]``."""
        return np.unique(self.groups.astype(str), return_inverse=True)[1].astype(np.int64)

    def metrics(self) -> dict[str, float]:
        """Every metric of `frerec.evaluation.metrics`."""
        return classification_metrics(self.labels, self.probabilities)


def check_same_images(predictions: Sequence[Predictions]) -> None:
    """Refuse predictions that cannot be paired image by image.

    Raises:
        DataError: where there are none, or images, their order, patients, labels or the number of
            classes differ.
    """
    if not predictions:
        raise DataError("no predictions to compare: expected those of one cell at least")
    first = predictions[0]
    for other in predictions[1:]:
        for what in ("images", "labels", "groups"):
            if not np.array_equal(getattr(first, what), getattr(other, what)):
                raise DataError(
                    f"predictions of {len(first)} and {len(other)} images cannot be paired, their "
                    f"{what} differ; compare cells of one data set, split and seed of the split"
                )
        if first.probabilities.shape != other.probabilities.shape:
            raise DataError(
                f"predictions of {first.probabilities.shape[1]} and "
                f"{other.probabilities.shape[1]} classes cannot be paired; compare one task"
            )


def write_predictions(file: Path, splits: Mapping[str, Predictions]) -> None:
    """Write the predictions of the splits as one Parquet table, whole or not at all.

    Columns: image, group, split, label, prob_0 .. prob_{C-1}.
    """
    tables = []
    for split, made in splits.items():
        table = pd.DataFrame(
            {"image": made.images, "group": made.groups, "split": split, "label": made.labels}
        )
        for index in range(made.probabilities.shape[1]):
            table[f"prob_{index}"] = made.probabilities[:, index]
        tables.append(table)
    partial = file.with_name(file.name + ".partial")
    pd.concat(tables, ignore_index=True).to_parquet(partial)
    partial.replace(file)


def read_predictions(file: Path) -> dict[str, Predictions]:
    """Read what `write_predictions` wrote: split -> its predictions.

    Raises:
        DataError: where the file is missing, damaged or lacks a column, where an image has no
            address, patient, split or class, or where a probability is no finite number.
    """
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{file}: not readable ({reason}); {_REMEDY}") from error
    probabilities = _probability_columns(table.columns.tolist())
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing or len(probabilities) < 2:
        raise DataError(
            f"{file}: no column {missing[0] if missing else 'prob_1'}; an older frerec wrote it: "
            f"{_REMEDY}"
        )
    _check_values(table, probabilities, file)
    return {
        str(split): Predictions(
            part["image"].to_numpy(dtype=object),
            part["group"].to_numpy(dtype=object),
            part["label"].to_numpy(dtype=np.int64),
            part[probabilities].to_numpy(dtype=np.float64),
        )
        for split, part in table.groupby("split", sort=False)
    }


def _check_values(table: pd.DataFrame, probabilities: Sequence[str], file: Path) -> None:
    """Refuse what would be dropped, counted as one patient or end in a conversion's error."""
    for name in _COLUMNS:
        empty = int(table[name].isna().sum())
        if empty:
            raise DataError(f"{file}: {name} is empty for {empty} of {len(table)} rows; {_REMEDY}")
    if not pd.api.types.is_integer_dtype(table["label"]):
        raise DataError(f"{file}: label must be class numbers 0, 1, ...; {_REMEDY}")
    for name in probabilities:
        if not pd.api.types.is_float_dtype(table[name]):
            raise DataError(f"{file}: {name} must be numbers from 0 to 1; {_REMEDY}")
    finite = np.isfinite(table[probabilities].to_numpy(dtype=np.float64, na_value=np.nan))
    for split, rows in table.groupby("split", sort=False).indices.items():
        bad = int((~finite[rows].all(axis=1)).sum())
        if bad:
            raise DataError(
                f"{file}: {split}: probabilities are NaN or infinite for {bad} of {len(rows)} "
                f"images; {_REMEDY}"
            )


def _probability_columns(names: Sequence[str]) -> list[str]:
    found = [name for name in names if name.startswith("prob_") and name[5:].isdecimal()]
    return sorted(found, key=lambda name: int(name[5:]))
