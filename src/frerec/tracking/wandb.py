"""Weights & Biases: one run a cell, grouped by experiment; offline unless asked otherwise."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from frerec.errors import ConfigError
from frerec.tracking.base import UNREACHABLE, RunInfo, Tracker
from frerec.tracking.wandb_run import SERVICE, WandbRun, start_run

log = logging.getLogger(__name__)

MODES = ("offline", "online")


class WandbTracker(Tracker):
    """Makes and closes W&B runs; a failure of W&B is reported and never stops the work.

    A server that does not answer is waited for once a process: that run and all later ones are
    written offline, for `wandb sync`.

    Args:
        project: W&B project.
        mode: ``offline`` (no account, `wandb sync` later) or ``online``.
        group: Runs of one experiment; the run's name where it is None.
        entity: W&B entity, or None for the account's own.
        tags: Tags of every run, beside its arm, data set and classifier.
        log_images: Send pictures, which may show real images.
        log_model: Send the classifiers' best weights. Calibrators are never sent: they hold real
            images.
        timeout: Seconds to wait for the server when a run begins, and again when it ends.
        staging: Folder in which the files of artifacts wait for an upload, which of an offline run
            is a later `wandb sync`; W&B is told its path. None for /var/tmp, or for the system's
            temporary folder where that is not to be written.
    """

    def __init__(
        self,
        *,
        project: str = "frerec",
        mode: str = "offline",
        group: str | None = None,
        entity: str | None = None,
        tags: Sequence[str] = (),
        log_images: bool = False,
        log_model: bool = False,
        timeout: float = 30.0,
        staging: str | None = None,
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"logger.mode={mode}: expected one of {', '.join(MODES)}")
        if timeout <= 0:
            raise ConfigError(f"logger.timeout={timeout}: expected a positive number of seconds")
        super().__init__(group=group, tags=tags, log_images=log_images, log_model=log_model)
        self.project, self.mode, self.entity, self.timeout = project, mode, entity, timeout
        self.staging = None if staging is None else Path(staging).expanduser().absolute()

    def _start(self, info: RunInfo) -> WandbRun:
        if self.mode == "online" and SERVICE not in UNREACHABLE:
            try:
                return self._open(info, "online")
            except Exception as error:
                UNREACHABLE.add(SERVICE)
                line = " ".join(str(error).split())[:200]
                log.warning(
                    "W&B cannot be reached (%s): this run and all later ones are kept OFFLINE;"
                    " send them later with `wandb sync` of the folders wandb/offline-run-*",
                    line,
                )
        if self.mode == "online":
            # W&B holds the id of the run that failed to open for as long as the process lives.
            info = replace(info, id=f"{info.id}-offline")
        return self._open(info, "offline")

    def _open(self, info: RunInfo, mode: Literal["online", "offline"]) -> WandbRun:
        run: Any = start_run(
            info, mode=mode, project=self.project, entity=self.entity, timeout=self.timeout
        )
        return WandbRun(
            run, log_images=self.log_images, log_model=self.log_model, staging=self.staging
        )
