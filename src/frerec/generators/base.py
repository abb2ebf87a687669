"""The contract of a generator: labels and a seed in, images out; weights without pickle."""

from __future__ import annotations

import copy
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytorch_lightning as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from frerec.errors import ConfigError, DataError
from frerec.training_tools import derive_seed, write_json

LATENT = 11  # stream of derive_seed for the latents of samples
WEIGHTS, CONFIG = "weights.safetensors", "config.json"


class Generator(pl.LightningModule, ABC):
    """A class-conditional image generator.

    A subclass saves its plain arguments with ``save_hyperparameters()``, builds ``self.network``,
    calls :meth:`track_average` and implements :meth:`decode`, ``training_step`` and
    ``configure_optimizers``. ``self.averaged`` is the exponential moving average of the network's
    weights [ours]; it alone makes the samples.

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

    def __init__(
        self, *, num_classes: int, channels: int, image_size: int, latent_dim: int, ema_decay: float
    ) -> None:
        super().__init__()
        for key, value in (("num_classes", num_classes), ("latent_dim", latent_dim)):
            if value < 1:
                raise ConfigError(f"generator {key}={value}: expected an integer of at least 1")
        if channels not in (1, 3):
            raise ConfigError(f"generator channels={channels}: expected 1 (grey) or 3 (colour)")
        if not 0.0 <= ema_decay < 1.0:
            raise ConfigError(f"generator ema_decay={ema_decay}: expected a number in [0, 1)")
        self.num_classes, self.channels, self.image_size = num_classes, channels, image_size
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

    def conclude(self, images: Dataset[tuple[Tensor, int]], *, batch_size: int) -> None:
        """After the last step: fit what sampling needs besides weights. Nothing by default."""

    @abstractmethod
    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images of latents [n, latent_dim] and labels int64 [n], by the averaged network."""

    def sample(self, labels: Tensor, seed: int, *, numbers: Sequence[int] | None = None) -> Tensor:
        """Draw images; each depends on the seed, its own number and its label only.

        Args:
            labels: int64 [n], each in [0, num_classes).
            seed: A non-negative integer.
            numbers: The number of each image in the stream of ``seed``; 0 to n - 1 by default.

        Returns:
            float32 [n, C, H, W] in [0, 1], on the generator's device.

        Raises:
            DataError: If a label is not a class, or ``numbers`` has another length.
        """
        numbers = range(len(labels)) if numbers is None else numbers
        if len(numbers) != len(labels):
            raise DataError(f"{len(labels)} labels but {len(numbers)} image numbers were given")
        if len(labels) == 0:
            return torch.zeros(0, self.channels, self.image_size, self.image_size)
        if int(labels.min()) < 0 or int(labels.max()) >= self.num_classes:
            raise DataError(
                f"labels from {int(labels.min())} to {int(labels.max())} were asked of a generator"
                f" with classes 0 to {self.num_classes - 1}"
            )
        # Drawn on the CPU, so that a GPU gets the same latents.
        latents = torch.stack([self._latent(seed, number) for number in numbers])
        with torch.inference_mode():
            images = self.decode(latents.to(self.device), labels.to(self.device))
        return images.float().clamp(0.0, 1.0)

    def _latent(self, seed: int, number: int) -> Tensor:
        stream = torch.Generator().manual_seed(derive_seed(seed, LATENT, number))
        return torch.randn(self.latent_dim, generator=stream)

    def save(self, directory: Path) -> None:
        """Write ``weights.safetensors`` and ``config.json``; no pickle anywhere."""
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / (WEIGHTS + ".partial")
        save_file({k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}, partial)
        partial.replace(directory / WEIGHTS)
        config = {"generator": type(self).__name__, "arguments": dict(self.hparams)}
        write_json(directory / CONFIG, config)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote; the generator is in evaluation mode, on the CPU.

        Raises:
            DataError: If a file is missing or damaged, or holds another kind of generator.
        """
        config_path, weights_path = directory / CONFIG, directory / WEIGHTS
        try:
            config = json.loads(config_path.read_text(encoding="utf-8"))
            kind, arguments = config["generator"], config["arguments"]
        except FileNotFoundError:
            raise DataError(f"{config_path}: no such file; train a generator first") from None
        except (json.JSONDecodeError, KeyError, TypeError):
            raise DataError(f"{config_path}: not a generator's config; train it anew") from None
        if kind != cls.__name__:
            raise DataError(f"{config_path}: holds a {kind}, expected a {cls.__name__}")
        generator = cls(**arguments)
        try:
            generator.load_state_dict(load_file(weights_path))
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"{weights_path}: not this generator's weights ({reason[:120]}); train it anew"
            ) from error
        return generator.eval()

    def fingerprint(self) -> str:
        """SHA-256 over arguments and weights: equal when the samples are equal."""
        digest = hashlib.sha256(type(self).__name__.encode())
        digest.update(json.dumps(dict(self.hparams), sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            # The network in training makes no sample.
            if not name.startswith("network."):
                digest.update(name.encode())
                digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
