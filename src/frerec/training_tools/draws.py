"""The order of a training run's images and the randomness of each, from one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

ORDER, AUGMENTATION, STEP = 1, 2, 3  # streams of derive_seed, so that equal numbers never meet


def derive_seed(*numbers: int) -> int:
    """Mix non-negative integers into one seed in [0, 2**32); equal numbers give an equal seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class Draw(NamedTuple):
    """The ``number``-th image of a training run (counted from 0) is image ``row`` of the set."""

    row: int
    number: int


class DrawSampler(Sampler[Draw]):
    """An endless shuffle: every image once before any repeats, the order set by seed and length.

    Iterating yields the draws of one evaluation period beginning at step ``start``; the loop moves
    ``start`` on. The concatenation over periods is the same whatever the period is.

    Args:
        length: Number of images in the set.
        batch_size: Draws a step.
        steps: Steps of the whole run.
        period: Steps between two evaluations.
        seed: Seed of the order.
    """

    def __init__(self, length: int, *, batch_size: int, steps: int, period: int, seed: int) -> None:
        self.length, self.batch_size, self.steps = length, batch_size, steps
        self.period, self.seed, self.start = period, seed, 0

    def __len__(self) -> int:
        stop = min((self.start // self.period + 1) * self.period, self.steps)
        return (stop - self.start) * self.batch_size

    def __iter__(self) -> Iterator[Draw]:
        first = self.start * self.batch_size
        shuffled, order = -1, np.empty(0, dtype=np.int64)
        for number in range(first, first + len(self)):
            shuffle, position = divmod(number, self.length)
            if shuffle != shuffled:
                rng = np.random.default_rng([self.seed, ORDER, shuffle])
                shuffled, order = shuffle, rng.permutation(self.length)
            yield Draw(int(order[position]), number)


Transform = Callable[[Tensor], Tensor]


class AugmentedImages(Dataset[tuple[Tensor, int]]):
    """A data set indexed by draws, whose augmentation depends on (seed, draw number) alone.

    So the pixels of a draw are the same after a resume and with any number of loader workers.

    Args:
        images: Yields (float32 [C, H, W] in [0, 1], label) for an integer index.
        transform: Maps one image to one of the same shape. Its random numbers come from torch's
            global generator (as those of :mod:`frerec.data.transforms`) or from its own
            ``set_random_state(seed=...)`` (as those of MONAI); both are seeded for every draw.
        seed: Seed of the augmentation.
    """

    def __init__(
        self, images: Dataset[tuple[Tensor, int]], transform: Transform | None, seed: int
    ) -> None:
        self.images, self.transform, self.seed = images, transform, seed

    def __len__(self) -> int:
        return len(self.images)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int]:
        with torch.random.fork_rng(devices=[]):
            seed = derive_seed(self.seed, AUGMENTATION, draw.number)
            torch.manual_seed(seed)
            image, label = self.images[draw.row]
            if self.transform is not None:
                reseed: Any = getattr(self.transform, "set_random_state", None)
                if reseed is not None:
                    reseed(seed=seed)
                image = self.transform(image)
        # MONAI may hand back its own tensor class, which is slow to collate.
        return image.as_subclass(Tensor).contiguous(), int(label)
