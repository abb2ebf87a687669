"""Bootstrap intervals over images, or over patients where several images belong to one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
LEVEL = 0.95
_BLOCK = 2**20  # weights worked on at a time: 8 MiB, and faster than all at once

Weights = NDArray[np.float64]
Statistic = Callable[[Weights], NDArray[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A figure with its interval; `low` and `high` are None where nothing can be resampled."""

    value: float
    low: float | None
    high: float | None


def group_weights(
    codes: NDArray[np.int64], labels: NDArray[np.int64], *, draws: int = DRAWS, seed: int = 0
) -> Weights | None:
    """How often each image is drawn when whole groups are drawn with replacement.

    Groups that have images of the same sets (of one set only, or of both: an image that lies in
    both) are drawn apart from the others [ours]: so no set is ever empty, and a set compared with
    itself is drawn alike on both sides.

    Args:
        codes: int ``[N]``, equal for the images of one group.
        labels: int ``[N]``, the set (or class) of each image: 0 .. C-1 with C >= 2.
        draws: bootstrap samples.
        seed: of the draw.

    Returns:
        float64 ``[draws, N]``; None where every kind of group has one member only, or a set has
        one group only, so that no interval can be had.
    """
    unique, code = np.unique(codes, return_inverse=True)
    sets = range(max(2, int(labels.max()) + 1))
    in_set = np.stack([np.bincount(code, labels == s, len(unique)) > 0 for s in sets])
    # Reversed: set 0 alone comes first, then set 1 alone, then both, and so on.
    kind = np.unique(in_set[::-1], axis=1, return_inverse=True)[1].ravel()
    if (in_set.sum(axis=1) < 2).any() or np.bincount(kind).max() < 2:
        return None
    rng = np.random.default_rng(seed)
    counts = np.zeros((draws, len(unique)))
    for value in np.unique(kind):
        members = np.flatnonzero(kind == value)
        share = np.full(len(members), 1 / len(members))
        counts[:, members] = rng.multinomial(len(members), share, size=draws)
    weights: Weights = counts[:, code]
    return weights


def interval(
    value: float,
    draws: NDArray[np.float64] | None,
    *,
    recentre: bool = False,
    minimum: float = -np.inf,
) -> Interval:
    """Percentile interval of 95 % (Efron and Tibshirani, 1993).

    Args:
        value: of the images themselves.
        draws: the same figure of each bootstrap sample; None for no interval.
        recentre: shift the draws so that their median is `value` [ours]. A distance is never
            negative, and noise makes it larger: its draws are biased upwards, and near 0 the plain
            interval would not hold the value itself.
        minimum: of the interval after the shift.
    """
    if draws is None or not np.isfinite(draws).all() or not np.isfinite(value):
        return Interval(value, None, None)
    shift = value - float(np.median(draws)) if recentre else 0.0
    tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    low, high = (max(minimum, float(q) + shift) for q in np.percentile(draws, tails))
    return Interval(value, low, high)


def weighted_auc(
    labels: NDArray[np.int64], scores: NDArray[np.float64], weights: Weights
) -> NDArray[np.float64]:
    """Area under the ROC curve for each row of weights; ties count half.

    Args:
        labels: ``[N]``, 0 or 1.
        scores: ``[N]``, higher for 1.
        weights: ``[B, N]``, each row with some weight on both labels.

    Returns:
        float64 ``[B]`` in [0, 1].
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    sorted_weights = weights[:, order]
    positive = np.add.reduceat(sorted_weights * labels[order], starts, axis=1)
    negative = np.add.reduceat(sorted_weights * (1 - labels[order]), starts, axis=1)
    below = negative.cumsum(axis=1) - negative
    wins = (positive * (below + negative / 2)).sum(axis=1)
    area: NDArray[np.float64] = wins / (positive.sum(axis=1) * negative.sum(axis=1))
    return area


def weighted_macro_auc(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: Weights
) -> NDArray[np.float64]:
    """Macro mean of the AUC of each class against the rest, for each row of weights.

    Args:
        labels: ``[N]`` in 0 .. C-1.
        probabilities: ``[N, C]``; of two classes the AUC is that of class 1.
        weights: ``[B, N]``, each row with some weight on every class. Rows are worked through in
            blocks, so that memory stays bounded.

    Returns:
        float64 ``[B]`` in [0, 1].
    """
    classes = range(probabilities.shape[1]) if probabilities.shape[1] > 2 else (1,)
    rows = max(1, _BLOCK // len(labels))
    blocks = [weights[start : start + rows] for start in range(0, len(weights), rows)]
    areas = [
        [weighted_auc((labels == c).astype(np.int64), probabilities[:, c], b) for b in blocks]
        for c in classes
    ]
    mean: NDArray[np.float64] = np.mean([np.concatenate(of_class) for of_class in areas], axis=0)
    return mean


def auc_interval(
    labels: NDArray[np.int64], scores: NDArray[np.float64], weights: Weights | None
) -> Interval:
    """AUC of held-out scores with its bootstrap interval.

    The detectors are not trained anew for each draw: the interval says how far the images that
    were scored could move the AUC, not how far other training images could.
    """
    value = float(weighted_auc(labels, scores, np.ones((1, len(labels))))[0])
    return interval(value, None if weights is None else weighted_auc(labels, scores, weights))
