"""Random numbers that belong to one image, whatever batch it is drawn in.

Every image has its own generators, keyed by (seed, modality, patient[, visit]); values are drawn
image by image and stacked, so all the arithmetic on pixels that follows is vectorised over the
batch while image i still depends on nothing but the seed and i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_NOISE = 9  # keeps the streams of white noise apart from all others


class Draws:
    """A batch of independent generators, read in step.

    Values come back as float32 `[B, 1, 1]`, ready to meet maps `[B, H, W]`, or `[B, *shape]` when
    a shape is given.
    """

    def __init__(self, keys: Sequence[tuple[int, ...]]) -> None:
        """Open one generator a key; equal keys give equal values."""
        self._keys = list(keys)
        self._generators = [_generator(key) for key in keys]
        self._noises = 0

    def __len__(self) -> int:
        return len(self._generators)

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        """Uniform values in [low, high)."""
        n = shape or (1, 1)
        values = np.stack([g.random(n, dtype=np.float32) for g in self._generators])
        return (low + (high - low) * values).astype(np.float32)

    def normal(self, mean: float, deviation: float, *shape: int, limit: float = 2.5) -> Array:
        """Gaussian values, clipped at `limit` deviations so that no anatomy is monstrous."""
        n = shape or (1, 1)
        values = np.stack([g.standard_normal(n, dtype=np.float32) for g in self._generators])
        return (mean + deviation * np.clip(values, -limit, limit)).astype(np.float32)

    def log_uniform(self, low: float, high: float, *shape: int) -> Array:
        """Values whose logarithm is uniform: as many small ones as large ones."""
        return np.exp(self.uniform(float(np.log(low)), float(np.log(high)), *shape))

    def chance(self, probability: float, *shape: int) -> Array:
        """1.0 with the given probability, else 0.0."""
        return (self.uniform(0.0, 1.0, *shape) < probability).astype(np.float32)

    def sign(self, *shape: int) -> Array:
        """-1.0 or 1.0 with equal chance."""
        return (2.0 * self.chance(0.5, *shape) - 1.0).astype(np.float32)

    def white(self, *shape: int) -> Array:
        """Standard Gaussian white noise `[B, *shape]`, not clipped.

        Each call has a stream of its own: how much noise is needed depends on the image size, and
        the values drawn afterwards must not.
        """
        self._noises += 1
        fresh = (_generator((*key, _NOISE, self._noises)) for key in self._keys)
        return np.stack([g.standard_normal(shape, dtype=np.float32) for g in fresh])


def _generator(key: tuple[int, ...]) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
