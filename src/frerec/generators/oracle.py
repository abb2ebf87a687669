"""The oracle: withheld real images with a known damage to their high band, as if generated.

Right content, wrong frequencies: the causal control of generative augmentation [ours]. At dose 0
it hands out the untouched images, the ceiling of what any generator could bring.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor

from frerec.data.withheld import Withheld
from frerec.errors import ConfigError, DataError
from frerec.generators.base import CARD, Generator
from frerec.spectral.damage import DamageKind, damage
from frerec.training_tools import derive_seed, write_json

if TYPE_CHECKING:
    from frerec.data.datamodules import ImageDataModule

NOISE = 12  # stream of derive_seed for the noise of an image
CHUNK = 256  # images read from the disk at once


class Oracle(Generator):
    """Real training images that the classifier does not get, damaged in their high band alone.

    Image i of a class is the i-th of the class's images in an order that the seeds alone decide, so
    that all damages and doses of one seed have the same images, and those of a smaller number are
    among those of a larger one. All images lie in memory, on the CPU wherever it is sent.

    Args:
        num_classes: Number of classes.
        channels: 1 or 3.
        image_size: Height and width of the images in pixels.
        damage: ``attenuation`` (a blur), ``checkerboard`` (of strided upsampling) or ``noise``.
        dose: From 0, untouched bit for bit, to 1.
        ratio: Where the high band begins, as a fraction of the Nyquist radius, in (0, 1].
        seed: Of the order of the images, and of the noise.

    Raises:
        ConfigError: If an argument is out of range; the message names it.
    """

    uses_withheld = True  # its images are `withheld` of the data
    sampling_arguments = ("damage", "dose", "ratio")
    batch_size = 1  # each is made by itself
    images: Tensor
    labels: Tensor
    digests: Tensor
    withheld: Tensor  # SHA-256 of the fingerprint of what the images were

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int,
        image_size: int,
        damage: DamageKind = "attenuation",
        dose: float = 0.5,
        ratio: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(num_classes=num_classes, channels=channels, image_size=image_size)
        _check_damage(damage, dose, ratio)
        if seed < 0:
            raise ConfigError(f"generator seed={seed}: expected an integer of at least 0")
        self.save_hyperparameters()
        self.damage, self.dose, self.ratio, self.seed = damage, dose, ratio, seed
        nothing = np.zeros((0, channels, image_size, image_size), np.uint8)
        self._hold(nothing, np.zeros(0, np.int64), "")

    def fit(
        self,
        data: ImageDataModule,
        *,
        directory: Path,
        accelerator: str = "auto",  # noqa: ARG002
        progress: bool = False,  # noqa: ARG002
        loggers: Sequence[Logger] = (),  # noqa: ARG002
        **training: Any,
    ) -> dict[str, Any]:
        """Take the images that ``data.train_size`` withholds from the training split.

        Raises:
            ConfigError: If a training setting is given, nothing is withheld, or ``directory`` holds
                another generator.
            DataError: If nothing withheld is independent of the images in use, or a class has none.
        """
        if training:
            key = f"generator.training.{min(training)}"
            raise ConfigError(f"{key}: the oracle is not trained; take it away with ~{key}")
        withheld = data.withheld
        self._check(withheld, data.classes)
        self._hold(_stored(withheld), withheld.labels, withheld.fingerprint)
        counts = np.bincount(withheld.labels, minlength=self.num_classes).tolist()
        made_by = {k: v for k, v in self.hparams.items() if k not in self.sampling_arguments}
        card = {
            "generator": type(self).__name__,
            "arguments": json.loads(json.dumps(made_by)),
            "images": len(withheld.labels),
            "withheld": withheld.fingerprint,
            "images_by_class": dict(zip(data.classes, counts, strict=True)),
            "groups": len(np.unique(withheld.groups)),
            "mib": round(self.images.numel() * self.images.element_size() / 2**20, 2),
        }
        _check_folder(directory / CARD, card)
        self.eval().save(directory)
        write_json(directory / CARD, card)
        return card

    def check(self, data: ImageDataModule) -> None:
        """See that its images are those that these data withhold: others may be test images.

        Raises:
            ConfigError: If they are not, or the data withhold none.
        """
        if not torch.equal(self.withheld, _digest_of(data.withheld.fingerprint)):
            raise ConfigError(
                "generator.checkpoint: this oracle holds images that other data or another split"
                " withheld, so that some may be validation or test images here; set it to null to"
                " make the oracle anew"
            )

    def set_sampling(self, **settings: Any) -> None:
        """Take another ``damage``, ``dose`` or ``ratio``; the images stay the same.

        Raises:
            ConfigError: If a value is out of range.
        """
        super().set_sampling(**settings)
        now = {name: getattr(self, name) for name in self.sampling_arguments} | settings
        _check_damage(**now)
        self.damage, self.dose, self.ratio = now["damage"], now["dose"], now["ratio"]
        self.hparams.update(now)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:  # noqa: ARG002
        """Stay on the CPU, where the work is done, with the types of the buffers."""
        return self

    def _check(self, withheld: Withheld, classes: Sequence[str]) -> None:
        if len(classes) != self.num_classes:
            raise DataError(
                f"the oracle was made for {self.num_classes} classes, the data have {len(classes)}"
                f" ({', '.join(classes)}); make it with the data's number"
            )
        shape = (self.channels, self.image_size, self.image_size)
        if tuple(withheld.stack.shape[1:]) != shape:
            raise DataError(
                f"the oracle was made for images of {list(shape)}, the data have"
                f" {list(withheld.stack.shape[1:])}; make it with the data's size"
            )
        counts = np.bincount(withheld.labels, minlength=self.num_classes)
        for name, count in zip(classes, counts, strict=True):
            if count == 0:
                raise DataError(
                    f"class {name} has no withheld training image; set a smaller data.train_size"
                )

    def _hold(self, images: np.ndarray, labels: np.ndarray, fingerprint: str) -> None:
        digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
        table = np.frombuffer(b"".join(digests), np.uint8).reshape(len(images), 32).copy()
        self.register_buffer("images", torch.from_numpy(images))
        self.register_buffer("labels", torch.from_numpy(labels))
        self.register_buffer("digests", torch.from_numpy(table))
        self.register_buffer("withheld", _digest_of(fingerprint))
        self._orders: dict[tuple[int, int], np.ndarray] = {}

    def make_room(self, state: dict[str, Tensor]) -> None:
        """Take the sizes of the saved buffers, after a look at what they are."""
        images, labels, digests = state["images"], state["labels"], state["digests"]
        shape = (len(labels), self.channels, self.image_size, self.image_size)
        if tuple(images.shape) != shape or images.dtype not in (torch.uint8, torch.uint16):
            raise ValueError(f"expected {list(shape)} pixels, found {list(images.shape)}")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
            raise ValueError("a label is no class")
        self.images, self.labels = torch.empty_like(images), torch.empty_like(labels)
        self.digests = torch.empty_like(digests)
        self._orders = {}

    def available(self, label: int) -> int:
        """Withheld images of a class."""
        return int((self.labels == label).sum())

    def draw(self, labels: Tensor, seed: int, numbers: Sequence[int]) -> Tensor:
        """The images of these numbers, damaged.

        Raises:
            DataError: If more images of a class are asked than were withheld.
        """
        rows = []
        for label, number in zip(labels.tolist(), numbers, strict=True):
            order = self._ordered(label, seed)
            if not 0 <= number < len(order):
                counts = [self.available(c) for c in range(self.num_classes)]
                raise DataError(
                    f"image number {number} of class number {label} was asked of the oracle, which"
                    f" has {', '.join(map(str, counts))} withheld images of its classes; set a"
                    " smaller samples.ratio or data.train_size"
                )
            rows.append(int(order[number]))
        # One by one and on the CPU, so that neither the batch nor the device changes a bit.
        return torch.cat([self._damaged(row, seed) for row in rows]).to(self.device)

    def _ordered(self, label: int, seed: int) -> np.ndarray:
        """Rows int64 of a class, ordered by a hash of both seeds and the pixels."""
        if (label, seed) not in self._orders:
            rows = (self.labels == label).nonzero()[:, 0].numpy()
            salt = f"{self.seed}:{seed}:".encode()
            table = self.digests.numpy()
            keys = [hashlib.sha256(salt + table[row].tobytes()).hexdigest() for row in rows]
            self._orders[label, seed] = rows[np.argsort(keys, kind="stable")]
        return self._orders[label, seed]

    def _damaged(self, row: int, seed: int) -> Tensor:
        """Image float32 [1, C, H, W] of a row."""
        image = _floats(self.images[row : row + 1])
        if self.dose == 0:
            return image  # not even the rounding of a Fourier transform
        content = int.from_bytes(self.digests[row, :8].numpy().tobytes(), "big")
        stream = torch.Generator().manual_seed(derive_seed(self.seed, NOISE, seed, content))
        noise = torch.randn(image.shape, generator=stream)
        return damage(image, self.damage, self.dose, noise=noise, ratio=self.ratio)


def _check_damage(damage: str, dose: float, ratio: float) -> None:
    if damage not in get_args(DamageKind):
        kinds = ", ".join(get_args(DamageKind))
        raise ConfigError(f"generator damage={damage}: expected one of {kinds}")
    if not 0.0 <= dose <= 1.0:
        raise ConfigError(f"generator dose={dose}: expected a number in [0, 1]")
    if not 0.0 < ratio <= 1.0:
        raise ConfigError(
            f"generator ratio={ratio}: expected a fraction of the Nyquist radius in (0, 1]"
        )


def _digest_of(fingerprint: str) -> Tensor:
    """SHA-256 uint8 [32] of a text."""
    return torch.tensor(list(hashlib.sha256(fingerprint.encode()).digest()), dtype=torch.uint8)


def _stored(withheld: Withheld) -> np.ndarray:
    """The images as the stack holds them, uint8 or uint16 [N, C, H, W]."""
    stack = withheld.stack
    kind = np.dtype(stack.dtype)
    images = np.empty(stack.shape, kind)
    for first in range(0, len(stack), CHUNK):
        chunk = slice(first, first + CHUNK)
        images[chunk] = np.rint(stack.tensor(chunk).numpy() * np.iinfo(kind).max)
    return images


def _floats(images: Tensor) -> Tensor:
    """Stored images as float32 in [0, 1], as an image stack hands them out."""
    pixels = images.numpy()
    return torch.from_numpy(pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max))


def _check_folder(path: Path, card: dict[str, Any]) -> None:
    """Refuse a folder that holds another generator."""
    if not path.exists():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key, value in card.items() if found.get(key) != value]
    except (ValueError, AttributeError):
        raise DataError(f"{path}: damaged; delete that folder to make the oracle anew") from None
    if differing:
        raise ConfigError(
            f"{path.parent}: holds a generator with another {' and '.join(differing)}; delete that"
            " folder or name another one"
        )
