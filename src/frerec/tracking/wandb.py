"""Weights & Biases: one run a cell, grouped by experiment; offline unless asked otherwise."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger

from frerec.errors import ConfigError

log = logging.getLogger(__name__)

MODES = ("offline", "online")
# Keys whose values say where things lie on the user's machine.
PRIVATE = (
    "paths",
    "root",
    "path",
    "labels",
    "cache_dir",
    "directory",
    "checkpoint_path",
    "checkpoint",
    "weights",
    "command",
    "cwd",
    "out",
)
# Where a path begins in a text: the root, a home, a drive, a share, or a folder relative to here.
_PATH = re.compile(
    r"(?<![\w.)\]}/])/[\w.]"  # /home, --data=/home; not 1/2, not https://
    r"|file:/"
    r"|(?<!\w)~[\w./\\]"
    r"|(?<!\w)[A-Za-z]:[\\/](?!/)"
    r"|\\\\\w"
    r"|(?<![\w.])\.{1,2}[\\/]"
)


def without_paths(config: Any) -> Any:
    """The configuration without what says where things lie on the user's machine."""
    if isinstance(config, Mapping):
        return {k: without_paths(v) for k, v in config.items() if k not in PRIVATE}
    if isinstance(config, list | tuple):
        return [without_paths(value) for value in config]
    if isinstance(config, PurePath) or (isinstance(config, str) and _names_a_path(config)):
        return "(path)"
    return config


def _names_a_path(text: str) -> bool:
    """Whether there is a path of this machine in a text; rather too often than once too rarely."""
    if text.startswith("~") or _PATH.search(text) is not None:
        return True
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()


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
        self, name: str, *, group: str, cell_id: str, config: Mapping[str, Any], directory: Path
    ) -> Iterator["TrackedRun"]:
        """One W&B run, finished at the end (two in one process would write into one another)."""
        group = self.group or group
        logger: _GuardedWandbLogger | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            logger = _GuardedWandbLogger(
                project=self.project,
                name=name,
                group=group,
                id=f"{group}-{cell_id}",  # a resumed cell goes on in its own run
                resume="allow",
                entity=self.entity,
                tags=self.tags,
                save_dir=str(directory),
                offline=self.mode == "offline",
                job_type="cell",
                config=without_paths(dict(config)),
                settings=_quiet_settings(),
            )
            _ = logger.experiment  # starts the run here, where a failure can be caught
        except Exception as error:
            log.warning("W&B is off for this cell (%s); the local log is complete", error)
            logger = None
        exit_code = 1
        try:
            yield TrackedRun(logger)
            exit_code = 0
        finally:
            if logger is not None:
                _finish(exit_code)


class _GuardedWandbLogger(WandbLogger):
    """A WandbLogger whose failures are reported once and stop nothing."""

    _broken = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if self._broken:
            return
        try:
            super().log_metrics(metrics, step)
        except Exception as error:
            self._broken = True
            log.warning("W&B takes no more metrics (%s); the local log is complete", error)

    def log_hyperparams(self, params: Any) -> None:
        """Those of a model, without paths."""
        super().log_hyperparams(without_paths(dict(getattr(params, "__dict__", params))))

    def log_image(
        self, key: str, images: list[Any], step: int | None = None, **kwargs: Any
    ) -> None:
        if self._broken:
            return
        try:
            super().log_image(key, images, step, **kwargs)
        except Exception as error:
            self._broken = True
            log.warning("W&B takes no more images (%s); the local files are complete", error)


class TrackedRun:
    """A W&B run, or nothing where there is none."""

    def __init__(self, logger: WandbLogger | None = None) -> None:
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

    def pictures(self, files: Mapping[str, Path]) -> None:
        """Add PNG files to the run, by key."""
        if self._logger is None:
            return
        for key, file in files.items():
            self._logger.log_image(key, [str(file)])


class NoTracker:
    """Local files only."""

    @contextmanager
    def run(self, name: str, **_: Any) -> Iterator[TrackedRun]:  # noqa: ARG002
        """Nothing to open."""
        yield TrackedRun()


def _quiet_settings() -> Any:
    """No console text; nothing about the machine, its user, its files or the command line."""
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        init_timeout=30,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        host="",
        program="frerec",
        program_relpath="frerec",
    )


def _finish(exit_code: int) -> None:
    import wandb

    try:
        wandb.finish(exit_code=exit_code)
    except Exception as error:
        log.warning("W&B did not close cleanly (%s); the local files are complete", error)
