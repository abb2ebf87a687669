"""What was asked for: the keys of a sweep, checked, and what must not change on a resume."""

import logging
import re
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from frerec.config import flat_items, plain
from frerec.errors import ConfigError
from frerec.evaluation.metrics import METRICS
from frerec.sweep.samplers import PRUNERS, SAMPLERS, grid_size
from frerec.sweep.space import MACHINE, Parameter
from frerec.sweep.storage import check_storage
from frerec.tracking.private import without_paths

log = logging.getLogger(__name__)

KEYS = (
    "trials", "seeds", "objective", "direction", "sampler", "sampler_seed", "pruner", "failures",
    "study", "storage", "trial", "space",
)  # fmt: skip
DEFAULT_TRIALS = 20  # [ours]
LOWER_IS_BETTER = ("brier", "ece")


@dataclass(frozen=True)
class Settings:
    """The keys of ``configs/sweep.yaml``.

    Attributes:
        name: the run's folder.
        study: its name in the storage.
        metric: the validation metric that is the objective.
        trials: of the study in all.
        seeds: of the classifier, in the order in which a trial runs them.
        space: the parameters.
        single: one trial, of given values.
        The others are those of the configuration.
    """

    name: str
    study: str
    metric: str
    direction: str
    trials: int
    seeds: tuple[int, ...]
    sampler: str
    sampler_seed: int
    pruner: str
    failures: int
    storage: str | None
    single: bool
    space: tuple[Parameter, ...]

    @property
    def objective(self) -> str:
        """The objective's name."""
        return f"val/{self.metric}"


def read_settings(config: DictConfig, space: tuple[Parameter, ...]) -> Settings:
    """Check the keys of a sweep.

    Args:
        config: `sweep`, composed.
        space: the parameters, with what the command line changed.

    Raises:
        ConfigError: Names the key.
    """
    name = str(config.name)
    if name in ("", ".", "..") or any(sign in name for sign in "/\\"):
        raise ConfigError(f"name={name}: expected a folder's name without slashes")
    if not str(config.study).strip():
        raise ConfigError("study=: expected a name; leave it out for that of the run")
    for key in ("trials", "failures"):
        value = config[key]
        if not (key == "trials" and value is None) and (type(value) is not int or value < 1):
            raise ConfigError(f"{key}={value}: expected a whole number of at least 1")
    _choice("sampler", config.sampler, SAMPLERS)
    _choice("pruner", config.pruner, PRUNERS)
    _choice("direction", config.direction, ("maximize", "minimize"))
    check_storage(config.storage)
    return Settings(
        name=name,
        study=str(config.study),
        metric=_metric(str(config.objective), config.direction),
        direction=config.direction,
        trials=_trials(config.trials, config.sampler, space),
        seeds=_seeds(config.seeds),
        sampler=config.sampler,
        sampler_seed=config.sampler_seed,
        pruner=config.pruner,
        failures=config.failures,
        storage=config.storage,
        single=config.trial,
        space=space,
    )


def without_sweep(config: DictConfig) -> DictConfig:
    """A cell's configuration as `frerec benchmark` has it: nothing of the sweep in it."""
    copied: DictConfig = OmegaConf.create(OmegaConf.to_container(config))  # type: ignore[assignment]
    with open_dict(copied):
        for key in KEYS:
            copied.pop(key, None)
    OmegaConf.set_struct(copied, True)
    return copied


def record_of(settings: Settings, config: DictConfig, facts: dict[str, Any]) -> dict[str, Any]:
    """All that shapes a trial's value, as plain values by name.

    Args:
        settings: of the sweep.
        config: a cell's configuration without the sweep's keys.
        facts: of the data.
    """
    searched = {p.key for p in settings.space}
    values = without_paths(plain(config))
    shaping = {
        key: value
        for key, value in flat_items({k: v for k, v in values.items() if _shapes(k)})
        if not isinstance(value, dict) and not any(_within(key, s) for s in searched)
    }
    return {
        **{f"space.{p.key}": p.text for p in settings.space},
        "seeds": list(settings.seeds),
        "objective": settings.objective,
        "direction": settings.direction,
        "sampler": settings.sampler,
        "sampler_seed": settings.sampler_seed,
        "pruner": settings.pruner,
        **facts,
        **{key: value for key, value in shaping.items() if not key.endswith(MACHINE_KEYS)},
    }


MACHINE_KEYS = (".num_workers", ".accelerator", ".compile")


def check_same(before: dict[str, Any], now: dict[str, Any], study: str) -> None:
    """Refuse to go on with a study under other settings.

    Raises:
        ConfigError: Names what differs.
    """
    keys = [k for k in {**before, **now} if before.get(k, "nothing") != now.get(k, "nothing")]
    if keys:
        shown = "; ".join(
            f"{key} was {before.get(key, 'not there')}, is {now.get(key, 'not there')}"
            for key in keys[:3]
        )
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        raise ConfigError(
            f"study={study}: made under other settings: {shown}{more}; give those, or another name="
        )


def _shapes(part: str) -> bool:
    return part not in (*MACHINE, "name", "seed", "grid", "published", "showcase", "baselines")


def _within(key: str, searched: str) -> bool:
    """Whether a key is one that the space has, or lies in a group that it chooses."""
    return key == searched or key.startswith(f"{searched}.")


def _metric(objective: str, direction: str) -> str:
    split, _, metric = objective.partition("/")
    if "test" in re.split(r"\W+", objective):
        raise ConfigError(
            f"objective={objective}: test images take no part in a search; give val/auc"
        )
    if split != "val" or metric not in METRICS:
        known = ", ".join(f"val/{name}" for name in METRICS)
        raise ConfigError(f"objective={objective}: expected one of {known}")
    better = "minimize" if metric in LOWER_IS_BETTER else "maximize"
    if direction != better:
        raise ConfigError(f"direction={direction}: expected {better} for objective={objective}")
    return metric


def _trials(given: int | None, sampler: str, space: tuple[Parameter, ...]) -> int:
    """How many trials the study has in all."""
    if sampler != "grid":
        return DEFAULT_TRIALS if given is None else given
    size = grid_size(space)
    if given is not None and given < size:
        log.info("sampler=grid: %d of %d combinations (trials=)", given, size)
    return size if given is None else min(given, size)


def _seeds(given: Any) -> tuple[int, ...]:
    seeds = OmegaConf.to_container(given) if OmegaConf.is_config(given) else given
    whole = isinstance(seeds, list) and all(type(s) is int and s >= 0 for s in seeds)
    if not whole or not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(f"seeds={seeds}: expected different whole numbers, as [0,1]")
    return tuple(seeds)


def _choice(key: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{key}={value}: expected one of {', '.join(known)}")
