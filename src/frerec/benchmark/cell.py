"""One cell, end to end: its images, its classifier, its predictions and its metrics."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import ConcatDataset

from frerec.benchmark.hashing import content_hash
from frerec.benchmark.plan import PlannedCell
from frerec.benchmark.stages import Stages
from frerec.classification import (
    Classifier,
    balanced_class_weights,
    predict,
    restore_best,
    train_classifier,
)
from frerec.config import plain
from frerec.data.datamodules import ImageDataModule
from frerec.data.stack import LabelledImages
from frerec.errors import ConfigError
from frerec.evaluation.metrics import classification_metrics
from frerec.training_tools import write_json

FORMAT = 3  # raise when a cell's result changes for equal inputs
EVALUATION = ("val", "test")
SCHEDULE_KEYS = ("steps", "batch_size", "eval_every", "precision")
MACHINE_KEYS = ("accelerator", "num_workers")


@dataclass(frozen=True)
class Cell:
    """A planned cell whose inputs are known: ``id`` is the hash of all that shapes its result."""

    id: str
    axes: dict[str, Any]
    config: DictConfig
    stages: Stages

    @property
    def name(self) -> str:
        """A readable name: arm, classifier and seed."""
        return " ".join(
            str(self.axes[axis]) for axis in ("data", "arm", "classifier", "seed")
        ) + "".join(f" {k}={v}" for k, v in self.axes.items() if k not in STANDARD_AXES)


STANDARD_AXES = ("data", "generator", "arm", "classifier", "seed")


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
    synthetic = arm.synthetic != "none"
    if synthetic:
        content["samples"] = stages.samples_key
    if "calibrated" in (arm.real, arm.synthetic, arm.evaluation):
        content["calibrator"] = [stages.calibrator_key, stages.calibrator_use]
    axes = {
        "data": stages.data.name,
        "generator": stages.generator_name if synthetic else "",
        "arm": arm.name,
        "classifier": _classifier_name(config.classifier),
        "seed": int(config.seed),
    }
    axes |= {k: v for k, v in planned.values.items() if k not in STANDARD_AXES}
    return Cell(content_hash(content), axes, config, stages)


def run_cell(cell: Cell, directory: Path, tracker: Any, *, group: str, progress: bool) -> None:
    """Run one cell and leave its files in ``directory``; ``metrics.json`` is written last."""
    started = time.monotonic()
    stages, config = cell.stages, cell.config
    data = stages.data
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))

    train = _training_images(stages, config)
    real_stack = _real_stack(stages, config.arm.evaluation)
    evaluation = {
        split: LabelledImages(real_stack, data.rows(split), data.labels(split))
        for split in EVALUATION
    }
    schedule = {key: config.classifier[key] for key in SCHEDULE_KEYS}
    weights = None
    if config.classifier.balanced:
        weights = balanced_class_weights(_labels(train), len(data.classes))
    model = new_classifier(config, data, class_weights=weights)
    axes_text = {k: v for k, v in cell.axes.items() if v != ""}
    with tracker.run(
        cell.name,
        group=group,
        cell_id=cell.id,
        config={
            "cell": cell.id,
            **axes_text,
            "config": OmegaConf.to_container(config, resolve=True),
        },
        directory=directory,
    ) as run:
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
        metrics: dict[str, Any] = {"axes": cell.axes}
        tables = []
        for split, images in evaluation.items():
            probabilities = predict(
                best, images, schedule["batch_size"], accelerator=config.trainer.accelerator
            )
            labels = data.labels(split)
            metrics[split] = classification_metrics(labels, probabilities)
            names = data.manifest.table["image"].to_numpy()[data.rows(split)]
            table = pd.DataFrame({"image": names, "split": split, "label": labels})
            for index in range(probabilities.shape[1]):
                table[f"prob_{index}"] = probabilities[:, index]
            tables.append(table)
        run.summary({f"test/{k}": v for k, v in metrics["test"].items()})
        run.summary({f"best_val/{k}": v for k, v in metrics["val"].items()})
    partial = directory / "predictions.parquet.partial"
    pd.concat(tables, ignore_index=True).to_parquet(partial)
    partial.replace(directory / "predictions.parquet")
    synthetic = config.arm.synthetic != "none"
    excluded = None
    if synthetic and config.samples.exclude_memorised:
        excluded = int(stages.memorisation.flagged.sum())
    metrics["training"] = {
        "steps": record.steps,
        "images_seen": record.images_seen,
        "best_step": record.best_step,
        "best_val_auc": record.best_val_auc,
        "train_real": len(data.rows("train")),
        "train_synthetic": len(stages.samples.stack) if synthetic else 0,
        **({"excluded_memorised": excluded} if excluded is not None else {}),
        "seconds": round(record.seconds, 1),
        "cell_seconds": round(time.monotonic() - started, 1),
    }
    write_json(directory / "metrics.json", metrics)


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


def read_status(directory: Path) -> str:
    """State of a cell's folder: finished, failed, running or pending.

    What a kill or a full disk left unreadable counts as pending, and is made again.
    """
    status, metrics = (_read_object(directory / f"{name}.json") for name in ("status", "metrics"))
    state = str(status.get("state", "pending"))
    return "pending" if state == "finished" and "test" not in metrics else state


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
    if config.arm.synthetic != "none":
        samples = stages.samples
        calibrated = config.arm.synthetic == "calibrated"
        stack = stages.calibrated("synthetic") if calibrated else samples.stack
        rows = np.arange(len(stack))
        parts.append(LabelledImages(stack, rows, samples.manifest.label_indices()))
    return ConcatDataset(parts)


def _real_stack(stages: Stages, treatment: str) -> Any:
    return stages.calibrated("real") if treatment == "calibrated" else stages.data.stack


def _labels(images: ConcatDataset[Any]) -> np.ndarray:
    return np.concatenate([part.labels for part in images.datasets])  # type: ignore[attr-defined]
