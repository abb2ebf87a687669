"""Several trackers at once; one that fails stops neither the work nor the others."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import pandas as pd
from pytorch_lightning.loggers import Logger
from torch import Tensor

from frerec.config import instantiate
from frerec.errors import ConfigError
from frerec.tracking.base import TrackedRun, Tracker


class ManyTrackers(Tracker):
    """Every run is opened by each of the trackers; each has its own leave for pictures and weights.

    Args:
        trackers: By name; each a tracker or the configuration of one.

    Raises:
        ConfigError: Where there is none, or a setting of one is wrong: by its whole key.
    """

    def __init__(self, trackers: Mapping[str, Any]) -> None:
        super().__init__()
        if not trackers:
            raise ConfigError("logger.trackers is empty: give at least one, or logger=local")
        self.trackers = {str(name): _tracker(name, each) for name, each in trackers.items()}

    def tagged(self, *tags: str) -> Self:
        """The same trackers with further tags."""
        return type(self)({name: each.tagged(*tags) for name, each in self.trackers.items()})

    @contextmanager
    def run(self, name: str, **settings: Any) -> Iterator["ManyRuns"]:
        """One run of each tracker, closed at the end."""
        with ExitStack() as stack:
            made = self.trackers.values()
            yield ManyRuns([stack.enter_context(each.run(name, **settings)) for each in made])


def _tracker(name: str, made: Any) -> Tracker:
    """A tracker as given, or made here: it names its settings as if it were the only one."""
    if isinstance(made, Tracker):
        return made
    try:
        tracker: Tracker = instantiate(made)
    except ConfigError as error:
        raise ConfigError(re.sub(r"^logger\.", f"logger.trackers.{name}.", str(error))) from error
    return tracker


class ManyRuns(TrackedRun):
    """Passes everything on to each run, which guards and allows for itself."""

    def __init__(self, runs: Sequence[TrackedRun]) -> None:
        super().__init__()
        self.runs = list(runs)

    @property
    def loggers(self) -> list[Logger]:
        """Those of all runs."""
        return [logger for run in self.runs for logger in run.loggers]

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of a training at a step."""
        for run in self.runs:
            run.metrics(values, step)

    def summary(self, values: Mapping[str, float]) -> None:
        """Final numbers."""
        for run in self.runs:
            run.summary(values)

    def table(self, key: str, table: pd.DataFrame) -> None:
        """A table."""
        for run in self.runs:
            run.table(key, table)

    def manifest(self, name: str, table: pd.DataFrame) -> None:
        """Which images a data set has."""
        for run in self.runs:
            run.manifest(name, table)

    def model(self, name: str, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """A trained network's weights."""
        for run in self.runs:
            run.model(name, weights)

    def pictures(self, files: Mapping[str, Path], step: int | None = None) -> None:
        """PNG files by key."""
        for run in self.runs:
            run.pictures(files, step)
