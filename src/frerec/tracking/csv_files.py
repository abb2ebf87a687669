"""Metrics and tables as CSV files beside the cell's own: for spreadsheets, without a service."""

import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from frerec.tracking.base import RunInfo, TrackedRun, Tracker

FOLDER = "csv"
_PAUSE = 5.0  # seconds between two writes of a growing table


class CsvTracker(Tracker):
    """``DIRECTORY/csv/{metrics,summary,predictions,...}.csv``; pictures and weights stay out."""

    def _start(self, info: RunInfo) -> "CsvRun":
        return CsvRun(info.directory / FOLDER)


class CsvRun(TrackedRun):
    """A folder of CSV files.

    ``metrics.csv`` has a row a step and a column a metric, empty where none was logged. A resumed
    training goes on in it: rows from its first step on are written anew.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("CSV")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._written = folder, 0.0
        self._before = _read(folder / "metrics.csv")
        self._rows: dict[int, dict[str, float]] = {}

    def _take_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        row = self._rows.setdefault(int(step or 0), {})
        row.update({key: float(value) for key, value in values.items()})
        if time.monotonic() - self._written > _PAUSE:
            self._write_metrics()

    def _take_summary(self, values: Mapping[str, float]) -> None:
        known = _read(self._folder / "summary.csv")
        found = dict(zip(known.get("metric", ()), known.get("value", ()), strict=True))
        found |= {key: float(value) for key, value in values.items()}
        table = pd.DataFrame({"metric": list(found), "value": list(found.values())})
        _write(table, self._folder / "summary.csv")

    def _take_table(self, key: str, table: pd.DataFrame) -> None:
        _write(table, self._folder / f"{key.replace('/', '_')}.csv")

    def _take_manifest(self, name: str, table: pd.DataFrame) -> None:  # noqa: ARG002
        _write(table, self._folder / "manifest.csv")

    def _close(self, failed: bool) -> None:  # noqa: ARG002
        self._write_metrics()

    def _write_metrics(self) -> None:
        if not self._rows:
            return
        made = pd.DataFrame([{"step": step, **row} for step, row in sorted(self._rows.items())])
        before = self._before
        if len(before):
            before = before[before["step"] < made["step"].min()]
        joined = pd.concat([before, made], ignore_index=True) if len(before) else made
        _write(joined, self._folder / "metrics.csv")
        self._written = time.monotonic()


def _read(file: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(file)
    except (OSError, ValueError):
        return pd.DataFrame()


def _write(table: pd.DataFrame, file: Path) -> None:
    partial = file.with_name(file.name + ".partial")
    table.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(file)
