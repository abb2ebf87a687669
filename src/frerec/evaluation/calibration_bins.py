"""Bins of equal width for the calibration error and the reliability diagram: one rule for both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bins:
    """Images in bins of their predicted probability.

    Attributes:
        edges: float64 ``[M + 1]``, from 0 to 1; a bin holds its lower edge, the last one 1 too.
        counts: int64 ``[M]``, images in each.
        predicted: float64 ``[M]``, the sum of their probabilities.
        observed: float64 ``[M]``, how many had the outcome.
    """

    edges: Floats
    counts: NDArray[np.int64]
    predicted: Floats
    observed: Floats

    @property
    def error(self) -> float:
        """Mean over the images of |share with the outcome - mean probability| of their bin."""
        return float(np.abs(self.observed - self.predicted).sum() / self.counts.sum())


def bin_probabilities(predicted: Floats, outcomes: NDArray[np.bool_], bins: int) -> Bins:
    """Sort images into bins of their predicted probability.

    Args:
        predicted: ``[N]`` in [0, 1].
        outcomes: ``[N]``, whether that came true.
        bins: how many, of equal width.
    """
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, bins - 1)
    return Bins(
        edges,
        np.bincount(index, minlength=bins).astype(np.int64),
        np.bincount(index, predicted, bins).astype(np.float64),
        np.bincount(index, outcomes, bins).astype(np.float64),
    )
