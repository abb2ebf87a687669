"""One cell, end to end: its images, its classifier, its predictions and its metrics."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from torch.utils.data import ConcatDataset

from frerec.benchmark.arms import CALIBRATED, calibrates, has_samples, has_withheld
from frerec.benchmark.cell_record import (
    FORMAT,
    EnvironmentRecord,
    cell_name,
    write_config,
)
from frerec.benchmark.cell_record import STANDARD_AXES as STANDARD_AXES  # others have it from here
from frerec.benchmark.cell_tracking import track_results, tracked_cell
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.plan import PlannedCell
from frerec.benchmark.stage_tracking import StageTracking
from frerec.benchmark.stages import Stages
from frerec.classification import (
    Classifier,
    TrainingRecord,
    balanced_class_weights,
    predict,
    restore_best,
    train_classifier,
)
from frerec.config import plain
from frerec.data.datamodules import ImageDataModule
from frerec.data.stack import LabelledImages
from frerec.errors import ConfigError
from frerec.evaluation.predictions import Predictions, write_predictions
from frerec.tracking import Tracker
from frerec.training_tools import write_json

EVALUATION = ("val", "test")
SCHEDULE_KEYS = ("steps", "batch_size", "eval_every", "precision")
MACHINE_KEYS = ("accelerator", "num_workers")


@dataclass(frozen=True)
class Cell:
    """A planned cell whose inputs are known: ``id`` is the hash of all that shapes its result.

    ``values`` are those of the grid's axes as they were given, ``command`` what asked for it.
    """

    id: str
    axes: dict[str, Any]
    config: DictConfig
    stages: Stages
    values: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    @property
    def name(self) -> str:
        """A readable name: data, arm, classifier and seed."""
        return cell_name(self.axes)


def make_cell(planned: PlannedCell, stages: Stages) -> Cell:
    """Give a planned cell its id and its axes; the data are prepared, nothing is trained."""
    config, arm = planned.config, planned.config.arm
    content: dict[str, Any] = {
        "format": FORMAT,
        "data": stages.data.fingerprint,
        "arm": {key: arm[key] for key in ("real", "synthetic", "evaluation")},
        "classifier": _classifier_content(config.classifier),
        "augment": stages.data.modality if config.data.augment else None,
        "seed": config.seed,
    }
    synthetic = has_samples(arm)
    if synthetic:
        content["samples"] = stages.samples_key
    if has_withheld(arm):
        content["withheld"] = stages.ceiling_content
    if calibrates(arm):
        content["calibrator"] = [stages.calibrator_key, stages.calibrator_use]
    axes = {
        "data": stages.data.name,
        "generator": stages.generator_name if synthetic else "",
        "arm": arm.name,
        "classifier": _classifier_name(config.classifier),
        "seed": int(config.seed),
    }
    axes |= {k: v for k, v in planned.values.items() if k not in STANDARD_AXES}
    made = Cell(content_hash(content), axes, config, stages, planned.values, planned.command)
    if planned.saved_id not in (None, made.id):
        raise ConfigError(
            f"the saved cell {planned.saved_id} would be {made.id} now: its settings were edited,"
            " or the data or samples are not what they were; undo that, or run it as a new cell"
        )
    return made


def run_cell(
    cell: Cell,
    directory: Path,
    tracker: Tracker,
    *,
    group: str,
    progress: bool,
    splits: Sequence[str] = EVALUATION,
) -> None:
    """Run one cell and leave its files in ``directory``; then the tracker is told its results.

    ``training.cell_seconds`` leave out what the tracker took to begin and to end.

    Args:
        cell: The cell.
        directory: Gets its files.
        tracker: Is told of it.
        group: The run's name.
        progress: Show progress bars.
        splits: Whose images are classified at the end, ``val`` among them; a sweep leaves the
            test images out.
    """
    started = time.monotonic()
    stages, config = cell.stages, cell.config
    data = stages.data
    directory.mkdir(parents=True, exist_ok=True)
    write_config(directory, config, cell_id=cell.id, values=cell.values)
    environment = EnvironmentRecord(directory, seed=int(config.seed), command=cell.command)
    stages.track = StageTracking(tracker, group, directory.parents[1] / "stages")

    train = _training_images(stages, config)
    real_stack = _real_stack(stages, config.arm.evaluation)
    evaluation = {
        split: LabelledImages(real_stack, data.rows(split), data.labels(split)) for split in splits
    }
    schedule = {key: config.classifier[key] for key in SCHEDULE_KEYS}
    weights = None
    if config.classifier.balanced:
        weights = balanced_class_weights(_labels(train), len(data.classes))
    model = new_classifier(config, data, class_weights=weights)
    seconds = time.monotonic() - started
    with tracked_cell(tracker, cell, directory, group) as run:
        resumed = time.monotonic()
        record = train_classifier(
            model,
            train,
            evaluation["val"],
            directory=directory,
            **schedule,
            seed=config.seed,
            transform=data.train_transform(),
            loggers=run.loggers,
            progress=progress,
            **{key: config.trainer[key] for key in MACHINE_KEYS},
        )
        best = restore_best(model, record)
        made = {
            split: _predictions(best, images, split, cell) for split, images in evaluation.items()
        }
        scores = {split: found.metrics() for split, found in made.items()}
        write_predictions(directory / "predictions.parquet", made)
        environment.finish(training_seconds=record.seconds)
        training = _training_summary(cell, record) | {
            "seconds": round(record.seconds, 1),
            "cell_seconds": round(seconds + time.monotonic() - resumed, 1),
        }
        metrics = {"axes": cell.axes, **scores, "training": training}
        write_json(directory / "metrics.json", metrics)
        track_results(run, cell, made, scores, best)


def _predictions(best: Classifier, images: LabelledImages, split: str, cell: Cell) -> Predictions:
    """What the classifier says of a split's images."""
    data, config = cell.stages.data, cell.config
    probabilities = predict(
        best, images, config.classifier.batch_size, accelerator=config.trainer.accelerator
    )
    table = data.manifest.table.iloc[data.rows(split)]
    return Predictions(
        table["image"].to_numpy(dtype=object),
        table["group"].to_numpy(dtype=object),
        data.labels(split),
        probabilities.astype(np.float64),
    )


