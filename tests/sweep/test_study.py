"""A study that workers share: resume, claims, totals, in every storage."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import Trial, TrialState

from frerec.errors import ConfigError
from frerec.sweep.samplers import pruner_for
from frerec.sweep.settings import Settings
from frerec.sweep.space import Parameter, parse_space
from frerec.sweep.storage import check_storage, open_storage, without_secret
from frerec.sweep.study import SharedStudy

FORK = multiprocessing.get_context("fork")
SPACE = parse_space({"x": "interval(0,1)", "k": "tag(log,int,interval(5,200))", "loss": "a,b"})
SETTINGS = Settings(
    name="s", study="s", metric="auc", direction="maximize", trials=12, seeds=(0, 1),
    sampler="tpe", sampler_seed=3, pruner="none", failures=5, storage=None, single=False,
    space=SPACE,
)  # fmt: skip
RECORD: dict[str, Any] = {"seeds": [0, 1], "classifier.lr": 1e-3}


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "postgresql":
        address = request.getfixturevalue("postgresql")
        return replace(SETTINGS, storage=address, study=f"s-{tmp_path.name}")
    return replace(
        SETTINGS, storage=None if request.param == "sqlite" else f"journal:{tmp_path / 'journal'}"
    )


def value(trial: Trial) -> float:
    return 1 - (trial.params["x"] - 0.3) ** 2 - 0.1 * (trial.params["loss"] == "b")


def work(study: SharedStudy, at_most: int = 1000) -> list[int]:
    """Run trials to the end of the study, or a few of them; their numbers."""
    numbers: list[int] = []
    while len(numbers) < at_most and (trial := study.next_trial()) is not None:
        study.finish(trial, value(trial), TrialState.COMPLETE)
        numbers.append(trial.number)
    return numbers


def in_process(target: Callable[..., None], *arguments: Any) -> tuple[Any, Connection]:
    here, there = FORK.Pipe()
    process = FORK.Process(target=target, args=(there, *arguments))
    process.start()
    return process, here


def take_and_wait(pipe: Connection, settings: Settings, folder: Path) -> None:
    study = SharedStudy(settings, RECORD, folder)
    trial = study.next_trial()
    assert trial is not None
    pipe.send((trial.number, trial.params))
    signal.pause()


def take_all(pipe: Connection, settings: Settings, folder: Path) -> None:
    pipe.send(work(SharedStudy(settings, RECORD, folder)))


def test_a_trial_of_a_killed_worker_is_taken_up_under_its_number_and_of_a_live_one_is_not(
    settings: Settings, tmp_path: Path
) -> None:
    process, pipe = in_process(take_and_wait, settings, tmp_path)
    try:
        assert pipe.poll(60)
        number, params = pipe.recv()
        study = SharedStudy(settings, RECORD, tmp_path)
        other = study.next_trial()
        assert other is not None
        assert (number, other.number) == (0, 1), "the live worker's trial was stolen"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        taken = study.next_trial()
        for _ in range(50):  # the server notices the end of a session in its own time
            if taken is not None and taken.number == number:
                break
            assert taken is not None
            study.finish(taken, 0.0, TrialState.COMPLETE)
            taken = study.next_trial()
        assert taken is not None
        assert (taken.number, taken.params) == (number, params)
    finally:
        process.kill()
        process.join()


def test_two_workers_share_a_study_and_keep_to_its_total(
    settings: Settings, tmp_path: Path
) -> None:
    both = [in_process(take_all, settings, tmp_path) for _ in range(2)]
    done: list[int] = []
    for process, pipe in both:
        assert pipe.poll(120)
        done += pipe.recv()
        process.join()
        assert process.exitcode == 0
    assert sorted(done) == list(range(12)), "a trial ran twice, or there are too many"
    states = {trial.state for trial in SharedStudy(settings, RECORD, tmp_path).trials()}
    assert states == {TrialState.COMPLETE}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_an_interrupted_search_draws_what_it_would_have_drawn(sampler: str, tmp_path: Path) -> None:
    def journal(name: str) -> Settings:  # TPE begins to model at the 11th
        storage = f"journal:{tmp_path / name}"
        return replace(SETTINGS, sampler=sampler, trials=14, storage=storage)

    whole = SharedStudy(journal("whole"), RECORD, tmp_path)
    work(whole)
    for pause in (3, 8, 100):
        parts = SharedStudy(journal("parts"), RECORD, tmp_path)
        work(parts, pause)
    drawn = [trial.params for trial in whole.trials()]
    assert [trial.params for trial in parts.trials()] == drawn
    assert len({trial["x"] for trial in drawn}) == 14, "a draw was repeated"


def test_a_grid_is_every_combination_once_in_hydras_order(tmp_path: Path) -> None:
    space = parse_space({"a": "1,2", "b": "choice(x,y,z)"})
    settings = replace(SETTINGS, sampler="grid", trials=6, space=space)
    study = SharedStudy(settings, RECORD, tmp_path)
    found = []
    while (trial := study.next_trial()) is not None:
        found.append((trial.params["a"], trial.params["b"]))
        study.finish(trial, 0.5, TrialState.COMPLETE)
    assert found == [(a, b) for a in (1, 2) for b in "xyz"]


def test_other_settings_are_refused_by_name_and_value(tmp_path: Path) -> None:
    SharedStudy(SETTINGS, RECORD, tmp_path)
    with pytest.raises(ConfigError, match=r"classifier.lr was 0.001, is 0.01"):
        SharedStudy(SETTINGS, {**RECORD, "classifier.lr": 1e-2}, tmp_path)
    SharedStudy(replace(SETTINGS, trials=99), RECORD, tmp_path)  # more trials are no other search


def test_a_given_trial_has_the_given_values_and_resumes_its_own(tmp_path: Path) -> None:
    study = SharedStudy(SETTINGS, RECORD, tmp_path)
    values = {"x": 0.25, "k": 40, "loss": "b"}
    trial = study.given_trial(values)
    assert trial.params == values
    study.claims.release(trial.number)  # as when its worker dies
    again = SharedStudy(SETTINGS, RECORD, tmp_path).given_trial(values)
    assert again.number == trial.number


def test_a_grid_takes_what_failed_again_after_the_others_and_counts_it_once(
    tmp_path: Path,
) -> None:
    space = parse_space({"a": "1,2,3"})
    journal = f"journal:{tmp_path / 'j'}"
    settings = replace(SETTINGS, sampler="grid", trials=3, space=space, storage=journal)
    study = SharedStudy(settings, RECORD, tmp_path)
    found = []
    while (trial := study.next_trial()) is not None:
        found.append(trial.params["a"])
        failed = trial.number in (0, 3)
        state = TrialState.FAIL if failed else TrialState.COMPLETE
        study.finish(trial, None if failed else 0.5, state)
    assert found == [1, 2, 3, 1, 1], "the first one failed twice"


def test_failed_trials_do_not_count_and_their_numbers_are_not_used_again(tmp_path: Path) -> None:
    settings = replace(SETTINGS, trials=2, storage=f"journal:{tmp_path / 'j'}")
    study = SharedStudy(settings, RECORD, tmp_path)
    numbers = []
    for state in (TrialState.FAIL, TrialState.COMPLETE, TrialState.PRUNED):
        trial = study.next_trial()
        assert trial is not None
        numbers.append(trial.number)
        study.finish(trial, 0.5, state)
    assert numbers == [0, 1, 2]
    assert study.next_trial() is None


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_range_of_decimals_has_its_own_values_in_the_study(sampler: str, tmp_path: Path) -> None:
    space = parse_space({"a": "range(0.1,0.9,0.1)"})
    journal = f"journal:{tmp_path / 'j'}"
    settings = replace(SETTINGS, sampler=sampler, trials=20, space=space, storage=journal)
    study = SharedStudy(settings, RECORD, tmp_path)
    while (trial := study.next_trial()) is not None:
        study.finish(trial, trial.params["a"], TrialState.COMPLETE)
    drawn = {t.params["a"] for t in SharedStudy(settings, RECORD, tmp_path).trials()}
    assert drawn <= {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}
    assert drawn & {0.3, 0.6, 0.7}, "none of those that are wrong by a bit was drawn"
    assert space[0].override(0.1 + 0.2) == "a=0.3"


class Killed(BaseException):
    """As a signal: nothing catches it."""


def dies(*_: Any, **__: Any) -> Any:
    raise Killed


def dies_at_the_second(own: Callable[..., Any]) -> Callable[..., Any]:
    calls: list[int] = []

    def call(*arguments: Any) -> Any:
        calls.append(1)
        return dies() if len(calls) == 2 else own(*arguments)

    return call


def dies_after(own: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        own(*arguments, **named)
        raise Killed

    return call


@pytest.mark.parametrize(
    ("owner", "name", "death"),
    [
        (SharedStudy, "_draw", lambda _: dies),
        (Parameter, "suggest", dies_at_the_second),
        (optuna.Study, "add_trial", lambda _: dies),
        (optuna.Study, "add_trial", dies_after),
        (optuna.Study, "tell", lambda _: dies),
        (optuna.Study, "tell", dies_after),
    ],
)
def test_killed_anywhere_a_search_keeps_its_numbers_and_values(
    owner: Any, name: str, death: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, sampler="random", trials=3)

    def journal(file: str) -> Settings:
        return replace(settings, storage=f"journal:{tmp_path / file}")

    whole = SharedStudy(journal("whole"), RECORD, tmp_path)
    work(whole)
    study = SharedStudy(journal("parts"), RECORD, tmp_path)
    work(study, 1)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, death(getattr(owner, name)))
        with pytest.raises(Killed):
            work(study)
    held: dict[int, Any] = study.claims._held  # type: ignore[attr-defined]
    for number in list(held):
        study.claims.release(number)  # as the system does for a dead process
    again = SharedStudy(journal("parts"), RECORD, tmp_path)
    work(again)
    assert [t.params for t in again.trials()] == [t.params for t in whole.trials()]
    assert {t.state for t in again.trials()} == {TrialState.COMPLETE}


@pytest.mark.parametrize(
    ("name", "of_five"),
    [("median", (5, 5)), ("halving", (5, 5)), ("hyperband", (1, 5)), ("none", (0, 0))],
)
def test_a_pruner_gives_up_bad_trials_between_two_seeds_and_no_good_one(
    name: str, of_five: tuple[int, int]
) -> None:
    study = optuna.create_study(
        study_name="fixed", direction="maximize", pruner=pruner_for(name, 2)
    )
    for number in range(8):
        before = study.ask()
        for step in (1, 2):
            before.report(0.8 + number / 1000, step)
            before.should_prune()  # halving notes the trial's rung here
        study.tell(before, 0.8)
    given_up = {0.1: 0, 0.95: 0}
    for value in given_up:
        for _ in range(5):
            trial = study.ask()
            trial.report(value, 1)
            given_up[value] += trial.should_prune()
            study.tell(trial, state=TrialState.FAIL)
    least, most = of_five
    assert least <= given_up[0.1] <= most
    assert given_up[0.95] == 0


@pytest.mark.parametrize("address", ["mysql://u:pw@h/d", "sqlite:x", "journal:", "redis://h"])
def test_an_unknown_storage_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ConfigError, match="expected null, sqlite:///FILE") as caught:
        check_storage(address)
    assert "pw" not in str(caught.value)


def test_a_server_that_does_not_answer_is_one_line_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    address = "postgresql://me:hidden@127.0.0.1:9/d"
    with pytest.raises(ConfigError, match="cannot be opened") as caught:
        open_storage(address, "s", tmp_path)
    assert "hidden" not in str(caught.value)
    assert without_secret(address) == "postgresql://127.0.0.1:9/d"
