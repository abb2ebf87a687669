"""What a sweep leaves as plain files: ``sweep.json`` and ``sweep/trials.json``."""

import json
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from frerec.benchmark.cell import Cell
from frerec.errors import ConfigError
from frerec.sweep.settings import Settings
from frerec.tracking.environment import hardware, package_versions
from frerec.tracking.private import public_override
from frerec.training_tools import write_json

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def write_index(
    run_dir: Path,
    settings: Settings,
    cell: Cell,
    overrides: Sequence[str],
    storage: str,
    identity: str,
) -> None:
    """Write ``sweep.json``: what was searched, and what a reader has to know about the run.

    Args:
        run_dir: of the sweep.
        settings: of the sweep.
        cell: one of a trial.
        overrides: of the command line.
        storage: in words.
        identity: of the study, wherever it lies.

    Raises:
        ConfigError: If the folder holds the records of another study.
    """
    path = run_dir / "sweep.json"
    data = cell.stages.data
    with FileLock(run_dir / "sweep.lock"):
        before = _read(path)
        now = {"study": settings.study, "storage": storage, "identity": identity}
        for key, value in now.items():
            if before.get(key, value) != value:
                raise ConfigError(
                    f"name={settings.name}: {run_dir} has the records of another study"
                    f" ({before.get('study')}, {before.get('storage')}); give another name="
                )
        content = {
            "name": settings.name,
            **now,
            "created": before.get("created", datetime.now(UTC).isoformat(timespec="seconds")),
            "command": shlex.join(["frerec", "sweep", *map(_without_place, overrides)]),
            "objective": settings.objective,
            "direction": settings.direction,
            "trials": settings.trials,
            "seeds": list(settings.seeds),
            "sampler": settings.sampler,
            "sampler_seed": settings.sampler_seed,
            "pruner": settings.pruner,
            "space": {parameter.key: parameter.text for parameter in settings.space},
            "dataset": data.name,
            "modality": data.modality,
            "image_size": data.image_size,
            "arm": cell.axes["arm"],
            "classifier": cell.axes["classifier"],
            "generator": cell.axes["generator"],
            "counts": {split: len(data.rows(split)) for split in ("train", "val")},
            "versions": package_versions(),
            "hardware": hardware(),
        }
        write_json(path, content)


def write_trials(
    run_dir: Path, settings: Settings, fetch: Callable[[], Sequence[FrozenTrial]]
) -> None:
    """Write ``sweep/trials.json``: every trial of the study, without a word of test images.

    Args:
        run_dir: of the sweep.
        settings: of the sweep.
        fetch: gives the trials; called while other workers are kept out, so that no older list
            takes the place of a newer one.
    """
    folder = run_dir / "sweep"
    folder.mkdir(parents=True, exist_ok=True)
    distributions = {
        p.key: json.loads(distribution_to_json(p.distribution)) for p in settings.space
    }
    with FileLock(run_dir / "sweep.lock"):
        trials = [_plain(trial) for trial in fetch()]
        write_json(folder / "trials.json", {"distributions": distributions, "trials": trials})


def _plain(trial: FrozenTrial) -> dict[str, Any]:
    value = trial.value if trial.state == TrialState.COMPLETE else None
    attributes = trial.user_attrs
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        "value": value,
        "params": dict(trial.params),
        "overrides": attributes.get("overrides", []),
        "cells": attributes.get("cells", []),
        "values": attributes.get("values", []),
        "val": attributes.get("val", {}),
        "calibrator": attributes.get("calibrator", {}),
        "seconds": attributes.get("seconds"),
        "error": attributes.get("error", ""),
        "started": _time(trial.datetime_start),
        "ended": _time(trial.datetime_complete),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _without_place(override: str) -> str:
    """The page is one that people share: no path, host or password of theirs is on it."""
    key, _, value = override.partition("=")
    return (
        f"storage={value.partition(':')[0]}:..." if key == "storage" else public_override(override)
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
