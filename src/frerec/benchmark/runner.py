"""Plan, run and report a comparison; run again, it goes on where it stopped."""

import logging
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from frerec.benchmark.cell import Cell, make_cell, read_status, run_cell
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.plan import expand
from frerec.benchmark.showcase import write_showcase
from frerec.benchmark.stages import Stages
from frerec.config import instantiate
from frerec.errors import ConfigError
from frerec.tracking.environment import hardware, package_versions
from frerec.training_tools import write_json

log = logging.getLogger(__name__)


def run_benchmark(config_name: str, overrides: Sequence[str]) -> tuple[Path, int]:
    """Run every cell of the comparison that is not finished, then the showcase.

    A failed cell leaves ``error.txt``; the others go on.

    Returns:
        The run's folder, and the number of failed cells.
    """
    base, planned = expand(config_name, overrides)
    progress = bool(base.trainer.progress) and sys.stderr.isatty()
    tracker = instantiate(base.logger)
    run_dir = Path(base.paths.runs) / str(base.name)
    if Path(str(base.name)).name != str(base.name):
        raise ConfigError(f"name={base.name}: expected a folder's name without slashes")
    cells = _with_stages(planned, progress)
    run_dir.mkdir(parents=True, exist_ok=True)
    _write_plan(run_dir, base, cells, overrides)
    failed = execute(cells, run_dir, tracker, group=str(base.name), progress=progress)
    synthetic = [cell for cell in cells if cell.config.arm.synthetic != "none"]
    calibrated = [cell for cell in synthetic if cell.config.arm.synthetic == "calibrated"]
    shown = (calibrated or synthetic)[:1]
    if shown and failed < len(cells):
        with FileLock(run_dir / "showcase.lock"):
            write_showcase(shown[0], run_dir, _feature_cell(cells, run_dir), base.showcase)
    _write_plan(run_dir, base, cells, overrides)  # once more: now the samples are counted
    return run_dir, failed


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
                    elif not _attempt(cell, directory, tracker, label, group, progress):
                        failed += 1
            except Timeout:
                log.info("%s: another process runs it; coming back later", label)
                held.append((number, cell))
        waiting, patience = held, -1.0  # the second time, wait for the other process
    return failed


def _attempt(
    cell: Cell, directory: Path, tracker: Any, label: str, group: str, progress: bool
) -> bool:
    """Run a cell and record how it ended; True where it finished."""
    log.info("%s", label)
    started = time.monotonic()
    write_json(directory / "status.json", {"state": "running", "seconds": 0.0})
    status: dict[str, Any] = {"state": "finished"}
    try:
        run_cell(cell, directory, tracker, group=group, progress=progress)
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


def _with_stages(planned: Sequence[Any], progress: bool) -> list[Cell]:
    """Cells with their stages; data prepared once for each data configuration."""
    prepared: dict[str, Any] = {}
    shared: dict[str, Stages] = {}
    cells = []
    for item in planned:
        data_part = OmegaConf.to_container(item.config.data, resolve=True)
        data_key = content_hash({"data": data_part})
        parts = ("data", "samples", "generator", "calibrator", "trainer")
        whole = {part: OmegaConf.to_container(item.config[part], resolve=True) for part in parts}
        key = content_hash(whole)
        if key not in shared:
            shared[key] = Stages(item.config, progress=progress, data=prepared.get(data_key))
            prepared[data_key] = shared[key].data
        cells.append(make_cell(item, shared[key]))
    return cells


def _feature_cell(cells: Sequence[Cell], run_dir: Path) -> Path | None:
    """Folder of a finished real-only cell, whose classifier serves as KID's feature extractor."""
    for cell in cells:
        folder = run_dir / "cells" / cell.id
        arm = cell.config.arm
        plain = (arm.real, arm.synthetic, arm.evaluation) == ("raw", "none", "raw")
        if plain and read_status(folder) == "finished":
            return folder
    return None


def _write_plan(
    run_dir: Path, base: DictConfig, cells: Sequence[Cell], overrides: Sequence[str]
) -> None:
    data = cells[0].stages.data
    counts = {
        split: _by_class(data.labels(split), data.classes) for split in ("train", "val", "test")
    }
    for cell in cells:
        if cell.config.arm.synthetic != "none" and "samples" in vars(cell.stages):
            labels = cell.stages.samples.manifest.label_indices()
            counts["synthetic"] = _by_class(labels, data.classes)
            break
    existing = run_dir / "benchmark.json"
    write_json(
        existing,
        {
            "name": str(base.name),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["frerec benchmark", *overrides]),
            "dataset": data.name,
            "modality": data.modality,
            "published": base.published,
            "classes": list(data.classes),
            "image_size": int(data.stack.shape[-1]),
            "counts": counts,
            "cells": [{"id": cell.id, "axes": cell.axes} for cell in cells],
            "versions": package_versions(),
            "hardware": hardware(),
        },
    )


def _by_class(labels: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))
