"""``-m``: Hydra's own grid, without a search.

Of `benchmark` and `demo` the values become axes of the one comparison; of any other verb every
combination is a job of its own, one after the other.
"""

import itertools
import logging
import math
from collections.abc import Callable, Sequence

from omegaconf import DictConfig, OmegaConf

from frerec.benchmark.plan import check_axis
from frerec.config import compose_config
from frerec.errors import ConfigError, FrerecError
from frerec.sweep.grammar import MOST, discrete, is_sweep, key_of, parse

log = logging.getLogger(__name__)

PLACES = ("out", "output", "run")  # where a verb's result lies, or what it is about


def as_axes(config_name: str, overrides: Sequence[str]) -> list[str]:
    """Overrides with every sweep turned into an axis of the benchmark's grid.

    Raises:
        ConfigError: For a sweep without an end of values, and for a key that is no axis.
    """
    kept = [o for o in overrides if not is_sweep(o)]
    shaping = [o for o in kept if key_of(o) == "experiment" or key_of(o).startswith("grid")]
    known = compose_config(config_name, [f"++{o}" if o.startswith("grid={") else o
                                         for o in shaping]).grid  # fmt: skip
    for override in overrides:
        if not is_sweep(override):
            continue
        key = key_of(override)
        check_axis(key)
        texts = ",".join(text for _, text in discrete(parse(override)))
        kept.append(f"{key}={texts}" if key in known else f"grid={{{key}:[{texts}]}}")
    return kept


def jobs(config_name: str, overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every combination, the last sweep fastest.

    Raises:
        ConfigError: For a wrong key, and where two jobs would write to one place.
    """
    parts = [
        [f"{_signed_key(o)}={text}" for _, text in discrete(parse(o))] if is_sweep(o) else [o]
        for o in overrides
    ]
    count = math.prod(map(len, parts))
    if count > MOST:
        raise ConfigError(f"-m: {count} combinations, at most {MOST} can be run; give fewer values")
    combinations = [list(combination) for combination in itertools.product(*parts)]
    seen: dict[str, int] = {}
    for number, combination in enumerate(combinations, 1):
        place = _place(compose_config(config_name, combination))
        if place in seen:
            raise ConfigError(
                f"-m: jobs {seen[place]} and {number} would write to one place ({place}); let out="
                " differ, as 'out=models/r${calibrator.shr.ratio}'"
            )
        seen[place] = number
    return combinations


def run_jobs(
    verb: Callable[[str, Sequence[str]], int], config_name: str, overrides: Sequence[str]
) -> int:
    """Run every combination in sequence; one that fails does not stop the others.

    Returns:
        The largest exit status.
    """
    status = 0
    planned = jobs(config_name, overrides)
    for number, combination in enumerate(planned, 1):
        log.info("job %d of %d: %s", number, len(planned), " ".join(combination))
        try:
            status = max(status, verb(config_name, combination))
        except FrerecError as error:
            log.error("job %d failed: %s", number, " ".join(str(error).split()))
            status = max(status, 2)
    return status


def _place(config: DictConfig) -> str:
    found = []
    for key in PLACES:
        if key in config and not OmegaConf.is_missing(config, key) and config[key] is not None:
            found.append(f"{key}={config[key]}")
    # A report beside its run, or another folder for each.
    return found[0] if found else ""


def _signed_key(override: str) -> str:
    return override.partition("=")[0]
