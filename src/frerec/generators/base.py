"""The contract of a generator: labels and a seed in, images out; weights without pickle."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from safetensors.torch import load_file, save_file
from torch import Tensor

from frerec.errors import ConfigError, DataError
from frerec.training_tools import write_json

if TYPE_CHECKING:
    from frerec.data.datamodules import ImageDataModule

WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "card.json"


class Generator(pl.LightningModule, ABC):
    """A class-conditional source of images.

    A subclass saves its plain arguments with ``save_hyperparameters()`` and implements :meth:`fit`
    and :meth:`draw`. All that samples depend on lies in its arguments and in its state dict.

    Args:
        num_classes: Number of classes, at least 1.
        channels: 1 or 3.
        image_size: Height and width of the images in pixels, at least 1.
    """

    uses_withheld = False  # whether its images are the training images that nobody else gets
    sampling_arguments: tuple[str, ...] = ()  # arguments that training does not depend on
    batch_size = 64  # images that are best made at once; fewer where each takes long

    def __init__(self, *, num_classes: int, channels: int, image_size: int) -> None:
        super().__init__()
        for key, value in (("num_classes", num_classes), ("image_size", image_size)):
            if value < 1:
                raise ConfigError(f"generator {key}={value}: expected an integer of at least 1")
        if channels not in (1, 3):
            raise ConfigError(f"generator channels={channels}: expected 1 (grey) or 3 (colour)")
        self.num_classes, self.channels, self.image_size = num_classes, channels, image_size

    @abstractmethod
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
        """Learn from the training split and :meth:`save` into ``directory``, with a card.

        Args:
            data: Prepared and set up; nothing of it but the training split is looked at.
            directory: Gets ``weights.safetensors``, ``config.json`` and ``card.json``.
            accelerator: Lightning's name.
            progress: Show a progress bar.
            loggers: Further loggers besides ``log.jsonl``.
            training: What the subclass needs to know of its training.

        Returns:
            The card: plain values that say what was done.
        """

    @abstractmethod
    def draw(self, labels: Tensor, seed: int, numbers: Sequence[int]) -> Tensor:
        """Images [n, C, H, W] of checked labels int64 [n], at least one; see :meth:`sample`."""

    def set_sampling(self, **settings: Any) -> None:
        """Sample otherwise from now on: other values of :attr:`sampling_arguments`.

        Raises:
            ConfigError: If a value is out of range.
        """
        other = sorted(set(settings) - set(self.sampling_arguments))
        if other:
            raise ConfigError(f"generator {other[0]}: is no setting of sampling alone")

    def check(self, data: ImageDataModule) -> None:
        """Refuse data that this generator must not make samples for; by default none.

        Raises:
            ConfigError: If its samples could be validation or test images of the data.
        """

    def available(self, label: int) -> int | None:  # noqa: ARG002
        """How many different images of a class there can be; None for any number."""
        return None

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
        with torch.inference_mode():
            images = self.draw(labels, seed, numbers)
        return images.float().clamp(0.0, 1.0)

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
        kind, arguments = read_config(directory)
        if kind != cls.__name__:
            raise DataError(f"{directory / CONFIG}: holds a {kind}, expected a {cls.__name__}")
        weights_path = directory / WEIGHTS
        try:
            generator = cls(**arguments)
            state = load_file(weights_path)
            generator.make_room(state)
            generator.load_state_dict(state)
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"{weights_path}: not this generator's weights ({reason[:120]}); train it anew"
            ) from error
        return generator.eval()

    def make_room(self, state: dict[str, Tensor]) -> None:
        """Before weights are loaded: give buffers the sizes of ``state`` where they may differ."""

    def fingerprint(self) -> str:
        """SHA-256 over arguments and weights: equal when the samples are equal."""
        digest = hashlib.sha256(type(self).__name__.encode())
        digest.update(json.dumps(dict(self.hparams), sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            if self.makes_samples(name):
                digest.update(name.encode())
                digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def makes_samples(self, name: str) -> bool:  # noqa: ARG002
        """Whether samples depend on this entry of the state dict."""
        return True


def read_config(directory: Path) -> tuple[str, dict[str, Any]]:
    """Class name and arguments of the generator saved in a folder.

    Raises:
        DataError: If there is none, or its file is damaged.
    """
    path = directory / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, arguments = config["generator"], config["arguments"]
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such file; train a generator first") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: not a generator's config; train it anew") from None
    if not isinstance(kind, str) or not isinstance(arguments, dict):
        raise DataError(f"{path}: not a generator's config; train it anew")
    return kind, arguments
