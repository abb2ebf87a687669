"""One trial: the cells of its seeds, one after the other, and their mean on validation."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
from filelock import FileLock
from optuna.trial import Trial, TrialState

from frerec.benchmark.arms import calibrates
from frerec.benchmark.cell import Cell, read_status
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.plan import expand
from frerec.benchmark.planned_stages import Kept, with_stages
from frerec.benchmark.runner import attempt, check_before_training
from frerec.config import instantiate
from frerec.data.datamodules import ImageDataModule
from frerec.errors import ConfigError, DataError
from frerec.sweep.settings import Settings, without_sweep
from frerec.tracking import NoTracker

log = logging.getLogger(__name__)

SPLITS = ("val",)  # whose images a trial classifies
OF_CALIBRATOR = ("psnr", "ssim", "lsd_db", "lsd_high_db")


@dataclass(frozen=True)
class Bench:
    """What all trials of a sweep have in common.

    Attributes:
        settings: of the sweep.
        config_name: `sweep`.
        overrides: of every trial, without the space.
        run_dir: gets the cells.
        validation: hash of the validation images and labels; a trial on others has no place here.
        progress: show progress bars.
        tracked: whether cells go to the configuration's logger.
        kept: data, stages and checks of earlier trials, which later ones need not make again.
    """

    settings: Settings
    config_name: str
    overrides: tuple[str, ...]
    run_dir: Path
    validation: str
    progress: bool
    tracked: bool = True
    kept: Kept = field(default_factory=Kept, compare=False, repr=False)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: its value, and why where it failed."""

    state: TrialState
    value: float | None = None
    reason: str = ""


Runner = Callable[[Trial, Bench], Outcome]


def plan_cells(bench: Bench, chosen: Sequence[str]) -> list[Cell]:
    """The cells of one combination, a cell for each seed; nothing is trained.

    Args:
        bench: the sweep.
        chosen: overrides that set the keys of the space.

    Raises:
        ConfigError, DataError: For whatever can be known before training.
    """
    seeds = ",".join(map(str, bench.settings.seeds))
    base, planned = expand(bench.config_name, [*bench.overrides, *chosen, f"seed={seeds}"])
    for axis in base.grid:
        values = sorted({str(item.values[axis]) for item in planned})
        if axis != "seed" and len(values) > 1:
            raise ConfigError(
                f"grid.{axis}=[{','.join(values)}]: a trial has one value of it; give {axis}=VALUE,"
                f" or search over it with {axis}={','.join(values)}"
            )
    cells = with_stages(
        [replace(item, config=without_sweep(item.config)) for item in planned],
        bench.progress,
        bench.kept,
    )
    try:
        check_before_training(cells, bench.kept.checked)
    except Exception:
        bench.kept.checked.clear()  # what failed is checked again
        raise
    return cells


def run_trial(trial: Trial, bench: Bench) -> Outcome:
    """Run a trial's cells and record them in the study; no test image is classified.

    A failed cell fails the trial, and the reason is recorded. Cells that are finished are not
    run again.
    """
    chosen = [p.override(trial.params[p.key]) for p in bench.settings.space]
    trial.set_user_attr("overrides", chosen)
    try:
        cells = plan_cells(bench, chosen)
        if validation_hash(cells[0].stages.data) != bench.validation:
            raise DataError("the validation images differ from the first trial's: no comparison")
    except Exception as error:
        return _failed(trial, error)
    trial.set_user_attr("cells", [cell.id for cell in cells])
    values: list[float] = []
    records: list[dict[str, Any]] = []
    state = TrialState.COMPLETE
    for step, cell in enumerate(cells, 1):
        label = f"trial {trial.number}, seed {cell.axes['seed']} [{step}/{len(cells)}]"
        reason = _run(cell, bench, trial.number, label)
        if reason:
            return _failed(trial, RuntimeError(f"seed {cell.axes['seed']}: {reason}"))
        try:
            records.append(_validation_record(bench.run_dir / "cells" / cell.id))
            values.append(records[-1]["val"][bench.settings.metric])
        except (KeyError, ValueError) as error:
            return _failed(trial, error)
        trial.set_user_attr("values", values)
        done = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        if step not in done:  # one that was taken up again has reported it
            trial.report(fmean(values), step)
        if step < len(cells) and trial.should_prune():
            state = TrialState.PRUNED
            break
    trial.set_user_attr("val", _means(records, "val"))
    trial.set_user_attr("calibrator", _calibrator_record(cells[0]))
    trial.set_user_attr("seconds", round(sum(record["seconds"] for record in records), 1))
    return Outcome(state, fmean(values))


