"""``best.yaml``: the best trial as overrides, and as a command of `frerec benchmark`."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from frerec.benchmark.plan import expand
from frerec.config import compose_config, flat_items, plain
from frerec.sweep.grammar import key_of
from frerec.sweep.settings import KEYS, Settings, without_sweep

# What a sweep has of its own, and what the benchmark of the best trial sets itself.
OWN = (*KEYS, "sweep", "name", "seed")
BENCHMARK = "benchmark"


def write_best(
    run_dir: Path,
    settings: Settings,
    fetch: Callable[[], Sequence[FrozenTrial]],
    config_name: str,
    common: Sequence[str],
) -> FrozenTrial | None:
    """Write ``sweep/best.yaml``: the overrides that give the best trial again.

    Args:
        run_dir: of the sweep.
        settings: of the sweep.
        fetch: gives the trials of the study; called while other workers are kept out.
        config_name: `sweep`.
        common: overrides that all trials have.

    Returns:
        The best trial; None while none is complete.
    """
    with FileLock(run_dir / "sweep.lock"):
        complete = [t for t in fetch() if t.state == TrialState.COMPLETE and t.value is not None]
        if not complete:
            return None
        sign = 1 if settings.direction == "maximize" else -1
        best = max(complete, key=lambda trial: (sign * float(trial.value or 0.0), -trial.number))
        chosen = [p.override(best.params[p.key]) for p in settings.space]
        overrides = benchmark_overrides(config_name, common, chosen, settings)
        command = shlex.join(["frerec", BENCHMARK, f"name={settings.name}_best", *overrides])
        content = {
            "trial": best.number,
            "objective": settings.objective,
            "value": best.value,
            "overrides": overrides,
            "command": command,
        }
        text = (
            f"# The best of {len(complete)} complete trials on the validation images, and so an"
            " optimistic one.\n# The search classified no test image; `frerec benchmark` with these"
            " does, once.\n" + yaml.safe_dump(content, sort_keys=False, width=1000)
        )
        partial = run_dir / "sweep" / "best.yaml.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(run_dir / "sweep" / "best.yaml")
    return best


def benchmark_overrides(
    config_name: str, common: Sequence[str], chosen: Sequence[str], settings: Settings
) -> list[str]:
    """Overrides with which `frerec benchmark` composes a trial's cells.

    A benchmark has no group `sweep`: what a file of it sets beside the space is given key by key.

    Args:
        config_name: `sweep`.
        common: overrides that all trials have.
        chosen: those of the trial.
        settings: of the sweep.
    """
    given = {key_of(override) for override in common} | {p.key for p in settings.space}
    grid = plain(compose_config(config_name, common).grid)
    axes = [f"{axis}={values[0]}" for axis, values in grid.items()
            if axis not in given and axis != "seed"]  # fmt: skip
    kept = [o for o in common if key_of(o) not in OWN and key_of(o).split(".")[0] != "space"]
    overrides = [*kept, *axes]
    seed = f"seed={','.join(map(str, settings.seeds))}"
    wanted = without_sweep(expand(config_name, [*common, *chosen, seed])[1][0].config)
    found = expand(BENCHMARK, [*overrides, *chosen, f"name={settings.name}", seed])[1][0].config
    return [*overrides, *_differing(plain(wanted), plain(found)), *chosen, seed]


def _differing(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Overrides that turn one configuration into another, key by key."""
    here, there = _leaves(found), _leaves(wanted)
    changed = []
    for key, value in there.items():
        if key not in here:
            changed.append(f"+{key}={_text(value)}")
        elif here[key] != value or type(here[key]) is not type(value):
            changed.append(f"{key}={_text(value)}")
    removed = [f"~{key}" for key in here if key not in there and not _above(key, there)]
    return [*removed, *changed]


def _leaves(config: dict[str, Any]) -> dict[str, Any]:
    """Values by dotted key, without the parts that a benchmark of one trial has of its own."""
    kept = {key: value for key, value in config.items() if key not in (*OWN, "grid", "from")}
    return {k: v for k, v in flat_items(kept) if not isinstance(v, dict) or not v}


def _above(key: str, others: dict[str, Any]) -> bool:
    return any(other.startswith(f"{key}.") for other in others)


def _text(value: Any) -> str:
    """A plain value in Hydra's grammar."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_text(one)}' for key, one in value.items())}}}"
    if isinstance(value, str):
        escaped = value.replace("'", "\\'")
        return f"'{escaped}'"
    return repr(value)