def _training_summary(cell: Cell, record: TrainingRecord) -> dict[str, Any]:
    """What the training took: its steps and its images."""
    stages, config = cell.stages, cell.config
    synthetic = has_samples(config.arm)
    withheld = len(stages.ceiling) if has_withheld(config.arm) else 0
    summary = {
        "steps": record.steps,
        "images_seen": record.images_seen,
        "best_step": record.best_step,
        "best_val_auc": record.best_val_auc,
        "train_real": len(stages.data.rows("train")) + withheld,
        "train_synthetic": len(stages.samples.stack) if synthetic else 0,
    }
    if withheld:
        summary["train_withheld"] = withheld
    if synthetic and config.samples.exclude_memorised:
        summary["excluded_memorised"] = int(stages.memorisation.flagged.sum())
    return summary


def _classifier_content(classifier: DictConfig) -> dict[str, Any]:
    """The classifier's settings, its initial weights by their content rather than their path."""
    content = plain(classifier)
    path = content["checkpoint_path"]
    if path is not None:
        if not Path(path).is_file():
            raise ConfigError(f"classifier.checkpoint_path={path}: no such file")
        with Path(path).open("rb") as file:
            content["checkpoint_path"] = hashlib.file_digest(file, "sha256").hexdigest()
    return content


def _classifier_name(classifier: DictConfig) -> str:
    """Timm's names are the field's own; another library's carry its name."""
    prefix = "" if classifier.library == "timm" else f"{classifier.library}_"
    return f"{prefix}{classifier.name}"


def new_classifier(
    config: DictConfig, data: ImageDataModule, *, class_weights: Sequence[float] | None
) -> Classifier:
    """The cell's classifier with its initial weights."""
    others = (*SCHEDULE_KEYS, "balanced")
    settings = {key: v for key, v in plain(config.classifier).items() if key not in others}
    return Classifier(
        **settings,
        num_classes=len(data.classes),
        in_channels=data.channels,
        image_size=data.image_size,
        class_weights=class_weights,
        seed=config.seed,
    )


def read_status(directory: Path, splits: Sequence[str] = EVALUATION) -> str:
    """State of a cell's folder: finished, failed, running or pending.

    What a kill or a full disk left unreadable counts as pending, and is made again; so does a cell
    that is finished but without the results of one of ``splits``.
    """
    status, metrics = (_read_object(directory / f"{name}.json") for name in ("status", "metrics"))
    state = str(status.get("state", "pending"))
    return "pending" if state == "finished" and not set(splits) <= set(metrics) else state


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _training_images(stages: Stages, config: DictConfig) -> ConcatDataset[Any]:
    data = stages.data
    parts = [
        LabelledImages(
            _real_stack(stages, config.arm.real), data.rows("train"), data.labels("train")
        )
    ]
    if has_withheld(config.arm):
        parts.append(stages.ceiling)
    if has_samples(config.arm):
        samples = stages.samples
        calibrated = config.arm.synthetic == CALIBRATED
        stack = stages.calibrated("synthetic") if calibrated else samples.stack
        rows = np.arange(len(stack))
        parts.append(LabelledImages(stack, rows, samples.manifest.label_indices()))
    return ConcatDataset(parts)


def _real_stack(stages: Stages, treatment: str) -> Any:
    return stages.calibrated("real") if treatment == "calibrated" else stages.data.stack


def _labels(images: ConcatDataset[Any]) -> np.ndarray:
    return np.concatenate([part.labels for part in images.datasets])  # type: ignore[attr-defined]
