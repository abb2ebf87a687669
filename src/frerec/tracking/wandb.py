"""Weights & Biases: one run a cell, grouped by experiment; offline unless asked otherwise."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

from frerec.errors import ConfigError

log = logging.getLogger(__name__)

MODES = ("offline", "online")
PRIVATE = ("paths", "root", "path", "cache_dir", "directory", "output", "out")  # machine paths


def without_paths(config: Any) -> Any:
    """The configuration without keys that hold paths of the user's machine."""
    if isinstance(config, Mapping):
        return {k: without_paths(v) for k, v in config.items() if k not in PRIVATE}
    if isinstance(config, list | tuple):
        return [without_paths(value) for value in config]
    return config


class WandbTracker:
    """Makes and closes W&B runs; a failure of W&B is reported and never stops the work.

    Args:
        project: W&B project.
        mode: ``offline`` (no account, `wandb sync` later) or ``online``.
        group: Runs of one experiment; the run's name where it is None.
        entity: W&B entity, or None for the account's own.
        tags: Tags of every run.
    """

    def __init__(
        self,
        *,
        project: str = "frerec",
        mode: str = "offline",
        group: str | None = None,
        entity: str | None = None,
        tags: tuple[str, ...] | list[str] = (),
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"logger.mode={mode}: expected one of {', '.join(MODES)}")
        self.project, self.mode, self.group = project, mode, group
        self.entity, self.tags = entity, list(tags)

    @contextmanager
    def run(
        self, name: str, *, group: str, config: Mapping[str, Any], directory: Path
    ) -> Iterator["WandbRun"]:
        """One W&B run, finished at the end (two in one process would write into one another)."""
        logger: WandbLogger | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            logger = WandbLogger(
                project=self.project,
                name=name,
                group=self.group or group,
                entity=self.entity,
                tags=self.tags,
                save_dir=str(directory),
                offline=self.mode == "offline",
                job_type="cell",
                config=without_paths(dict(config)),
                settings={"silent": True, "console": "off", "init_timeout": 30},
            )
            _ = logger.experiment  # starts the run here, where a failure can be caught
        except Exception as error:
            log.warning("W&B is off for this cell (%s); the local log is complete", error)
            logger = None
        try:
            yield WandbRun(logger)
        finally:
            if logger is not None:
                _finish()


class WandbRun:
    """A W&B run, or nothing where W&B could not start."""

    def __init__(self, logger: WandbLogger | None) -> None:
        self._logger = logger

    @property
    def loggers(self) -> list[Logger]:
        """For Lightning."""
        return [] if self._logger is None else [self._logger]

    def summary(self, values: Mapping[str, float]) -> None:
        """Write final numbers into the run's summary."""
        if self._logger is None:
            return
        try:
            self._logger.experiment.summary.update(dict(values))
        except Exception as error:
            log.warning("W&B took no summary (%s); the local files have it", error)


class NoTracker:
    """Local files only."""

    @contextmanager
    def run(self, name: str, **_: Any) -> Iterator[WandbRun]:  # noqa: ARG002
        """Nothing to open."""
        yield WandbRun(None)


def _finish() -> None:
    import wandb

    try:
        wandb.finish()
    except Exception as error:
        log.warning("W&B did not close cleanly (%s); the local files are complete", error)
