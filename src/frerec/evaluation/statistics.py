"""Statistics over seeds: intervals, paired differences, correction for multiplicity."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

# Below this spread the differences are equal up to rounding, and a t statistic means nothing.
_SPREAD_FLOOR = 1e-12

NO_EVIDENCE = "no evidence of a difference"


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its Student-t interval; `low` and `high` are None for one seed."""

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class PairedDifference:
    """Mean of (first - second) over the seeds that both arms have.

    `p` is the two-sided p value of the paired t test, None where there is no test: one seed
    only, or the same difference other than 0 in every seed.
    """

    estimate: Estimate
    p: float | None
    seeds: tuple[int, ...]


def mean_interval(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Mean and Student-t interval, mean +- t(n-1) s / sqrt(n).

    Args:
        values: one finite value a seed, at least one.
        level: coverage, in (0, 1).

    Returns:
        The estimate. One value has no spread: its interval is None, never a width of 0.

    Raises:
        ValueError: for no value at all, or one that is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"need at least one finite value, found {list(values)}")
    mean = float(x.mean())
    if x.size == 1:
        return Estimate(mean, None, None, 1)
    half = float(stats.t.ppf((1 + level) / 2, x.size - 1) * x.std(ddof=1) / math.sqrt(x.size))
    return Estimate(mean, mean - half, mean + half, int(x.size))


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], level: float = 0.95
) -> PairedDifference | None:
    """Compare two arms seed by seed.

    Args:
        first: seed -> value of the one arm.
        second: seed -> value of the other arm.
        level: coverage of the interval.

    Returns:
        first - second over the seeds that both have; None where they share no seed.
    """
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        return None
    differences = np.array([first[seed] - second[seed] for seed in seeds], dtype=np.float64)
    return PairedDifference(
        mean_interval(differences.tolist(), level), _p_value(differences), seeds
    )


def _p_value(differences: np.ndarray) -> float | None:
    if differences.size < 2:
        return None
    if np.abs(differences).max() < _SPREAD_FLOOR:
        return 1.0
    if differences.std(ddof=1) < _SPREAD_FLOOR:
        return None
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Holm, Scandinavian Journal of Statistics 6, 1979).

    Args:
        p_values: one a comparison of the family, in any order; None where there was no test,
            which does not count towards the family's size.

    Returns:
        Adjusted p values in the same order: the k-th smallest of m times (m - k + 1), made
        monotone, at most 1.
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(tested):
        running = max(running, min(1.0, (len(tested) - rank) * p))
        adjusted[i] = running
    return adjusted
