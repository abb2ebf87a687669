"""A sweep from its command line to its files: plan, check, then one trial after the other."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import Trial, TrialState

from frerec.benchmark.cell import Cell
from frerec.config import compose_config, instantiate, plain
from frerec.errors import ConfigError, DataError
from frerec.report.figures import check_formats
from frerec.sweep.agent import Agent
from frerec.sweep.best import write_best
from frerec.sweep.facts import facts_of, first_combination
from frerec.sweep.grammar import is_sweep, key_of
from frerec.sweep.records import write_index, write_trials
from frerec.sweep.settings import read_settings, record_of
from frerec.sweep.space import Parameter, parse_space, split_overrides
from frerec.sweep.study import SharedStudy
from frerec.sweep.trial import Bench, Outcome, Runner, plan_cells, run_trial, validation_hash

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a call did.

    Attributes:
        plan: what was searched.
        ran: trials of this call.
        failed: those of them that failed.
        best: the best trial of the study in words, or nothing.
    """

    plan: "Plan"
    ran: int
    failed: int
    best: str


@dataclass(frozen=True)
class Plan:
    """A checked sweep: nothing was written yet.

    Attributes:
        bench: what trials have in common.
        record: all that shapes a trial's value.
        cell: one of the first combination, or of the single trial.
        values: of the single trial that was asked for, by key.
        overrides: of the command line.
    """

    bench: Bench
    record: dict[str, Any]
    cell: Cell
    values: dict[str, Any]
    overrides: tuple[str, ...]


def run_sweep(config_name: str, overrides: Sequence[str], runner: Runner | None = None) -> Result:
    """Run the trials that the study still lacks, and write its records after each.

    Args:
        config_name: `sweep`.
        overrides: of the command line.
        runner: runs one trial; the real one if None.

    Raises:
        ConfigError, DataError: For whatever can be known before the first trial, and where the
            storage is lost.
    """
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    plan = plan_sweep(config_name, overrides)
    try:
        return _search(plan, runner or run_trial)
    except (SQLAlchemyError, OptunaError) as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error
        text = " ".join(str(getattr(cause, "orig", None) or cause).split())[:200]
        raise DataError(
            f"storage: the study cannot be reached ({text}); run the same command again to go on"
        ) from error


def plan_sweep(config_name: str, overrides: Sequence[str]) -> Plan:
    """Read and check everything that can be known before the first trial.

    Raises:
        ConfigError, DataError: One line that names the key or the file.
    """
    # `space={...}` may bring keys that the configuration does not have yet.
    overrides = [f"++{o}" if o.startswith("space={") else o for o in overrides]
    for override in overrides:
        if key_of(override).startswith("space."):
            given = override.lstrip("+~").removeprefix("space.")
            raise ConfigError(f"{override}: give {given}, without space.")
    config = compose_config(config_name, [o for o in overrides if not is_sweep(o)])
    if any(key_of(o) == "seed" for o in overrides):
        raise ConfigError("seed: a trial averages over several; give seeds=[0,1]")
    if config.get("from") is not None:
        raise ConfigError("from: one saved cell has nothing to search; leave it out")
    if not OmegaConf.is_dict(config.space):
        raise ConfigError(f"space={config.space}: expected keys with their values, as in a file of"
                          " configs/sweep")  # fmt: skip
    kept, entries, own = split_overrides(overrides, plain(config.space), trial=config.trial)
    space = parse_space(entries)
    settings = read_settings(config, space)
    values = _values_of(space, own) if settings.single else {}
    progress = bool(config.trainer.progress) and sys.stderr.isatty()
    run_dir = Path(config.paths.runs) / settings.name
    bench = Bench(settings, config_name, tuple(kept), run_dir, "", progress)
    _check_ends(bench, space)
    cells = plan_cells(bench, list(first_combination(space).values()))
    instantiate(cells[0].config.logger)  # its mistakes stop no trial half way
    check_formats(cells[0].config.report.figures, "report.figures")
    bench = replace(bench, validation=validation_hash(cells[0].stages.data))
    _check_validation(bench, space)
    record = record_of(settings, cells[0].config, facts_of(bench, cells))
    if values:
        cells = plan_cells(bench, [p.override(values[p.key]) for p in space])
    return Plan(bench, record, cells[0], values, tuple(overrides))


