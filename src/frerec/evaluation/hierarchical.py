"""A bootstrap over seeds and patients at once: how far would other trainings on other patients go?

Both levels are resampled, as in the hierarchical bootstrap of Saravanan, Berman and Sober (Neurons,
Behavior, Data analysis, and Theory 3, 2020). But here they are crossed, not nested: every seed
scores the same patients. To draw seeds and patients of one table counts what they do together three
times (Owen, Annals of Applied Statistics 1, 2007, the pigeonhole bootstrap). So a draw is the mean
over the seeds on drawn patients, plus what other seeds would deviate on the images themselves, by
Student's t [ours]. How often the intervals hold the truth with 3 and 5 seeds is simulated in
`experiments/coverage`.
"""

from collections.abc import Mapping
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from frerec.errors import DataError
from frerec.evaluation.bootstrap import (
    DRAWS,
    Interval,
    group_weights,
    interval,
    weighted_macro_auc,
)
from frerec.evaluation.predictions import Predictions, check_same_images

BySeed = Mapping[int, Predictions]
Floats = NDArray[np.float64]

_SPREAD_FLOOR = 1e-12  # below it draws are equal up to rounding, and tell nothing of the spread
_SEED_STREAM = 1  # of the draw of seeds, beside that of the patients


def hierarchical_interval(by_seed: BySeed, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Mean AUC over the seeds with a 95 % interval over seeds and patients.

    Args:
        by_seed: seed -> its predictions of the same images.
        draws: bootstrap samples.
        seed: of the draw.

    Returns:
        Without bounds for one seed, where a class has one patient only, or where no draw differs.

    Raises:
        DataError: for no seed at all, or where the seeds did not score the same images.
    """
    made = [by_seed[s] for s in sorted(by_seed)]
    check_same_images(made)
    return _interval(*_areas(made, draws, seed), draws, seed, minimum=0)


def hierarchical_difference(
    first: BySeed, second: BySeed, *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Mean of first - second in AUC over the shared seeds, with a 95 % interval over both levels.

    Args:
        first: seed -> predictions of the one arm.
        second: seed -> predictions of the other arm, of the same images.
        draws: bootstrap samples; a draw takes the same seeds and patients of both arms.
        seed: of the draw.

    Returns:
        As `hierarchical_interval`.

    Raises:
        DataError: where the arms share no seed, or did not score the same images.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise DataError("two arms without a common seed cannot be paired; run both for one seed")
    arms = [first[s] for s in seeds], [second[s] for s in seeds]
    check_same_images([*arms[0], *arms[1]])
    (values, drawn), (others, other_drawn) = (_areas(arm, draws, seed) for arm in arms)
    gaps = None if drawn is None or other_drawn is None else drawn - other_drawn
    return _interval(values - others, gaps, draws, seed, minimum=-1)


def seed_deviations(values: Floats, *, draws: int = DRAWS, seed: int = 0) -> Floats:
    """How far the mean over other seeds may lie from the mean over these, by Student's t.

    ``t(n - 1) s / sqrt(n)``, as exact as Student's interval for every n; means of seeds that are
    drawn with replacement are far too near with the few seeds that there are [ours]. The t are its
    quantiles at (k + 1/2) / B in random order: where patients do not matter the interval is
    Student's, whatever the draw.

    Args:
        values: ``[S, ...]``, S >= 2 seeds.
        draws: bootstrap samples B.
        seed: of the order.

    Returns:
        float64 ``[B, ...]``, in the unit of the values; one t is drawn for all of a sample.
    """
    n = len(values)
    order = np.random.default_rng([seed, _SEED_STREAM]).permutation(draws)
    drawn = stats.t.ppf((order + 0.5) / draws, n - 1)
    deviations: Floats = np.multiply.outer(drawn, values.std(axis=0, ddof=1) / np.sqrt(n))
    return deviations


def _areas(made: list[Predictions], draws: int, seed: int) -> tuple[Floats, Floats | None]:
    """AUC of each seed ``[S]``, and on drawn patients ``[S, B]`` where patients can be drawn."""
    found = [_drawn(each, draws, seed) for each in made]
    values = np.array([value for value, _ in found])
    drawn = [areas for _, areas in found if areas is not None]
    return values, np.stack(drawn) if len(drawn) == len(found) else None


# A network is in the interval of its arm and in many differences: its draws are made once. They go
# with the predictions themselves.
_KNOWN: WeakKeyDictionary[Predictions, dict[tuple[int, int], tuple[float, Floats | None]]] = (
    WeakKeyDictionary()
)


def _drawn(made: Predictions, draws: int, seed: int) -> tuple[float, Floats | None]:
    """AUC of one network, and that on drawn patients ``[B]``."""
    known = _KNOWN.setdefault(made, {})
    if (draws, seed) not in known:
        y, p = made.labels, made.probabilities
        weights = _weights(made.codes.tobytes(), y.tobytes(), draws, seed)
        value = float(weighted_macro_auc(y, p, np.ones((1, len(y))))[0])
        known[draws, seed] = value, None if weights is None else weighted_macro_auc(y, p, weights)
    return known[draws, seed]


@lru_cache(maxsize=1)  # the networks of a test set come one after the other
def _weights(codes: bytes, labels: bytes, draws: int, seed: int) -> Floats | None:
    """`group_weights` of a test set, the same patients for each of its networks."""
    arrays = (np.frombuffer(part, dtype=np.int64) for part in (codes, labels))
    return group_weights(*arrays, draws=draws, seed=seed)


def _interval(
    of_seeds: Floats, drawn: Floats | None, draws: int, seed: int, *, minimum: float
) -> Interval:
    value = float(of_seeds.mean())
    if drawn is None or len(of_seeds) < 2:
        return Interval(value, None, None)
    side = -1 if value < 0 else 1  # second - first has the mirrored interval
    found = drawn.mean(axis=0) + side * seed_deviations(of_seeds, draws=draws, seed=seed)
    if np.ptp(found) < _SPREAD_FLOOR:  # an AUC of 1, or an arm against itself
        return Interval(value, None, None)
    return interval(value, found.clip(minimum, 1))
