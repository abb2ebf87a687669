"""``frerec sweep`` through the command line: SIGKILL and resume, refusals, failures, W&B."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml
from omegaconf import DictConfig
from optuna.trial import Trial, TrialState

import frerec.config
from frerec.benchmark.cell import make_cell, read_status
from frerec.benchmark.plan import expand
from frerec.benchmark.stages import Stages
from frerec.cli import main
from frerec.config import compose_config, config_directory, plain
from frerec.errors import ConfigError
from frerec.sweep import runner
from frerec.sweep.best import benchmark_overrides
from frerec.sweep.runner import plan_sweep
from frerec.sweep.settings import read_settings, without_sweep
from frerec.sweep.space import parse_space
from frerec.sweep.trial import Bench, Outcome

SPACE = ["classifier.lr=tag(log,interval(1e-4,1e-2))"]
DECIMALS = "classifier.label_smoothing=range(0.1,0.9,0.1)"
SMALL = [
    "arm=raw", "data=phantom_chest_xray", "data.count=40", "data.size=32", "classifier.steps=2",
    "classifier.eval_every=2", "classifier.warmup_steps=0", "classifier.batch_size=4",
    "trainer.accelerator=cpu", "trainer.progress=false", "seeds=[0]", "trials=3",
    "report.figures=[]",
]  # fmt: skip


def arguments(root: Path, *more: str) -> list[str]:
    paths = [f"paths.runs={root / 'runs'}", f"paths.store={root / 'store'}"]
    return ["sweep", *SPACE, *SMALL, *paths, *more]


def trials(root: Path) -> list[dict[str, object]]:
    content = json.loads((root / "runs" / "sweep" / "sweep" / "trials.json").read_text())
    return list(content["trials"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of three trials, killed once in the middle of its second one."""
    root = tmp_path_factory.mktemp("sweep")
    process = subprocess.Popen(
        [sys.executable, "-m", "frerec", *arguments(root, DECIMALS)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    cells = root / "runs" / "sweep" / "cells"
    while process.poll() is None and len(list(cells.glob("*/status.json"))) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it finished before it could be killed"
    kept = {path: path.stat().st_mtime_ns for path in cells.glob("*/metrics.json")}
    assert main(arguments(root, DECIMALS)) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "a finished cell was redone"
    return root


@pytest.mark.slow
def test_killed_and_resumed_it_has_its_trials_by_number_and_no_other(finished: Path) -> None:
    found = trials(finished)
    assert [t["number"] for t in found] == [0, 1, 2]
    assert {t["state"] for t in found} == {"complete"}
    assert len(list((finished / "runs" / "sweep" / "cells").iterdir())) == 3
    for trial in found:
        (cell,) = trial["cells"]  # type: ignore[misc]
        metrics = finished / "runs" / "sweep" / "cells" / cell / "metrics.json"
        assert trial["value"] == json.loads(metrics.read_text())["val"]["auc"]


@pytest.mark.slow
def test_the_records_name_no_test_metric_and_no_place(finished: Path) -> None:
    folder = finished / "runs" / "sweep"
    names = {"index.html", "trials.csv", "trials.json", "best.yaml", "importances.json"}
    assert names <= {path.name for path in (folder / "sweep").iterdir()}
    for trial in trials(finished):
        assert not [key for key in (*trial, *trial["val"]) if "test" in key]  # type: ignore[misc]
    study = optuna.load_study(
        study_name="sweep", storage=f"sqlite:///{folder / 'sweep' / 'study.db'}"
    )
    for told in study.trials:
        assert told.user_attrs["val"]
        assert "test" not in json.dumps(told.user_attrs)
    for file in (folder / "sweep.json", folder / "sweep" / "index.html"):
        assert str(finished) not in file.read_text()


@pytest.mark.slow
def test_no_test_image_was_classified_and_a_benchmark_would_still_do_it(finished: Path) -> None:
    for folder in (finished / "runs" / "sweep" / "cells").iterdir():
        assert set(pd.read_parquet(folder / "predictions.parquet")["split"]) == {"val"}
        assert "test" not in json.loads((folder / "metrics.json").read_text())
        assert read_status(folder, ("val",)) == "finished"
        assert read_status(folder) == "pending"


@pytest.mark.slow
def test_the_best_overrides_are_the_best_trials_cells_of_a_benchmark(finished: Path) -> None:
    best = yaml.safe_load((finished / "runs" / "sweep" / "sweep" / "best.yaml").read_text())
    _, planned = expand("benchmark", best["overrides"])
    ids = [make_cell(item, Stages(item.config)).id for item in planned]
    assert ids == trials(finished)[best["trial"]]["cells"]
    assert best["value"] == max(t["value"] for t in trials(finished))  # type: ignore[type-var]


@pytest.mark.slow
def test_changed_settings_are_refused_and_a_larger_total_goes_on(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(arguments(finished, DECIMALS, "classifier.weight_decay=0.5")) == 2
    assert "classifier.weight_decay was 0.0001, is 0.5" in capsys.readouterr().err

    ran: list[int] = []

    def fails(trial: Trial, _: Bench) -> Outcome:
        ran.append(trial.number)
        trial.set_user_attr("error", "out of memory")
        return Outcome(TrialState.FAIL, reason="out of memory")

    monkeypatch.setattr(runner, "run_trial", fails)
    assert main(arguments(finished, DECIMALS, "trials=9", "failures=2")) == 1
    assert ran == [3, 4], "it goes on after the last number, and stops after two failures"
    assert trials(finished)[3]["error"] == "out of memory"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["classifier.lrr=interval(0,1)"], "did you mean classifier.lr"),
        (["classifier=choice(resnet10t,resnet11)"], "available: "),
        (["logger=wandb", "logger.mode=onlin"], "logger.mode=onlin: expected one of"),
    ],
)
def test_a_mistake_is_found_before_the_first_trial(
    more: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path, *more)) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def composed() -> DictConfig:
    return compose_config("sweep")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("objective", "test/auc", "test images take no part"),
        ("objective", "val/auk", "expected one of val/auc"),
        ("objective", "val/brier", "direction=maximize: expected minimize"),
        ("sampler", "grid", "has no end of values"),
        ("sampler", "best", "expected one of tpe"),
        ("seeds", [0, 0], "different whole numbers"),
        ("trials", 0, "at least 1"),
        ("trials", 2.5, "whole number"),
        ("failures", None, "whole number"),
        ("storage", "mysql://x", "expected null, sqlite:///FILE"),
        ("name", "a/b", "without slashes"),
        ("study", "", "expected a name"),
        ("storage", 5, "expected null, sqlite:///FILE"),
        ("seeds", None, "different whole numbers"),
    ],
)
def test_a_wrong_setting_is_named(
    composed: DictConfig, key: str, value: object, expected: str
) -> None:
    config = composed.copy()
    config[key] = value
    with pytest.raises(ConfigError, match=re.escape(expected)) as caught:
        read_settings(config, parse_space({"a": "interval(0,1)"}))
    assert key in str(caught.value) or key == "sampler"


