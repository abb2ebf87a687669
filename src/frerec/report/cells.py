"""One cell of a run directory as plain data, checked where it is read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frerec.errors import DataError
from frerec.evaluation.metrics import METRICS
from frerec.evaluation.predictions import Predictions, read_predictions
from frerec.report.parsing import number, numbers, read_json, section

AXES = ("data", "generator", "arm", "classifier", "seed")
TRAINING = ("steps", "images_seen", "best_step", "train_real", "train_synthetic", "seconds")
EXCLUDED = "excluded_memorised"  # of the training: samples left out, only where that was asked
WITHHELD = "train_withheld"  # of the training: the ceiling's extra real images, of `train_real` too
TRAIN_SIZE, ALL = "data.train_size", "all"  # an axis, of training images a class, and its null
STATES = ("finished", "failed", "running", "pending")

# metrics.json and predictions.parquet tell the same metric; only rounding may part them.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Cell:
    """One cell of the benchmark: data set x generator x arm x classifier x seed.

    `test` and `val` have every name of METRICS where the state is "finished", and are empty
    otherwise; both are computed from the saved `predictions`, by split. `training` has what the
    cell recorded, and `folder` is its own. `generator` is "" where the arm has none; `extra` are
    further axes of the grid as text, such as ("calibrator.ratio", "0.5"), see `axis_text`. A cell
    that does not depend on such an axis stands there once a value, with the same id. `environment`
    is what it recorded of code, machine, time and memory, empty where it did not; `doubts` says in
    words where metrics.json and the predictions disagree.
    """

    id: str
    data: str
    generator: str
    arm: str
    classifier: str
    seed: int
    extra: tuple[tuple[str, str], ...]
    state: str
    seconds: float | None
    error: str
    test: Mapping[str, float]
    val: Mapping[str, float]
    training: Mapping[str, float]
    folder: Path
    predictions: Mapping[str, Predictions] = field(default_factory=dict, compare=False, repr=False)
    environment: Mapping[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """True where the cell has results."""
        return self.state == "finished"

    @property
    def axes(self) -> dict[str, str]:
        """What of the grid it is of, but for the seed, as text."""
        own = {"data": self.data, "generator": self.generator, "arm": self.arm}
        return own | {"classifier": self.classifier} | dict(self.extra)


def read_cell(run: Path, entry: Any, index: Path) -> Cell:
    """Read a cell of the plan.

    Args:
        run: the run directory.
        entry: id and axes, as the plan has them.
        index: the plan's file, for the errors.

    Raises:
        DataError: where the entry or a file of the cell is damaged.
    """
    axes = entry.get("axes") if isinstance(entry, dict) else None
    missing = [key for key in ("arm", "classifier", "seed") if key not in (axes or {})]
    if not isinstance(entry, dict) or not isinstance(axes, dict) or missing or "id" not in entry:
        raise DataError(f"{index}: every cell needs an id and axes arm, classifier, seed: {entry}")
    folder = run / "cells" / str(entry["id"])
    status_file = folder / "status.json"
    status = read_json(status_file) if status_file.is_file() else {"state": "pending"}
    state = status.get("state")
    if state not in STATES:
        raise DataError(f"{status_file}: state must be one of {', '.join(STATES)}; found {state!r}")
    try:
        seed = int(axes["seed"])
    except (TypeError, ValueError):
        raise DataError(f"{index}: seed must be an integer; found {axes['seed']!r}") from None
    recorded, predictions = _results(folder) if state == "finished" else ({}, {})
    file = folder / "metrics.json"
    test, val = (_scores(folder, predictions, split) for split in ("test", "val"))
    environment = folder / "environment.json"
    return Cell(
        id=str(entry["id"]),
        data=str(axes.get("data") or ""),
        generator="" if axes.get("generator") in (None, "none") else str(axes["generator"]),
        arm=str(axes["arm"]),
        classifier=str(axes["classifier"]),
        seed=seed,
        extra=tuple((str(k), axis_text(str(k), v)) for k, v in axes.items() if k not in AXES),
        state=state,
        seconds=number(status.get("seconds")),
        error=str(status.get("error") or ""),
        test=test,
        val=val,
        training=numbers(section(recorded, "training", file)),
        folder=folder,
        predictions=predictions,
        environment=read_json(environment) if environment.is_file() else {},
        doubts=tuple(
            doubt
            for split, found in (("test", test), ("val", val))
            for doubt in _doubts(numbers(section(recorded, split, file)), found, split)
        ),
    )


def axis_text(axis: str, value: object) -> str:
    """The value of a further axis as a reader sees it: "all" or "null" where it is none."""
    if value in (None, "None", "null"):
        return ALL if axis == TRAIN_SIZE else "null"
    return str(value)


def _results(folder: Path) -> tuple[dict[str, Any], dict[str, Predictions]]:
    file = folder / "metrics.json"
    remedy = f"delete {folder} and run the benchmark again, it redoes this cell alone"
    if not file.is_file():
        raise DataError(f"{file}: missing though the cell is finished; {remedy}")
    recorded = read_json(file)
    predictions = read_predictions(folder / "predictions.parquet")
    missing = [split for split in ("test", "val") if split not in predictions]
    if missing:
        raise DataError(f"{folder / 'predictions.parquet'}: no {missing[0]} images; {remedy}")
    return recorded, predictions


def _scores(
    folder: Path, predictions: Mapping[str, Predictions], split: str
) -> Mapping[str, float]:
    """The metrics of a split, computed anew; none where the cell has no predictions."""
    if split not in predictions:
        return {}
    try:
        return predictions[split].metrics()
    except DataError as error:
        raise DataError(f"{folder / 'predictions.parquet'}: {split}: {error}") from error


def _doubts(recorded: Mapping[str, float], found: Mapping[str, float], split: str) -> list[str]:
    """Where the metrics that the cell wrote down are not those of its predictions."""
    return [
        f"metrics.json says {split} {name} {recorded[name]:.4f}, the predictions give "
        f"{found[name]:.4f}"
        for name in METRICS
        if name in recorded
        and name in found
        and not math.isclose(recorded[name], found[name], rel_tol=0, abs_tol=_ROUNDING)
    ]