def _search(plan: Plan, runner: Runner) -> Result:
    bench, settings = plan.bench, plan.bench.settings
    run_dir = bench.run_dir
    (run_dir / "sweep").mkdir(parents=True, exist_ok=True)
    study = SharedStudy(settings, plan.record, run_dir / "sweep")
    write_index(run_dir, settings, plan.cell, plan.overrides, study.shared.shown, study.identity)
    config = plain(plan.cell.config)
    agent = Agent.of_environment(settings.name, config) if settings.single else None
    if agent is not None:
        bench = replace(bench, tracked=False)  # the agent's run is the one of this process
    ran = failed = in_a_row = 0
    while True:
        trial = _next(study, plan, ran)
        if trial is None:
            break
        log.info("trial %d of %d: %s", trial.number, settings.trials, _shown(trial, bench))
        outcome = runner(trial, bench)
        study.finish(trial, outcome.value, outcome.state)
        _say(trial, outcome, settings.objective)
        if agent is not None:
            agent.report(settings.objective, outcome.value, outcome.state, trial)
        write_trials(run_dir, settings, study.trials)
        ran += 1
        failed += outcome.state == TrialState.FAIL
        in_a_row = in_a_row + 1 if outcome.state == TrialState.FAIL else 0
        if in_a_row >= settings.failures:
            log.error("%d trials failed in a row; the search stops (failures=)", in_a_row)
            break
    write_trials(run_dir, settings, study.trials)
    best = write_best(run_dir, settings, study.trials, bench.config_name, bench.overrides)
    text = "" if best is None else f"trial {best.number}, {settings.objective} {best.value:.4f}"
    return Result(plan, ran, failed, text)


def _next(study: SharedStudy, plan: Plan, ran: int) -> Trial | None:
    if not plan.bench.settings.single:
        return study.next_trial()
    return study.given_trial(plan.values) if ran == 0 else None


def _check_ends(bench: Bench, space: Sequence[Parameter]) -> None:
    """Compose with every value of a choice and both ends of the rest, one key at a time."""
    first = first_combination(space)
    for parameter in space:
        for value in parameter.ends():
            chosen = {**first, parameter.key: parameter.override(value)}
            compose_config(bench.config_name, [*bench.overrides, *chosen.values()])


def _check_validation(bench: Bench, space: Sequence[Parameter]) -> None:
    """Refuse a key of the data that changes the images on which trials are compared."""
    first = first_combination(space)
    for parameter in space:
        for value in parameter.ends() if parameter.key.split(".")[0] == "data" else ():
            override = parameter.override(value)
            cells = plan_cells(bench, list({**first, parameter.key: override}.values()))
            if validation_hash(cells[0].stages.data) != bench.validation:
                raise ConfigError(
                    f"space.{parameter.key}={parameter.text}: {override} has other validation"
                    f" images than {first[parameter.key]}: no comparison; take it out of the space"
                )


def _values_of(space: Sequence[Parameter], own: dict[str, str]) -> dict[str, Any]:
    missing = [p.key for p in space if p.key not in own]
    if missing:
        raise ConfigError(f"{missing[0]} is missing: trial=true takes a value for every key")
    return {p.key: p.value_of(own[p.key]) for p in space}


def _shown(trial: Trial, bench: Bench) -> str:
    return " ".join(p.override(trial.params[p.key]) for p in bench.settings.space)


def _say(trial: Trial, outcome: Outcome, objective: str) -> None:
    if outcome.value is not None:
        word = "given up early, " if outcome.state == TrialState.PRUNED else ""
        log.info("trial %d: %s%s %.4f", trial.number, word, objective, outcome.value)
