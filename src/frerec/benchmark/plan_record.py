"""``benchmark.json``: the cells of a run, and what a reader has to know about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from omegaconf import DictConfig

from frerec.benchmark.arms import has_samples
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.plan import axis_key
from frerec.config import plain
from frerec.tracking.environment import provenance
from frerec.tracking.private import public_command
from frerec.training_tools import write_json

if TYPE_CHECKING:
    from frerec.benchmark.cell import Cell


def write_plan(
    run_dir: Path, base: DictConfig, cells: Sequence[Cell], overrides: Sequence[str]
) -> str:
    """Write ``benchmark.json``: the cells, and what a reader has to know about the run.

    Cells of an earlier plan with the same settings stay in it, at the same place, so that a run may
    be widened, or shared by processes that take different values of an axis. What changes from one
    value to another, such as the number of training images, is that of the largest.

    Returns:
        The hash of these settings.
    """
    sets = [cell.stages.data for cell in cells]
    data = max((d for d in sets if d.name == sets[0].name), key=lambda d: len(d.rows("train")))
    counts = {
        split: _by_class(data.labels(split), data.classes) for split in ("train", "val", "test")
    }
    for cell in cells:
        stages, arm = cell.stages, cell.config.arm
        if stages.data is data and has_samples(arm) and "samples" in vars(stages):
            labels = stages.samples.manifest.label_indices()
            counts["synthetic"] = _by_class(labels, data.classes)
            break
    parts = ("data", "samples", "generator", "calibrator")
    settings = content_hash({part: plain(base[part]) for part in parts})
    own = [{"id": cell.id, "axes": cell.axes} for cell in cells]
    path = run_dir / "benchmark.json"
    with FileLock(run_dir / "plan.lock"):
        before = _read_plan(path)
        same = before.get("settings") == settings
        cells_before = before.get("cells", []) if same else []
        # By what they say, however an earlier version wrote the values of their axes.
        entries = {_entry_key(entry): entry for entry in [*cells_before, *own]}
        commands = before.get("command", "").splitlines() if same else []
        command = public_command("benchmark", overrides)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        content = {
            "name": str(base.name),
            "created": before.get("created", now) if same else now,
            "command": "\n".join([*commands, *([command] if command not in commands else [])]),
            "settings": settings,
            "dataset": data.name,
            "modality": data.modality,
            "published": base.published,
            "classes": list(data.classes),
            "image_size": data.image_size,
            "counts": _larger(before.get("counts", {}), counts) if same else counts,
            "cells": list(entries.values()),
            **provenance(),
        }
        write_json(path, content)
    return settings


def _entry_key(entry: dict[str, Any]) -> tuple[str, ...]:
    axes = sorted((key, axis_key(value)) for key, value in entry["axes"].items())
    return (entry["id"], *(f"{key}={value}" for key, value in axes))


def _larger(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The counts of the call with more training images, with what only one of them has."""
    sizes = [sum(counts.get("train", {}).values()) for counts in (before, now)]
    return before | now if sizes[1] >= sizes[0] else now | before


def _read_plan(path: Path) -> dict[str, Any]:
    """The plan of an earlier call; a damaged one is written anew."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _by_class(labels: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))
