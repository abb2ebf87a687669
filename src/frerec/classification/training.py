"""Train a classifier for a fixed number of steps; keep the best weights by validation AUC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from frerec.classification.classifier import Classifier
from frerec.errors import DataError
from frerec.training_tools import (
    AugmentedImages,
    Transform,
    best_checkpoint,
    check_positive,
    load_checkpoint,
    run_training,
)


@dataclass(frozen=True)
class TrainingRecord:
    """What a training left: ``seconds`` is summed over resumes, ``best_step`` counts from 1."""

    best_checkpoint: Path
    best_val_auc: float
    best_step: int
    steps: int
    images_seen: int
    seconds: float


def train_classifier(
    model: Classifier,
    train_set: Dataset[tuple[Tensor, int]],
    val_set: Dataset[tuple[Tensor, int]],
    *,
    directory: Path,
    steps: int,
    batch_size: int,
    seed: int,
    eval_every: int,
    transform: Transform | None = None,
    num_workers: int = 0,
    precision: str = "32-true",
    accelerator: str = "auto",
    gradient_clip: float | None = None,
    loggers: Sequence[Logger] = (),
    progress: bool = False,
) -> TrainingRecord:
    """Train for exactly ``steps`` optimiser steps, evaluating every ``eval_every`` and at the end.

    The order of the images depends on ``seed`` and the set's length, their augmentation and the
    dropout on ``seed`` and the step. Killed and called again, it goes on from the last evaluation
    and, on a CPU, ends with bitwise the same weights. ``model`` is left with the last weights;
    :func:`restore_best` gives it the best ones.

    Args:
        model: Changed in place.
        train_set: Yields (float32 [C, H, W] in [0, 1], label).
        val_set: The same; it must have images of at least two classes.
        directory: Gets ``log.jsonl``, ``plan.json``, ``last.ckpt`` and ``best-STEP.ckpt``.
        steps: Optimiser steps.
        batch_size: Images a step; every batch is full.
        seed: Of order, augmentation and dropout.
        eval_every: Steps between two evaluations.
        transform: Augmentation of the training images; see
            :class:`frerec.training_tools.AugmentedImages`.
        num_workers: Processes that read images.
        precision: Lightning's name, as "32-true" or "16-mixed".
        accelerator: Lightning's name.
        gradient_clip: Largest norm of the gradient, or None.
        loggers: Lightning loggers besides ``log.jsonl``.
        progress: Show a progress bar.

    Raises:
        ConfigError: If a number is out of range, ``directory`` holds another training, or the
            training diverges.
        DataError: If a set is empty, or the validation set has one class only.
    """
    check_positive(steps=steps, batch_size=batch_size, eval_every=eval_every)
    labels = _labels(val_set)
    if len(labels) == 0:
        raise DataError("the validation set is empty; check data.split and the labels")
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"the validation set has images of class number {labels[0]} only; an AUC needs at"
            " least two classes: enlarge the validation split"
        )
    validation: DataLoader[Any] = DataLoader(val_set, batch_size=batch_size)
    state = run_training(
        model,
        AugmentedImages(train_set, transform, seed),
        validation,
        directory=directory,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        eval_every=eval_every,
        monitor="val/auc",
        num_workers=num_workers,
        precision=precision,
        accelerator=accelerator,
        gradient_clip=gradient_clip,
        loggers=loggers,
        progress=progress,
        title="classifier",
    )
    return TrainingRecord(
        best_checkpoint=best_checkpoint(directory, state.best_step),
        best_val_auc=state.best_score,
        best_step=state.best_step,
        steps=steps,
        images_seen=steps * batch_size,
        seconds=state.seconds,
    )


def restore_best(model: Classifier, record: TrainingRecord) -> Classifier:
    """Give ``model`` the weights of the best checkpoint; returns it in evaluation mode.

    Raises:
        DataError: If the checkpoint is missing or damaged.
    """
    model.load_state_dict(load_checkpoint(record.best_checkpoint)["state_dict"])
    return model.eval()


def predict(
    model: Classifier,
    dataset: Dataset[tuple[Tensor, int]],
    batch_size: int,
    *,
    accelerator: str = "auto",
) -> np.ndarray:
    """Probabilities of every image in order, without augmentation and in full precision.

    Returns:
        float32 [N, classes]; rows sum to 1.
    """
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    home, mode = model.device, model.training
    model.to("cuda" if gpu else home).eval()
    try:
        with torch.inference_mode():
            batches = [
                model.predict_step(batch[0].to(model.device)).cpu()
                for batch in DataLoader(dataset, batch_size=batch_size)
            ]
    finally:
        model.to(home).train(mode)
    if not batches:
        return np.empty((0, int(model.hparams["num_classes"])), dtype=np.float32)
    return torch.cat(batches).numpy()


def _labels(dataset: Dataset[tuple[Tensor, int]]) -> np.ndarray:
    """The labels, without decoding the images where the data set has them at hand."""
    labels = getattr(dataset, "labels", None)
    if labels is None:
        labels = [dataset[i][1] for i in range(len(dataset))]  # type: ignore[arg-type]
    return np.asarray(labels, dtype=np.int64)
