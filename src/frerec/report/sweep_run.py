"""A sweep's records as plain data: read once, checked at the door."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from frerec.errors import DataError
from frerec.report.parsing import read_json

INDEX = "sweep.json"
_NEEDED = {"name": str, "objective": str, "direction": str, "trials": int, "seeds": list,
           "command": str, "space": dict}  # fmt: skip
STATES = ("complete", "pruned", "failed", "running", "waiting")


@dataclass(frozen=True)
class Trial:
    """One trial; `value` is the mean over the seeds in `values`, None unless it is complete.

    `params` has a value for every key of the space that was drawn; `val` and `calibrator` are means
    of measures on validation images, `error` is why it failed.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    values: tuple[float, ...]
    val: Mapping[str, float]
    calibrator: Mapping[str, float]
    seconds: float | None
    error: str


@dataclass(frozen=True)
class Sweep:
    """What `frerec sweep` left in `path`.

    `facts` is the content of sweep.json, `distributions` Optuna's, as JSON, by key.
    """

    path: Path
    facts: Mapping[str, Any]
    space: Mapping[str, str]
    distributions: Mapping[str, Mapping[str, Any]]
    trials: tuple[Trial, ...]

    @property
    def maximize(self) -> bool:
        """True where a larger value is better."""
        return bool(self.facts["direction"] == "maximize")

    @property
    def objective(self) -> str:
        """Its name, as val/auc."""
        return str(self.facts["objective"])

    @property
    def complete(self) -> tuple[Trial, ...]:
        """The trials with a value, by number."""
        return tuple(trial for trial in self.trials if trial.value is not None)

    @property
    def best(self) -> Trial | None:
        """The complete trial with the best value, the first of equals."""
        sign = 1.0 if self.maximize else -1.0
        return max(self.complete, key=lambda t: sign * float(t.value or 0.0), default=None)

    def logarithmic(self, key: str) -> bool:
        """Whether a parameter was searched on a logarithmic scale."""
        return bool(self.distributions[key]["attributes"].get("log", False))

    def choices(self, key: str) -> tuple[Any, ...] | None:
        """The values of a parameter without an order; None for a number."""
        found = self.distributions[key]["attributes"].get("choices")
        return None if found is None else tuple(found)

    def count(self, state: str) -> int:
        """How many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)


def is_sweep(path: Path) -> bool:
    """Whether a run directory is one of `frerec sweep`."""
    return (path / INDEX).is_file()


def read_sweep(path: Path) -> Sweep:
    """Read and check a sweep's records.

    Raises:
        DataError: in one line, where a file is missing or damaged.
    """
    facts = _facts(path / INDEX)
    file = path / "sweep" / "trials.json"
    if not file.is_file():
        raise DataError(f"{file}: missing; run the sweep again, it writes it after each trial")
    content = read_json(file)
    try:
        space = {str(key): str(text) for key, text in facts["space"].items()}
        distributions = {key: content["distributions"][key] for key in space}
        trials = tuple(_trial(entry) for entry in content["trials"])
        _ = [distribution["attributes"] for distribution in distributions.values()]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: damaged ({type(error).__name__}: {error}); run the sweep again to rewrite it"
        ) from error
    return Sweep(path, facts, space, distributions, trials)


def _facts(file: Path) -> dict[str, Any]:
    """What was searched; every key that the report cannot do without is there."""
    facts = read_json(file)
    for key, kind in _NEEDED.items():
        if not isinstance(facts.get(key), kind):
            raise DataError(
                f"{file}: {key} is missing or damaged; run the sweep again to rewrite it"
            )
    return facts


def trials_frame(sweep: Sweep) -> pd.DataFrame:
    """One row a trial: number, state, value, parameters, measures on validation images, seconds."""
    rows = [
        {
            "number": trial.number,
            "state": trial.state,
            "value": trial.value,
            **{key: trial.params.get(key) for key in sweep.space},
            "seeds_done": len(trial.values),
            **{f"val/{key}": value for key, value in trial.val.items()},
            **{f"calibrator/{key}": value for key, value in trial.calibrator.items()},
            "seconds": trial.seconds,
            "error": trial.error,
        }
        for trial in sweep.trials
    ]
    return pd.DataFrame(rows)


def _trial(entry: Mapping[str, Any]) -> Trial:
    state = str(entry["state"])
    if state not in STATES:
        raise ValueError(f"state {state!r}")
    value, seconds = entry["value"], entry["seconds"]
    return Trial(
        number=int(entry["number"]),
        state=state,
        value=None if value is None else float(value),
        params=dict(entry["params"]),
        values=tuple(map(float, entry["values"])),
        val=dict(entry["val"]),
        calibrator=dict(entry["calibrator"]),
        seconds=None if seconds is None else float(seconds),
        error=str(entry["error"]),
    )


def importances(sweep: Sweep, seed: int = 0) -> dict[str, float]:
    """Share of the objective's variance that each parameter explains, by fANOVA (Hutter, 2014).

    Args:
        sweep: the sweep; only its complete trials count.
        seed: of the random forest.

    Returns:
        Key -> share in [0, 1], the largest first; nothing where fewer than four trials are
        complete, or their values are equal or so near that no share can be told.
    """
    values = {trial.value for trial in sweep.complete}
    if len(sweep.complete) < 4 or len(values) < 2:
        return {}
    import optuna
    from optuna.distributions import json_to_distribution

    distributions = {
        key: json_to_distribution(json.dumps(found)) for key, found in sweep.distributions.items()
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if sweep.maximize else "minimize")
    for trial in sweep.complete:
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(trial.params), distributions=distributions, value=trial.value
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # the forest sees no variance
        return {}
    return {key: float(share) for key, share in found.items()}
