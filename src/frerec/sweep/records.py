"""What a sweep leaves as plain files: ``sweep.json``, ``sweep/trials.json`` and ``best.yaml``."""

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from frerec.benchmark.cell import Cell
from frerec.sweep.grammar import key_of
from frerec.sweep.settings import KEYS, Settings
from frerec.tracking.environment import hardware, package_versions
from frerec.training_tools import write_json

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def write_index(
    run_dir: Path, settings: Settings, cell: Cell, overrides: Sequence[str], storage: str
) -> None:
    """Write ``sweep.json``: what was searched, and what a reader has to know about the run.

    Args:
        run_dir: of the sweep.
        settings: of the sweep.
        cell: one of a trial.
        overrides: of the command line.
        storage: in words.
    """
    path = run_dir / "sweep.json"
    data = cell.stages.data
    with FileLock(run_dir / "sweep.lock"):
        before = _read(path)
        content = {
            "name": settings.name,
            "study": settings.study,
            "created": before.get("created", datetime.now(UTC).isoformat(timespec="seconds")),
            "command": shlex.join(["frerec", "sweep", *map(_without_place, overrides)]),
            "storage": storage,
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


def write_trials(run_dir: Path, settings: Settings, trials: Sequence[FrozenTrial]) -> None:
    """Write ``sweep/trials.json``: every trial of the study, without a word of test images."""
    folder = run_dir / "sweep"
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "distributions": {p.key: json.loads(distribution_to_json(p.distribution))
                          for p in settings.space},
        "trials": [_plain(trial) for trial in trials],
    }  # fmt: skip
    with FileLock(run_dir / "sweep.lock"):
        write_json(folder / "trials.json", content)


def write_best(
    run_dir: Path, settings: Settings, trials: Sequence[FrozenTrial], common: Sequence[str]
) -> FrozenTrial | None:
    """Write ``sweep/best.yaml``: the overrides that give the best trial again.

    Args:
        run_dir: of the sweep.
        settings: of the sweep.
        trials: of the study.
        common: overrides that all trials have, arm and classifier among them.

    Returns:
        The best trial; None while none is complete.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    if not complete:
        return None
    sign = 1 if settings.direction == "maximize" else -1
    best = max(complete, key=lambda trial: (sign * float(trial.value or 0.0), -trial.number))
    own = (*KEYS, "sweep", "name", "seed")
    kept = [o for o in common if key_of(o) not in own and key_of(o).split(".")[0] != "space"]
    overrides = [*kept, *best.user_attrs["overrides"]]
    overrides.append(f"seed={','.join(map(str, settings.seeds))}")
    command = shlex.join(["frerec", "benchmark", f"name={settings.name}_best", *overrides])
    text = (
        f"# The best of {len(complete)} complete trials on the validation images, and so an"
        " optimistic one.\n"
        + "# The search looked at no test image; `frerec benchmark` with these does, once.\n"
        + yaml.safe_dump(
            {
                "trial": best.number,
                "objective": settings.objective,
                "value": best.value,
                "overrides": overrides,
                "command": command,
            },
            sort_keys=False,
            width=1000,
        )
    )
    with FileLock(run_dir / "sweep.lock"):
        partial = run_dir / "sweep" / "best.yaml.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(run_dir / "sweep" / "best.yaml")
    return best


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
    if key == "storage":
        return f"storage={value.partition(':')[0]}:..."
    return f"{key}=DIR" if "/" in value or "\\" in value else override


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
