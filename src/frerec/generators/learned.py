"""What generators with weights share: latents by number, an average of the weights, a training."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import Dataset

from frerec.data.stack import LabelledImages
from frerec.errors import ConfigError, DataError
from frerec.generators.base import Generator
from frerec.generators.training import fit_generator
from frerec.training_tools import derive_seed

if TYPE_CHECKING:
    from frerec.data.datamodules import ImageDataModule

LATENT = 11  # stream of derive_seed for the latents of samples


class LearnedGenerator(Generator):
    """A generator that is trained by gradient descent.

    A subclass saves its plain arguments with ``save_hyperparameters()``, builds ``self.network``,
    calls :meth:`track_average` and implements :meth:`decode`, ``training_step`` and
    ``configure_optimizers``. ``self.averaged`` is the exponential moving average of the network's
    weights [ours]; it alone makes the samples. Whatever else is trained, as a discriminator, lies
    beside ``network`` and is named in :attr:`helpers`.

    Args:
        num_classes: Number of classes, at least 1.
        channels: 1 or 3.
        image_size: Height and width of the images in pixels.
        latent_dim: Numbers drawn from N(0, 1) for an image.
        ema_decay: Decay of the moving average, in [0, 1).
    """

    network: nn.Module
    averaged: nn.Module
    averaged_steps: Tensor
    total_steps: int = 0  # set by the training loop
    helpers: tuple[str, ...] = ()  # attributes that are trained but make no sample

    def __init__(
        self, *, num_classes: int, channels: int, image_size: int, latent_dim: int, ema_decay: float
    ) -> None:
        super().__init__(num_classes=num_classes, channels=channels, image_size=image_size)
        if latent_dim < 1:
            raise ConfigError(
                f"generator latent_dim={latent_dim}: expected an integer of at least 1"
            )
        if not 0.0 <= ema_decay < 1.0:
            raise ConfigError(f"generator ema_decay={ema_decay}: expected a number in [0, 1)")
        self.latent_dim, self.ema_decay = latent_dim, ema_decay

    def track_average(self) -> None:
        """Begin the moving average at the network's present weights."""
        self.averaged = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.register_buffer("averaged_steps", torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> Self:
        """Set the mode; the averaged network always stays in evaluation mode."""
        super().train(mode)
        if hasattr(self, "averaged"):
            self.averaged.eval()
        return self

    def on_train_batch_end(self, *_args: Any) -> None:
        """Move the average on; its early decay is smaller, so that it forgets the first weights."""
        self.averaged_steps += 1
        count = int(self.averaged_steps)
        decay = min(self.ema_decay, (1 + count) / (10 + count))
        with torch.no_grad():
            for mean, value in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(value, 1.0 - decay)
            for kept, new in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
                kept.copy_(new)

    def fit(
        self,
        data: ImageDataModule,
        *,
        directory: Path,
        accelerator: str = "auto",
        progress: bool = False,
        loggers: Sequence[Logger] = (),
        **training: Any,
    ) -> dict[str, Any]:
        """Train on the training split; ``training`` are the settings of :func:`fit_generator`."""
        labels = data.labels("train")
        for number, name in enumerate(data.classes):
            if number not in labels:
                raise DataError(
                    f"{data.name}: no training image of class {name}; a conditional generator"
                    " needs images of every class"
                )
        images = LabelledImages(data.stack, data.rows("train"), labels)
        return fit_generator(
            self,
            images,
            directory=directory,
            accelerator=accelerator,
            progress=progress,
            loggers=loggers,
            **training,
        )

    def conclude(self, images: Dataset[tuple[Tensor, int]], *, batch_size: int) -> None:
        """After the last step: fit what sampling needs besides weights. Nothing by default."""

    @abstractmethod
    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images of latents [n, latent_dim] and labels int64 [n], by the averaged network."""

    def draw(self, labels: Tensor, seed: int, numbers: Sequence[int]) -> Tensor:
        """Decode the latents of these numbers."""
        # Drawn on the CPU, so that a GPU gets the same latents.
        latents = torch.stack([self._latent(seed, number) for number in numbers])
        return self.decode(latents.to(self.device), labels.to(self.device))

    def _latent(self, seed: int, number: int) -> Tensor:
        stream = torch.Generator().manual_seed(derive_seed(seed, LATENT, number))
        return torch.randn(self.latent_dim, generator=stream)

    def makes_samples(self, name: str) -> bool:
        """All but the network in training and the helpers."""
        return name.split(".", 1)[0] not in ("network", *self.helpers)
