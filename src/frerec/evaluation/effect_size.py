"""Effect size of paired differences: Hedges' g with an interval from the noncentral t."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from frerec.evaluation.bootstrap import LEVEL

_FEWEST = 3  # pairs: with two, the correction for small samples is 0
_SPREAD_FLOOR = 1e-12  # below it the differences are equal up to rounding
_FARTHEST = 1e4  # a t beyond which the distribution cannot be had in double precision


@dataclass(frozen=True)
class Effect:
    """Hedges' g_z of paired differences, and an interval of what it estimates.

    `low` and `high` are of the true standardised mean difference, None where they cannot be had.
    """

    g: float
    low: float | None
    high: float | None


def small_sample_correction(freedom: int) -> float:
    """J, which makes a standardised mean unbiased (Hedges, J. Educational Statistics 6, 1981).

    ``J(m) = Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2))``, exact.

    Args:
        freedom: degrees of freedom m of the standard deviation, at least 2.

    Returns:
        In (0, 1).
    """
    log = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    return float(math.exp(log) / math.sqrt(freedom / 2))


def paired_effect(first: Mapping[int, float], second: Mapping[int, float]) -> Effect | None:
    """How large is the difference of two arms against its own spread over the seeds?

    ``g_z = J(n - 1) mean(first - second) / sd(first - second)``: it is in units of the spread over
    seeds, not of the spread over patients, and grows where training is more repeatable.

    Args:
        first: seed -> value of the one arm.
        second: seed -> value of the other arm.

    Returns:
        The effect over the shared seeds, with the 95 % interval of the true mean difference over
        its true spread: by the noncentral t distribution (Cumming and Finch, 2001), and exact for
        normal differences; J mends the bias of the point, and the interval has none. None for
        fewer than 3 shared seeds, or where the difference is the same in all of them.
    """
    seeds = sorted(first.keys() & second.keys())
    differences = np.array([first[seed] - second[seed] for seed in seeds], dtype=np.float64)
    n = len(differences)
    if n < _FEWEST or (spread := float(differences.std(ddof=1))) < _SPREAD_FLOOR:
        return None
    standardised = float(differences.mean()) / spread
    correction = small_sample_correction(n - 1)
    low, high = _noncentrality(standardised * math.sqrt(n), n - 1)
    return Effect(
        correction * standardised,
        None if low is None else low / math.sqrt(n),
        None if high is None else high / math.sqrt(n),
    )


def _noncentrality(t: float, freedom: int) -> tuple[float | None, float | None]:
    """Those noncentralities whose distribution has the observed `t` at one end of its middle."""
    # Of -t the ends are those of t, exchanged: one sign is enough, and SciPy is exact for it.
    tail = (1 - LEVEL) / 2
    size = abs(t)
    if size > _FARTHEST:
        return None, None
    low = _root(lambda shift: float(stats.nct.sf(size, freedom, shift)) - tail, size, -1)
    high = _root(lambda shift: float(stats.nct.cdf(size, freedom, shift)) - tail, size, 1)
    if t >= 0:
        return low, high
    return (None if high is None else -high), (None if low is None else -low)


def _root(function: Callable[[float], float], start: float, side: int) -> float | None:
    """Where the function, positive at the start, crosses 0 on that side of it."""
    step = 1.0
    while step < _FARTHEST * 10:
        end = function(start + side * step)
        if not np.isfinite(end):
            return None
        if end <= 0:
            return float(optimize.brentq(function, start, start + side * step, xtol=1e-10))
        step *= 1.5
    return None