def validation_hash(data: ImageDataModule) -> str:
    """Hash of the validation images' content and labels, wherever they lie."""
    table = data.manifest.table.iloc[data.rows("val")]
    column = next(name for name in ("pixels", "hash", "image") if name in table)
    pairs = zip(table[column].astype(str), data.labels("val").tolist(), strict=True)
    return content_hash({"validation": sorted(map(list, pairs))})


def _run(cell: Cell, bench: Bench, number: int, label: str) -> str:
    """Run a cell unless it is finished; the reason where it failed, or nothing."""
    directory = bench.run_dir / "cells" / cell.id
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / "lock"):  # two trials may draw the same values
        if read_status(directory, SPLITS) == "finished":
            log.info("%s: finished before", label)
            return ""
        tracker = ValidationOnly(_tracker(cell, bench.tracked, number))
        name = bench.settings.name
        if attempt(cell, directory, tracker, label, name, bench.progress, SPLITS):
            return ""
    status = json.loads((directory / "status.json").read_text(encoding="utf-8"))
    return str(status.get("error") or "failed")


def _tracker(cell: Cell, tracked: bool, number: int) -> Any:
    return instantiate(cell.config.logger).tagged(f"trial {number}") if tracked else NoTracker()


class ValidationOnly:
    """A tracker whose cells are trials, and whose runs get nothing of test images."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker

    @contextmanager
    def run(self, name: str, **settings: Any) -> Iterator[Any]:
        """A run of the tracker."""
        job_type = settings.pop("job_type", "trial")  # a stage says what it is
        with self._tracker.run(name, job_type=job_type, **settings) as run:
            yield _ValidationRun(run)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)


class _ValidationRun:
    def __init__(self, run: Any) -> None:
        self._run = run

    def summary(self, values: Mapping[str, Any]) -> None:
        """All values but those of test images."""
        kept = {key: value for key, value in values.items() if not key.startswith("test")}
        if kept:
            self._run.summary(kept)

    def table(self, key: str, table: pd.DataFrame) -> None:
        """All rows but those of test images."""
        self._run.table(key, table[table["split"] != "test"] if "split" in table else table)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)


def _validation_record(directory: Path) -> dict[str, Any]:
    """Validation metrics and seconds of a finished cell, and nothing else of it."""
    metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    training = metrics.get("training", {})
    seconds = training.get("cell_seconds", training.get("seconds", 0.0))
    return {"val": dict(metrics["val"]), "seconds": float(seconds)}


def _calibrator_record(cell: Cell) -> dict[str, float]:
    """How well the trial's calibrator repairs held-out real images, where one was fitted."""
    arm = cell.config.arm
    if not calibrates(arm):
        return {}
    file = cell.stages.calibrator_folder / "fit.json"
    if not file.is_file():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {key: float(found[key]) for key in OF_CALIBRATOR if key in found}


def _means(records: Sequence[Mapping[str, Any]], part: str) -> dict[str, float]:
    return {key: fmean(record[part][key] for record in records) for key in records[0][part]}


def _failed(trial: Trial, error: Exception) -> Outcome:
    line = " ".join(str(error).split()) or type(error).__name__
    log.error("trial %d failed: %s", trial.number, line)
    trial.set_user_attr("error", line)
    return Outcome(TrialState.FAIL, reason=line)
