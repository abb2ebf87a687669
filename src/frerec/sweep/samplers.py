"""What draws a trial's values, and what gives a trial up."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from frerec.errors import ConfigError
from frerec.sweep.space import Parameter
from frerec.training_tools import derive_seed

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "halving", "hyperband", "none")


class Given(BaseSampler):
    """Draws nothing: the values are known."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Nothing is drawn together."""
        return {}

    def sample_relative(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """The known value."""
        return self.values[param_name]


def sampler_for(name: str, seed: int, number: int, space: Sequence[Parameter]) -> BaseSampler:
    """The sampler of one trial.

    It is made anew for each, from the seed and the trial's number: a search that was interrupted
    draws what it would have drawn, and two workers never draw the same random numbers.

    Args:
        name: one of SAMPLERS.
        seed: of the search.
        number: of the trial, from 0.
        space: its parameters.
    """
    if name == "grid":
        combinations = itertools.product(*(parameter.values for parameter in space))
        values = next(itertools.islice(combinations, number % grid_size(space), None))
        return Given({p.key: value for p, value in zip(space, values, strict=True)})
    drawn = derive_seed(seed, number)
    return RandomSampler(seed=drawn) if name == "random" else TPESampler(seed=drawn)


def grid_size(space: Sequence[Parameter]) -> int:
    """How many combinations a grid has.

    Raises:
        ConfigError: If a parameter is an interval.
    """
    size = 1
    for parameter in space:
        if not parameter.values:
            raise ConfigError(
                f"sampler=grid: space.{parameter.key}={parameter.text} has no end of values; give"
                " range(start,stop,step) or choice(a,b)"
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
