"""Plan, run and report a comparison; run again, it goes on where it stopped."""

import logging
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from frerec.benchmark.arms import calibrates, has_samples
from frerec.benchmark.cell import (
    EVALUATION,
    Cell,
    new_classifier,
    read_status,
    run_cell,
)
from frerec.benchmark.cell_tracking import public_manifests
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.plan import expand
from frerec.benchmark.plan_record import write_plan
from frerec.benchmark.planned_stages import with_stages
from frerec.benchmark.showcase import check_showcase, show
from frerec.calibration.shr import POOL_PER_NEIGHBOUR
from frerec.config import instantiate, plain
from frerec.data.datamodules import ImageDataModule
from frerec.errors import ConfigError, DataError
from frerec.report.published import DATASETS
from frerec.training_tools import check_machine, check_positive, write_json

log = logging.getLogger(__name__)

SMALLEST_BANK = 2 * POOL_PER_NEIGHBOUR


@dataclass(frozen=True)
class Finished:
    """A benchmark that was run.

    Attributes:
        folder: The run's.
        failed: How many cells failed.
        settings: Hash of what is compared, without the axes.
        manifests: Which images each data set has, by its name, as a tracker may have it.
    """

    folder: Path
    failed: int
    settings: str
    manifests: Mapping[str, pd.DataFrame]


def run_benchmark(config_name: str, overrides: Sequence[str]) -> Finished:
    """Run every cell of the comparison that is not finished, then the showcase.

    A failed cell leaves ``error.txt``; the others go on.

    Raises:
        ConfigError, DataError: For whatever can be known before training; nothing is written then.
    """
    base, planned = expand(config_name, overrides)
    name = str(base.name)
    if name in ("", ".", "..") or any(sign in name for sign in "/\\"):
        raise ConfigError(f"name={name}: expected a folder's name without slashes")
    if base.executor.name not in EXECUTORS:
        known = ", ".join(EXECUTORS)
        raise ConfigError(f"executor.name={base.executor.name}: expected one of {known}")
    if base.published is not None and base.published not in DATASETS:
        raise ConfigError(
            f"published={base.published}: expected null or one of {', '.join(DATASETS)}"
        )
    check_showcase(base.showcase)
    progress = bool(base.trainer.progress) and sys.stderr.isatty()
    tracker = instantiate(base.logger)
    cells = with_stages(planned, progress)
    check_before_training(cells)
    run_dir = Path(base.paths.runs) / name
    run_dir.mkdir(parents=True, exist_ok=True)
    write_plan(run_dir, base, cells, overrides)
    failed = EXECUTORS[base.executor.name](cells, run_dir, tracker, group=name, progress=progress)
    show(cells, run_dir, base.showcase)
    # Once more: now the samples are counted.
    settings = write_plan(run_dir, base, cells, overrides)
    return Finished(run_dir, failed, settings, public_manifests(cells))


def check_before_training(cells: Sequence[Cell], seen: set[str] | None = None) -> None:
    """Find what would stop a cell after hours: settings, missing weights, unreadable samples.

    Args:
        cells: The cells.
        seen: Hashes of what was checked before; it gets those of what is checked now.

    Raises:
        ConfigError, DataError: One line that names the key or the file.
    """
    seen = set() if seen is None else seen

    def first_time(kind: str, content: dict[str, Any]) -> bool:
        key = content_hash({kind: content})
        return not (key in seen or seen.add(key))  # type: ignore[func-returns-value]

    for cell in cells:
        config, stages = cell.config, cell.stages
        schedule = config.classifier
        check_machine(schedule.precision, config.trainer.accelerator)
        if first_time("data", {"fingerprint": stages.data.fingerprint}):
            _check_every_class(stages.data)
        check_positive(
            steps=schedule.steps, batch_size=schedule.batch_size, eval_every=schedule.eval_every
        )
        if first_time("classifier", plain(config.classifier) | {"data": id(stages.data)}):
            new_classifier(config, stages.data, class_weights=None)
        if calibrates(config.arm):
            if first_time("calibrator", plain(config.calibrator)):
                instantiate(config.calibrator)
            count = len(stages.data.rows("train"))
            if count < SMALLEST_BANK:
                raise ConfigError(
                    f"arm={config.arm.name}: {count} real training images; a calibrator needs at "
                    f"least {SMALLEST_BANK}"
                )
        if has_samples(config.arm) and first_time("samples", {"key": stages.samples_key}):
            if config.samples.path is None:
                stages.check_generation()
            stages.check_measures()
            for warning in stages.check_samples():
                log.warning("%s", warning)


def _check_every_class(data: ImageDataModule) -> None:
    for split in ("train", "val", "test"):
        present = set(data.labels(split).tolist())
        for number, name in enumerate(data.classes):
            if number not in present:
                raise DataError(
                    f"{data.name}: no image of class {name} in the {split} split; training, "
                    "validation and test need every class (data.val_fraction, data.test_fraction)"
                )


def execute(
    cells: Sequence[Cell], run_dir: Path, tracker: Any, *, group: str, progress: bool
) -> int:
    """The serial executor: one cell after the other; returns how many failed.

    Several processes may share a run directory: each cell is locked while it runs, and a cell
    that another process holds is left for the end.
    """
    failed = 0
    waiting: list[tuple[int, Cell]] = list(enumerate(cells, 1))
    patience = 0.0
    while waiting:
        held = []
        for number, cell in waiting:
            label = f"[{number}/{len(cells)}] {cell.name}"
            directory = run_dir / "cells" / cell.id
            directory.mkdir(parents=True, exist_ok=True)
            try:
                with FileLock(directory / "lock", timeout=patience):
                    if read_status(directory) == "finished":
                        log.info("%s: finished before", label)
                    elif not attempt(cell, directory, tracker, label, group, progress):
                        failed += 1
            except Timeout:
                log.info("%s: another process runs it; coming back later", label)
                held.append((number, cell))
        waiting, patience = held, -1.0  # the second time, wait for the other process
    return failed


EXECUTORS = {"serial": execute}


def attempt(
    cell: Cell,
    directory: Path,
    tracker: Any,
    label: str,
    group: str,
    progress: bool,
    splits: Sequence[str] = EVALUATION,
) -> bool:
    """Run a cell and record how it ended; True where it finished."""
    log.info("%s", label)
    started = time.monotonic()
    write_json(directory / "status.json", {"state": "running", "seconds": 0.0})
    status: dict[str, Any] = {"state": "finished"}
    try:
        run_cell(cell, directory, tracker, group=group, progress=progress, splits=splits)
    except Exception as error:
        line = " ".join(str(error).split()) or type(error).__name__
        log.error("%s failed: %s", label, line)
        (directory / "error.txt").write_text(traceback.format_exc())
        status = {"state": "failed", "error": line}
    else:
        (directory / "error.txt").unlink(missing_ok=True)
    seconds = round(time.monotonic() - started, 1)
    write_json(directory / "status.json", {**status, "seconds": seconds})
    return "error" not in status
