"""What draws a trial's values, and what gives a trial up."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from frerec.errors import ConfigError
from frerec.sweep.grammar import MOST
from frerec.sweep.space import Parameter
from frerec.training_tools import derive_seed

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "halving", "hyperband", "none")


def sampler_for(name: str, seed: int, number: int) -> BaseSampler:
    """The random sampler of one trial; a grid has none, see :func:`next_combination`.

    It is made anew for each, from the seed and the trial's number: a search that was interrupted
    draws what it would have drawn, and two workers never draw the same random numbers.

    Args:
        name: tpe or random.
        seed: of the search.
        number: of the trial, from 0.
    """
    drawn = derive_seed(seed, number)
    return RandomSampler(seed=drawn) if name == "random" else TPESampler(seed=drawn)


def next_combination(
    space: Sequence[Parameter], trials: Sequence[FrozenTrial]
) -> dict[str, Any] | None:
    """The first combination in Hydra's order, the last parameter fastest, that is still open.

    One whose trials all failed is open, and comes after those that failed less often. None where
    every combination is done or at work.

    Args:
        space: parameters with an end of values.
        trials: of the study so far.
    """
    failed: Counter[tuple[Any, ...]] = Counter()
    taken = set()
    for trial in trials:
        values = tuple(trial.params.get(p.key) for p in space)
        if trial.state == TrialState.FAIL:
            failed[values] += 1
        else:
            taken.add(values)
    combinations = itertools.product(*(parameter.values for parameter in space))
    chosen = min((c for c in combinations if c not in taken), key=lambda c: failed[c], default=None)
    return None if chosen is None else {p.key: v for p, v in zip(space, chosen, strict=True)}


def grid_size(space: Sequence[Parameter]) -> int:
    """How many combinations a grid has.

    Raises:
        ConfigError: If a parameter is an interval, or a range of more values than are listed.
    """
    size = 1
    for parameter in space:
        if not parameter.values:
            raise ConfigError(
                f"sampler=grid: space.{parameter.key}={parameter.text} has no end of values, or"
                f" more than {MOST}; give range(start,stop,step) or choice(a,b)"
            )
        size *= len(parameter.values)
    return size


def pruner_for(name: str, seeds: int) -> BasePruner:
    """The pruner; a trial's steps are its seeds, and the value is the running mean over them."""
    if name == "median":
        return MedianPruner(n_startup_trials=5, n_min_trials=3)
    if name == "halving":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=seeds, reduction_factor=2)
    return NopPruner()
