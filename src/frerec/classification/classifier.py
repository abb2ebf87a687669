"""The classifier: any backbone with its loss, optimiser and validation AUC, on plain arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import BinaryAUROC, MulticlassAccuracy, MulticlassAUROC

from frerec.classification.backbones import create_backbone
from frerec.errors import ConfigError, DataError


class Classifier(pl.LightningModule):
    """An image classifier on tensors [B, C, H, W] with values in [0, 1].

    Args:
        library: "timm" or "monai".
        name: The backbone's name in that library.
        num_classes: At least 2; for two classes, class 1 is the positive one.
        in_channels: 1 or 3.
        image_size: Height and width in pixels.
        pretrained: Fetch the library's weights.
        checkpoint_path: A file of weights to begin with, or None.
        mean: Subtracted from the image inside the model; one value, or one a channel.
        std: Divides the image inside the model; one value, or one a channel.
        lr: Learning rate of AdamW; 1e-4 is [ours], the paper is silent.
        weight_decay: Of AdamW, for matrices and kernels only; biases and norms have none.
        schedule: "constant", or "cosine": down to zero over the whole run.
        warmup_steps: Steps over which the rate rises linearly from lr / warmup_steps.
        label_smoothing: Of the training loss, in [0, 1).
        class_weights: Factor of each class in the training loss, or None for the plain loss; see
            :func:`balanced_class_weights`.
        seed: Of the weights that are not loaded.

    Raises:
        ConfigError: If an argument is out of range or the backbone cannot be had.
    """

    mean: Tensor
    std: Tensor
    total_steps: int = 0  # set by the training loop

    def __init__(
        self,
        *,
        library: str,
        name: str,
        num_classes: int,
        in_channels: int,
        image_size: int,
        pretrained: bool = False,
        checkpoint_path: str | Path | None = None,
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.25,),
        lr: float = 1e-4,
        weight_decay: float = 1e-4,
        schedule: str = "constant",
        warmup_steps: int = 0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        # Plain values only: a checkpoint must load with weights_only=True.
        checkpoint_path = None if checkpoint_path is None else str(checkpoint_path)
        mean, std = [float(v) for v in mean], [float(v) for v in std]
        class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.save_hyperparameters(logger=False)  # a path in them stays on this machine
        for key, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, in_channels):
                raise ConfigError(
                    f"classifier {key}={values}: expected 1 or {in_channels} values (channels)"
                )
        for key, value in (("lr", lr), ("std", min(std))):
            if value <= 0:
                raise ConfigError(f"classifier.{key}={value}: expected a number above 0")
        if schedule not in ("constant", "cosine"):
            raise ConfigError(f"classifier.schedule={schedule}: expected constant or cosine")
        if not 0.0 <= label_smoothing < 1.0:
            raise ConfigError(
                f"classifier.label_smoothing={label_smoothing}: expected a number in [0, 1)"
            )
        if class_weights is not None and len(class_weights) != num_classes:
            raise ConfigError(
                f"classifier class_weights: expected {num_classes}, found {len(class_weights)}"
            )
        self.lr, self.weight_decay, self.label_smoothing = lr, weight_decay, label_smoothing
        self.schedule, self.warmup_steps = schedule, warmup_steps
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = create_backbone(
                library,
                name,
                num_classes=num_classes,
                in_channels=in_channels,
                image_size=image_size,
                pretrained=pretrained,
                checkpoint_path=checkpoint_path,
            )
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.binary = num_classes == 2
        self.auc: Metric = (
            BinaryAUROC() if self.binary else MulticlassAUROC(num_classes, average="macro")
        )
        self.accuracy: Metric = MulticlassAccuracy(num_classes, average="micro")

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W] in [0, 1]."""
        logits: Tensor = self.backbone((images - self.mean) / self.std)
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_idx: int) -> Tensor:
        """Cross-entropy, weighted and smoothed as asked."""
        images, labels = batch
        return F.cross_entropy(
            self(images).float(),
            labels,
            weight=self.class_weights,  # type: ignore[arg-type]
            label_smoothing=self.label_smoothing,
        )

    def validation_step(self, batch: tuple[Tensor, Tensor], _batch_idx: int) -> None:
        """Plain cross-entropy, AUC and accuracy: comparable whatever the training loss is."""
        images, labels = batch
        logits = self(images).float()
        probabilities = logits.softmax(1)
        self.auc.update(probabilities[:, 1] if self.binary else probabilities, labels)
        self.accuracy.update(probabilities, labels)
        loss = F.cross_entropy(logits, labels)
        self.log("val/loss", loss, on_epoch=True, logger=False, batch_size=len(labels))

    def on_validation_epoch_end(self) -> None:
        """Log ``val/auc`` and ``val/accuracy`` over the whole validation set."""
        self.log("val/auc", self.auc.compute(), logger=False)
        self.log("val/accuracy", self.accuracy.compute(), logger=False)
        self.auc.reset()
        self.accuracy.reset()

    def predict_step(self, batch: Any, _batch_idx: int = 0) -> Tensor:
        """Probabilities [B, classes] of a batch of images, or of (images, labels)."""
        images: Tensor = batch if isinstance(batch, Tensor) else batch[0]
        probabilities: Tensor = self(images).float().softmax(1)
        return probabilities

    def configure_optimizers(self) -> Any:
        """AdamW with linear warm-up, then a constant rate or a cosine to zero."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.lr)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def rate_factor(self, step: int) -> float:
        """Factor of ``lr`` at ``step`` (counted from 0) of ``total_steps``."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return 1.0
        span = max(self.total_steps - self.warmup_steps, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min((step - self.warmup_steps) / span, 1.0)))


def balanced_class_weights(labels: Sequence[int] | np.ndarray, num_classes: int) -> list[float]:
    """N / (classes * N_c): every class weighs the same in total (scikit-learn's "balanced").

    Args:
        labels: Integers in [0, num_classes).
        num_classes: Number of classes.

    Raises:
        DataError: If a class has no image.
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=num_classes)
    if (counts == 0).any():
        raise DataError(
            f"class number {int(np.flatnonzero(counts == 0)[0])} has no training image; a balanced"
            " loss needs images of every class"
        )
    return [float(w) for w in counts.sum() / (num_classes * counts)]
