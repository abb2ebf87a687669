"""The tracker's contract: one run a piece of work; what fails is said once and stops nothing."""

import copy
import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd
from pytorch_lightning.loggers import Logger
from torch import Tensor

from frerec.errors import ConfigError
from frerec.tracking.private import public_table, without_paths

log = logging.getLogger(__name__)

# Services that did not answer this process; none of them is waited for again.
UNREACHABLE: set[str] = set()
# Kinds of errors by name, the library's own of the built-in's: requests need not be imported here.
_NO_ANSWER = ("ConnectionError", "Timeout", "TimeoutError", "gaierror", "MaxRetryError")


@dataclass(frozen=True)
class RunInfo:
    """What a run is called and belongs to; ``config`` has no paths any more."""

    name: str
    group: str
    id: str
    config: Mapping[str, Any]
    directory: Path
    job_type: str
    tags: tuple[str, ...]


class TrackedRun:
    """A run that takes everything and keeps nothing; kinds of runs override ``_take_*``.

    Args:
        service: What it is called in messages.
        log_images: Whether pictures may leave: they may show real images.
        log_model: Whether the classifier's weights may leave.
    """

    def __init__(
        self, service: str = "", *, log_images: bool = False, log_model: bool = False
    ) -> None:
        self.service, self.log_images, self.log_model = service, log_images, log_model
        self._broken = False

    @property
    def loggers(self) -> list[Logger]:
        """For Lightning; none where nothing is kept."""
        return [RunLogger(self)] if self.service else []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of a training at a step."""
        self._try(lambda: self._take_metrics(values, step))

    def summary(self, values: Mapping[str, float]) -> None:
        """Final numbers."""
        self._try(lambda: self._take_summary(values))

    def table(self, key: str, table: pd.DataFrame) -> None:
        """A table; columns that name files or patients are left out, whoever passes them."""
        self._try(lambda: self._take_table(key, public_table(table)))

    def manifest(self, name: str, table: pd.DataFrame) -> None:
        """Which images a data set has, by row number; no file, no patient."""
        self._try(lambda: self._take_manifest(name, public_table(table)))

    def model(self, name: str, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """A trained network's weights, where ``log_model`` allows it."""
        if self.log_model:
            self._try(lambda: self._take_model(name, weights()))

    def pictures(self, files: Mapping[str, Path], step: int | None = None) -> None:
        """PNG files by key, where ``log_images`` allows it."""
        if self.log_images:
            self._try(lambda: self._take_pictures(files, step))

    def close(self, *, failed: bool) -> None:
        """End the run; a failed one is marked."""
        if self.service:
            self._broken = False  # what is kept so far is closed in any case
            self._try(lambda: self._close(failed))

    def _take_metrics(self, values: Mapping[str, float], step: int | None) -> None: ...
    def _take_summary(self, values: Mapping[str, float]) -> None: ...
    def _take_table(self, key: str, table: pd.DataFrame) -> None: ...
    def _take_manifest(self, name: str, table: pd.DataFrame) -> None: ...
    def _take_model(self, name: str, weights: Mapping[str, Tensor]) -> None: ...
    def _take_pictures(self, files: Mapping[str, Path], step: int | None) -> None: ...
    def _close(self, failed: bool) -> None: ...

    def _try(self, action: Callable[[], None]) -> None:
        """Do it unless something failed before; the first failure is said, the rest is skipped."""
        if self._broken:
            return
        try:
            action()
        except Exception as error:
            self._broken = True
            self._failed(error)
            line = " ".join(str(error).split())[:300] or type(error).__name__
            log.warning("%s takes no more (%s); the local files are complete", self.service, line)

    def _failed(self, error: Exception) -> None:
        """For services that have to be remembered as unreachable."""


class RunLogger(Logger):
    """A run as Lightning sees it."""

    def __init__(self, run: TrackedRun) -> None:
        super().__init__()
        self._run = run

    @property
    def name(self) -> str:
        """The service's name."""
        return self._run.service

    @property
    def version(self) -> str:
        """Always empty: a run has no versions."""
        return ""

    def log_hyperparams(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: the run has the whole configuration."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Pass the values on."""
        self._run.metrics(metrics, step)

    def log_image(
        self, key: str, images: Sequence[str], step: int | None = None, **_kwargs: Any
    ) -> None:
        """Pass files of pictures on, where pictures may leave."""
        for image in images:
            self._run.pictures({key: Path(image)}, step)


class Tracker:
    """Opens and closes runs; this one keeps nothing: ``logger=local``.

    Args:
        group: Runs of one experiment; the run's name where it is None.
        tags: Tags of every run.
        log_images: Whether pictures may leave.
        log_model: Whether the classifier's weights may leave.
    """

    def __init__(
        self,
        *,
        group: str | None = None,
        tags: Sequence[str] = (),
        log_images: bool = False,
        log_model: bool = False,
    ) -> None:
        self.group, self.tags = group, tuple(tags)
        self.log_images, self.log_model = log_images, log_model

    def tagged(self, *tags: str) -> Self:
        """The same tracker with further tags, as a sweep's trial."""
        other = copy.copy(self)
        other.tags = (*self.tags, *tags)
        return other

    @contextmanager
    def run(
        self,
        name: str,
        *,
        group: str,
        cell_id: str,
        config: Mapping[str, Any],
        directory: Path,
        job_type: str = "cell",
        tags: Sequence[str] = (),
    ) -> Iterator[TrackedRun]:
        """One run, closed at the end.

        Args:
            name: For people.
            group: What it belongs to, unless the tracker has a group of its own.
            cell_id: With the group, the run's id: a resumed piece of work goes on in its own run.
            config: The resolved configuration; paths are taken out of it here.
            directory: Where local files of the tracker may lie.
            job_type: cell | generator | calibrator | report.
            tags: Further tags.
        """
        group = self.group or group
        public = without_paths(dict(config))
        info = RunInfo(
            name, group, f"{group}-{cell_id}", public, directory, job_type, (*self.tags, *tags)
        )
        run = self._start_guarded(info)
        failed = True
        try:
            yield run
            failed = False
        finally:
            run.close(failed=failed)

    def _start_guarded(self, info: RunInfo) -> TrackedRun:
        try:
            return self._start(info)
        except Exception as error:
            line = " ".join(str(error).split())[:300] or type(error).__name__
            log.warning(
                "%s is off for this run (%s); the local log is complete", type(self).__name__, line
            )
            return TrackedRun()

    def _start(self, info: RunInfo) -> TrackedRun:  # noqa: ARG002
        return TrackedRun()


class NoTracker(Tracker):
    """Local files only."""


def is_unreachable(error: BaseException) -> bool:
    """Whether a service did not answer, rather than refuse what it was asked.

    Libraries wrap such an error in one of their own, so what it came from is looked at too.
    """
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        if any(kind.__name__ in _NO_ANSWER for kind in type(now).__mro__):
            return True
        seen.append(now)
        now = now.__cause__ or now.__context__
    return False


def require_package(module: str, extra: str) -> None:
    """Refuse a logger whose package is missing, before anything is trained.

    Raises:
        ConfigError: Names the extra to install.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigError(f"logger={extra}: {module} is missing; pip install 'frerec[{extra}]'")
