"""One W&B run: how it is opened, and what goes where in it."""

import atexit
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor

from frerec.tracking.base import UNREACHABLE, RunInfo, TrackedRun

SERVICE = "W&B"
STEP = "trainer/global_step"  # Lightning's name of it
LONGEST_TAG, LONGEST_ID = 64, 128  # W&B's limits
SHARED = Path("/var/tmp")  # outlives a restart, names no user; without it the system's


def start_run(
    info: RunInfo,
    *,
    mode: Literal["online", "offline"],
    project: str,
    entity: str | None,
    timeout: float,
) -> Any:
    """Open a W&B run, a new one even where the process has one that is not ours.

    Raises:
        Exception: Whatever W&B raises where it cannot.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to W&B's own Sentry, offline too
    import wandb

    _without_home()
    info.directory.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=project,
        entity=entity,
        name=info.name,
        group=info.group,
        job_type=info.job_type,
        tags=sorted({tag[:LONGEST_TAG] for tag in info.tags if tag}),
        id=wandb_name(info.id)[:LONGEST_ID],
        resume="allow",  # a resumed cell goes on in its own run
        reinit="create_new",
        mode=mode,
        dir=str(info.directory),
        config=dict(info.config),
        settings=quiet_settings(timeout),
    )
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return run


def _without_home() -> None:
    """Where the home takes no folders of W&B's, as on a cluster's node: of this process instead.

    W&B would say so in its core's log lines on stderr, and keep nothing else from working.
    """
    from wandb.env import CACHE_DIR, CONFIG_DIR, get_cache_dir

    homes = {CACHE_DIR: get_cache_dir(), CONFIG_DIR: Path("~/.config/wandb")}
    for variable, folder in homes.items():
        if variable in os.environ:
            continue
        try:
            place = folder.expanduser()
            place.mkdir(parents=True, exist_ok=True)
            writable = os.access(place, os.W_OK)
        except (OSError, RuntimeError):  # the latter where there is no home at all
            writable = False
        if not writable:
            made = mkdtemp(prefix="frerec-wandb-home-")
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            os.environ[variable] = made


class WandbRun(TrackedRun):
    """A W&B run under the tracker's contract.

    Args:
        run: W&B's.
        log_images: Whether pictures may leave.
        log_model: Whether weights may leave.
        staging: Where files of artifacts wait, see :class:`frerec.tracking.wandb.WandbTracker`.
    """

    def __init__(
        self, run: Any, *, log_images: bool, log_model: bool, staging: Path | None = None
    ) -> None:
        super().__init__(SERVICE, log_images=log_images, log_model=log_model)
        self._run, self._staging = run, staging
        self._waiting: Path | None = None

    def _take_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        self._log(values, step)

    def _take_summary(self, values: Mapping[str, float]) -> None:
        self._run.summary.update(dict(values))

    def _take_table(self, key: str, table: pd.DataFrame) -> None:
        import wandb

        with _staging_in(self._folder("staging")):
            self._log({key: wandb.Table(dataframe=table)}, None)

    def _take_manifest(self, name: str, table: pd.DataFrame) -> None:
        file = self._folder("manifest") / "manifest.csv"
        table.to_csv(file, index=False, lineterminator="\n")
        self._artifact(f"{name}-manifest", "dataset", file)

    def _take_model(self, name: str, weights: Mapping[str, Tensor]) -> None:
        file = self._folder("model") / "model.safetensors"
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, file)
        self._artifact(name, "model", file)

    def _take_pictures(self, files: Mapping[str, Path], step: int | None) -> None:
        import wandb

        self._log({key: wandb.Image(str(file)) for key, file in files.items()}, step)

    def _close(self, failed: bool) -> None:
        offline, folder = self._run.settings.mode != "online", Path(self._run.dir).parent
        self._run.finish(exit_code=1 if failed else 0)
        if offline:  # W&B's own debug logs name this machine's folders; nothing syncs them
            shutil.rmtree(folder / "logs", ignore_errors=True)
        waiting = self._waiting
        if waiting is not None and not (offline and any(p.is_file() for p in waiting.rglob("*"))):
            shutil.rmtree(waiting, ignore_errors=True)  # all of it is sent, or there is nothing

    def _failed(self, error: Exception) -> None:
        if isinstance(error, TimeoutError) and self._run.settings.mode == "online":
            UNREACHABLE.add(SERVICE)  # the next run is written offline at once

    def _log(self, values: Mapping[str, Any], step: int | None) -> None:
        self._run.log({**values, **({} if step is None else {STEP: step})})

    def _folder(self, kind: str) -> Path:
        """Where an artifact's file waits for an upload, which may be a later `wandb sync`.

        W&B sends this place with the artifact's manifest: so not below the run, nor in a home.
        """
        if self._waiting is None:
            shared = self._staging or SHARED
            if self._staging is not None:
                shared.mkdir(parents=True, exist_ok=True)
            own = str(shared) if os.access(shared, os.W_OK) else None
            self._waiting = Path(mkdtemp(prefix="frerec-wandb-", dir=own))
        folder = self._waiting / kind
        folder.mkdir(exist_ok=True)
        return folder

    def _artifact(self, name: str, kind: str, file: Path) -> None:
        import wandb

        artifact = wandb.Artifact(wandb_name(name), type=kind)
        artifact.add_file(str(file), skip_cache=True, policy="immutable")  # no copy in the home
        with _staging_in(self._folder("staging")):
            self._run.log_artifact(artifact)


@contextmanager
def _staging_in(folder: Path) -> Iterator[None]:
    """W&B keeps what waits for an upload in the home, and sends where it was: here instead."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]
        if before is not None:
            os.environ["WANDB_DATA_DIR"] = before


def wandb_name(text: str) -> str:
    """A text as W&B takes it for an id or an artifact's name."""
    return re.sub(r"[^\w.-]", "-", text)


def quiet_settings(timeout: float) -> Any:
    """No console text; nothing about the machine, its user, its files or the command line."""
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        symlink=False,
        init_timeout=timeout,
        login_timeout=timeout,
        finish_timeout=timeout,
        finish_timeout_raises=True,
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
