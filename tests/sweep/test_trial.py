"""One trial without a training: its seeds' mean, pruning, failures, records, W&B's agent."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from filelock import FileLock, Timeout
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from frerec.errors import ConfigError, DataError
from frerec.sweep import facts, runner, trial
from frerec.sweep.agent import Agent
from frerec.sweep.records import write_index, write_trials
from frerec.sweep.settings import Settings
from frerec.sweep.space import parse_space
from frerec.sweep.trial import Bench, run_trial

SETTINGS = Settings(
    name="s", study="s", metric="auc", direction="maximize", trials=3, seeds=(0, 1),
    sampler="random", sampler_seed=0, pruner="none", failures=5, storage=None, single=False,
    space=parse_space({"a": "1,2"}),
)  # fmt: skip
AUC = {0: 0.6, 1: 0.8}


def cell(seed: int) -> Any:
    arm = SimpleNamespace(real="raw", synthetic="none", evaluation="raw")
    config = SimpleNamespace(arm=arm, classifier=SimpleNamespace(checkpoint_path=None))
    stages = SimpleNamespace(data=SimpleNamespace(fingerprint="d"), samples_key="k")
    return SimpleNamespace(id=f"cell-{seed}", axes={"seed": seed}, config=config, stages=stages)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A sweep whose cells are made up; `ran` in its overrides' place says which were run."""

    def attempt(made: Any, folder: Path, *others: Any) -> bool:
        assert others[-1] == ("val",), "a sweep's cell was asked for its test images"
        auc = AUC[made.axes["seed"]]
        failed = auc < 0
        state = {"state": "failed", "error": "out of memory"} if failed else {"state": "finished"}
        (folder / "status.json").write_text(json.dumps(state))
        metrics = {"val": {"auc": auc, "f1": auc / 2}, "training": {"cell_seconds": 2.0}}
        if not failed:
            (folder / "metrics.json").write_text(json.dumps(metrics))
        ran.append(made.id)
        return not failed

    ran: list[str] = []
    monkeypatch.setattr(trial, "plan_cells", lambda *_: [cell(seed) for seed in (0, 1)])
    monkeypatch.setattr(trial, "validation_hash", lambda _: "v")
    monkeypatch.setattr(trial, "attempt", attempt)
    made = Bench(SETTINGS, "sweep", (), tmp_path, "v", progress=False, tracked=False)
    object.__setattr__(made, "ran", ran)
    return made


def asked(study: optuna.Study) -> optuna.Trial:
    found = study.ask()
    SETTINGS.space[0].suggest(found)
    return found


def test_a_trials_value_is_the_mean_over_its_seeds_and_finished_cells_are_not_run_again(
    bench: Bench,
) -> None:
    study = optuna.create_study(direction="maximize")
    first = asked(study)
    outcome = run_trial(first, bench)
    assert outcome.state == TrialState.COMPLETE
    assert outcome.value == pytest.approx(0.7)
    known = first.user_attrs
    assert known["values"] == [0.6, 0.8]
    assert known["cells"] == ["cell-0", "cell-1"]
    assert known["val"] == pytest.approx({"auc": 0.7, "f1": 0.35})
    assert known["seconds"] == 4.0
    assert run_trial(asked(study), bench).value == outcome.value
    assert bench.ran == ["cell-0", "cell-1"]  # type: ignore[attr-defined]


def test_a_bad_first_seed_gives_the_trial_up_before_the_second(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(2))
    for _ in range(3):
        good = asked(study)
        good.report(0.8, 1)
        study.tell(good, 0.8)
    pruned = asked(study)
    outcome = run_trial(pruned, bench)
    assert (outcome.state, outcome.value) == (TrialState.PRUNED, 0.6)
    assert bench.ran == ["cell-0"]  # type: ignore[attr-defined]


def test_a_failed_cell_fails_the_trial_with_its_seed_and_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AUC, 1, -1.0)
    found = asked(optuna.create_study(direction="maximize"))
    outcome = run_trial(found, bench)
    assert outcome.state == TrialState.FAIL
    assert found.user_attrs["error"] == outcome.reason == "seed 1: out of memory"


