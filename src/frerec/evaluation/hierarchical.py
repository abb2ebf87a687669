"""A bootstrap over seeds and patients at once: how far would other trainings on other patients go?

Both levels are resampled, as in the hierarchical bootstrap of Saravanan, Berman and Sober (Neurons,
Behavior, Data analysis, and Theory 3, 2020). But here they are crossed, not nested: every seed
scores the same patients. To draw seeds and patients of one table counts what they do together three
times (Owen, Annals of Applied Statistics 1, 2007, the pigeonhole bootstrap). So a draw is the mean
over the seeds on drawn patients, plus what drawn seeds deviate on the images themselves [ours]. In
simulations with 3 and 5 seeds and 150 images, intervals of a mean held the truth in 92 to 98 of 100
cases, those of a difference in 94 to 99.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from frerec.errors import DataError
from frerec.evaluation.bootstrap import (
    DRAWS,
    LEVEL,
    Interval,
    group_weights,
    interval,
    weighted_macro_auc,
)
from frerec.evaluation.predictions import Predictions, check_same_images

BySeed = Mapping[int, Predictions]
Floats = NDArray[np.float64]

METRICS_DRAWN = ("auc",)
_SPREAD_FLOOR = 1e-12  # below it draws are equal up to rounding, and tell nothing of the spread
_SEED_STREAM = 1  # of the draw of seeds, beside that of the patients


def hierarchical_interval(
    by_seed: BySeed, metric: str = "auc", *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Mean over the seeds with a 95 % interval over seeds and patients.

    Args:
        by_seed: seed -> its predictions of the same images.
        metric: of METRICS_DRAWN.
        draws: bootstrap samples.
        seed: of the draw.

    Returns:
        Without bounds for one seed, where a class has one patient only, or where no draw differs.

    Raises:
        DataError: for no seed at all, or where the seeds did not score the same images.
        ValueError: for another metric.
    """
    _check_metric(metric)
    return _interval([by_seed[s] for s in sorted(by_seed)], None, draws, seed)


def hierarchical_difference(
    first: BySeed, second: BySeed, metric: str = "auc", *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Mean of first - second over the shared seeds, with a 95 % interval over seeds and patients.

    Args:
        first: seed -> predictions of the one arm.
        second: seed -> predictions of the other arm, of the same images.
        metric: of METRICS_DRAWN.
        draws: bootstrap samples; a draw takes the same seeds and patients of both arms.
        seed: of the draw.

    Returns:
        As `hierarchical_interval`.

    Raises:
        DataError: where the arms share no seed, or did not score the same images.
        ValueError: for another metric.
    """
    _check_metric(metric)
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise DataError("two arms without a common seed cannot be paired; run both for one seed")
    return _interval([first[s] for s in seeds], [second[s] for s in seeds], draws, seed)


def seed_deviations(values: Floats, *, draws: int = DRAWS, seed: int = 0) -> Floats:
    """How far means over seeds that are drawn with replacement lie from the mean over all.

    A mean of n drawn seeds varies by s^2 / n * (n - 1) / n, and has not the tails of Student's t:
    with the few seeds that there are it would lie far too near. So the deviations are widened by
    sqrt(n / (n - 1)) and by the ratio of the 97.5 % quantiles of t(n - 1) and of the normal
    distribution [ours]: where patients do not matter, the interval is about that of Student.

    Args:
        values: ``[S, ...]``, S >= 2 seeds.
        draws: bootstrap samples B.
        seed: of the draw.

    Returns:
        float64 ``[B, ...]``, in the unit of the values.
    """
    n = len(values)
    rng = np.random.default_rng([seed, _SEED_STREAM])
    shares = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n - 1 / n
    upper = (1 + LEVEL) / 2
    widening = np.sqrt(n / (n - 1)) * stats.t.ppf(upper, n - 1) / stats.norm.ppf(upper)
    deviations: Floats = np.tensordot(widening * shares, values, axes=1)
    return deviations


def _check_metric(metric: str) -> None:
    if metric not in METRICS_DRAWN:
        raise ValueError(f"metric {metric!r}: expected one of {', '.join(METRICS_DRAWN)}")


def _interval(
    first: list[Predictions], second: list[Predictions] | None, draws: int, seed: int
) -> Interval:
    check_same_images([*first, *(second or [])])
    labels, codes = first[0].labels, first[0].codes

    def areas(weights: Floats) -> Floats:
        found = np.stack([weighted_macro_auc(labels, p.probabilities, weights) for p in first])
        if second is not None:
            found -= np.stack(
                [weighted_macro_auc(labels, p.probabilities, weights) for p in second]
            )
        return found

    of_seeds = areas(np.ones((1, len(labels))))[:, 0]
    value = float(of_seeds.mean())
    weights = group_weights(codes, labels, draws=draws, seed=seed)
    if weights is None or len(first) < 2:
        return Interval(value, None, None)
    drawn = areas(weights).mean(axis=0) + seed_deviations(of_seeds, draws=draws, seed=seed)
    if np.ptp(drawn) < _SPREAD_FLOOR:  # an AUC of 1, or an arm against itself
        return Interval(value, None, None)
    return interval(value, drawn.clip(0 if second is None else -1, 1))