def test_no_number_of_trials_is_twenty_or_all_of_a_grid(
    composed: DictConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config, space = composed.copy(), parse_space({"a": "range(3)", "b": "range(9)"})
    assert read_settings(config, space).trials == 20
    config.sampler = "grid"
    assert read_settings(config, space).trials == 27
    config.trials = 20
    with caplog.at_level("INFO"):
        assert read_settings(config, space).trials == 20
    assert "20 of 27 combinations" in caplog.text


@pytest.mark.parametrize(
    ("more", "expected"),
    [("seed=3", "give seeds="), ("trial=true", "classifier.lr is missing"),
     ("space.classifier.lr=1", "give classifier.lr=1, without space"),
     ("space=null", "space=None: expected keys"), ("seeds={a:1}", "seeds={a:1}: expected a list"),
     ("sweep=nothing", "no such option; available: classifier, rhm, shr")],
)  # fmt: skip
def test_a_wrong_plan_is_refused(more: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        plan_sweep("sweep", [*SPACE, more])


def test_a_key_that_changes_the_validation_images_is_found_before_the_first_trial(
    tmp_path: Path,
) -> None:
    _, *given = arguments(tmp_path, "data.count=40,60")
    with pytest.raises(ConfigError, match=r"data\.count=60 has other validation images"):
        plan_sweep("sweep", [o for o in given if o != "data.count=40"])


def test_what_a_sweeps_file_sets_besides_its_space_is_in_the_best_trials_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(config_directory(), tmp_path / "configs")
    (tmp_path / "configs" / "sweep" / "mine.yaml").write_text(
        "# @package _global_\n"
        "defaults: [override /classifier: resnet18]\n"
        "name: mine\nspace: {calibrator.shr.ratio: 'range(0.1,0.9,0.1)'}\n"
        "grid: {arm: [frerec], data.count: [60]}\n"
        "classifier: {weight_decay: 0.3}\ndata: {size: 48}\nsamples: {ratio: 0.5}\n"
    )
    monkeypatch.setattr(frerec.config, "config_directory", lambda: tmp_path / "configs")
    common, chosen = ["sweep=mine", "trials=4", "classifier.steps=7"], ["calibrator.shr.ratio=0.3"]
    space = parse_space({"calibrator.shr.ratio": "range(0.1,0.9,0.1)"})
    settings = replace(read_settings(compose_config("sweep", common), space), seeds=(0, 5))
    found = benchmark_overrides("sweep", common, chosen, settings)
    assert "classifier.weight_decay=0.3" in found
    _, ours = expand("benchmark", [*found, "name=mine"])
    _, theirs = expand("sweep", [*common, *chosen, "seed=0,5"])
    assert [cell.config.seed for cell in ours] == [0, 5]
    for one, other in zip(ours, theirs, strict=True):
        wanted = plain(without_sweep(other.config))
        assert plain(one.config) == {**wanted, "grid": plain(one.config)["grid"]}


@pytest.mark.slow
def test_wandbs_agent_runs_one_trial_and_gets_its_value(
    fresh_wandb: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in (("SWEEP_ID", "abc"), ("RUN_ID", "r1"), ("MODE", "offline")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    given = ["trial=true", "classifier.lr=0.002"]  # ${args_no_hyphens}
    assert main(arguments(tmp_path, *given)) == 0
    (trial,) = trials(tmp_path)
    assert trial["params"] == {"classifier.lr": 0.002}
    (file,) = tmp_path.rglob("*.wandb")
    assert b"val/auc" in file.read_bytes()
    assert b"test/" not in file.read_bytes()