def test_other_samples_or_weights_are_another_search(bench: Bench, tmp_path: Path) -> None:
    weights = tmp_path / "w"
    weights.write_bytes(b"one")
    with_samples = cell(0)
    with_samples.config.arm.synthetic = "raw"
    with_samples.config.classifier.checkpoint_path = str(weights)
    before = facts.facts_of(bench, [with_samples])
    assert before["samples"] == "k"
    weights.write_bytes(b"two")
    with_samples.stages.samples_key = "other"
    after = facts.facts_of(bench, [with_samples])
    assert {k for k in before if before[k] != after[k]} == {"samples", "classifier's weights"}
    assert set(facts.facts_of(bench, [cell(0)])) == {"validation images", "data"}


def test_trials_are_fetched_while_other_workers_are_kept_out(tmp_path: Path) -> None:
    def fetch() -> list[Any]:
        with pytest.raises(Timeout), FileLock(tmp_path / "sweep.lock", timeout=0):
            pass
        return []

    write_trials(tmp_path, SETTINGS, fetch)
    assert json.loads((tmp_path / "sweep" / "trials.json").read_text())["trials"] == []


def test_a_folder_has_the_records_of_one_study(tmp_path: Path) -> None:
    data = SimpleNamespace(name="d", modality="m", image_size=8, rows=lambda _: [0])
    axes = {"arm": "raw", "classifier": "c", "generator": "g"}
    made: Any = SimpleNamespace(stages=SimpleNamespace(data=data), axes=axes)
    write_index(tmp_path, SETTINGS, made, (), "SQLite", "1")
    write_index(tmp_path, SETTINGS, made, ("trials=9",), "SQLite", "1")
    before = (tmp_path / "sweep.json").read_bytes()
    for settings, storage, identity in (
        (replace(SETTINGS, study="t"), "SQLite", "1"),
        (SETTINGS, "PostgreSQL", "1"),
        (SETTINGS, "SQLite", "2"),
    ):
        with pytest.raises(ConfigError, match=r"name=s: .* give another name="):
            write_index(tmp_path, settings, made, (), storage, identity)
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_a_lost_storage_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> Any:
        raise StorageInternalError("An exception is raised") from OSError("disk\nis full")

    monkeypatch.setattr(runner, "plan_sweep", lambda *_: None)
    monkeypatch.setattr(runner, "_search", lost)
    with pytest.raises(DataError, match=r"cannot be reached \(disk is full\); run the same"):
        runner.run_sweep("sweep", [])


class Run:
    """W&B's run, as far as the agent needs it."""

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None

    def log(self, values: dict[str, Any]) -> None:
        """Numbers of a step."""
        self.logged |= values

    def finish(self, *, exit_code: int) -> None:
        """The end."""
        self.exit_code = exit_code


@pytest.mark.parametrize(
    ("state", "exit_code", "has_value"),
    [
        (TrialState.COMPLETE, 0, True),
        (TrialState.PRUNED, 0, False),
        (TrialState.FAIL, 1, False),
    ],
)
def test_an_agent_gets_the_value_of_a_complete_trial_alone(
    state: TrialState, exit_code: int, has_value: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import frerec.tracking.wandb_run

    run, given = Run(), {}
    module = SimpleNamespace(init=lambda **settings: given.update(settings) or run)
    monkeypatch.setitem(sys.modules, "wandb", module)  # type: ignore[arg-type]
    monkeypatch.setattr(frerec.tracking.wandb_run, "quiet_settings", lambda _: None)
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    monkeypatch.setenv("WANDB_MODE", "offline")
    agent = Agent.of_environment("s", {"data": {"root": "/home/me", "size": 32}})
    assert agent is not None
    assert (given["mode"], given["group"], given["job_type"]) == ("offline", "s", "trial")
    assert given["config"] == {"config": {"data": {"size": 32}}}
    trial = SimpleNamespace(number=4, user_attrs={"cells": ["c"], "val": {"f1": 0.5}})
    agent.report("val/auc", None if state == TrialState.FAIL else 0.6, state, trial)  # type: ignore[arg-type]
    assert run.exit_code == exit_code
    assert ("val/auc" in run.logged, "val/auc" in run.summary) == (has_value, has_value)
    assert run.summary["cells"] == ["c"]
    assert run.summary["best_val/f1"] == 0.5
