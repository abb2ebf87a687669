"""Can the nearest neighbour tell two sets apart? A two-sample test in any space of features."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from frerec.errors import DataError

SMALLEST = 5  # [ours] rows of a set below which the accuracy says nothing


def neighbour_accuracy(
    real: NDArray[np.floating],
    synthetic: NDArray[np.floating],
    groups: NDArray[np.generic] | None = None,
) -> float:
    """Leave-one-out accuracy of the 1-nearest-neighbour rule on "real or synthetic?".

    0.5 is ideal: the sets cannot be told apart (Friedman and Rafsky 1979; Lopez-Paz and Oquab,
    ICLR 2017). 1 is no overlap; below 0.5 samples lie closer to real images than those do to each
    other, as copies would. Mean of the two sets' accuracies, Euclidean distances.

    Args:
        real: features ``[N, D]``.
        synthetic: features ``[M, D]``; best with M = N, as otherwise the larger set's rows are
            nearest for being many.
        groups: patient of each real row ``[N]``; another image of the same patient is no
            neighbour [ours], because a likeness of that kind no generator has to have.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: If a set has fewer than 5 rows, or the real ones are all of one patient.
    """
    if min(len(real), len(synthetic)) < SMALLEST:
        raise DataError(
            f"nearest-neighbour test: {len(real)} real and {len(synthetic)} synthetic images; "
            f"expected at least {SMALLEST} of each"
        )
    rows = np.concatenate([real, synthetic]).astype(np.float64)
    distances = cdist(rows, rows)
    np.fill_diagonal(distances, np.inf)
    count = len(real)
    if groups is not None:
        if len(set(groups.tolist())) < 2:
            raise DataError("nearest-neighbour test: real images of one patient; expected several")
        same = groups[:, None] == groups[None, :]
        distances[:count, :count][same] = np.inf
    is_real = np.arange(len(rows)) < count
    # A tie, as of equal images, counts by the share of real ones among the nearest.
    nearest = distances == distances.min(axis=1, keepdims=True)
    says_real = (nearest & is_real[None, :]).sum(1) / nearest.sum(1)
    right = np.where(is_real, says_real, 1 - says_real)
    return float((right[:count].mean() + right[count:].mean()) / 2)
