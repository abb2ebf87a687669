"""Trackers: what they are given, what they keep back, and what happens when they fail."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from PIL import Image

from frerec.config import compose_config, instantiate
from frerec.errors import ConfigError
from frerec.tracking import CsvTracker, ManyTrackers, MlflowTracker, Tracker, WandbTracker, base
from frerec.tracking.base import RunInfo, TrackedRun


class Kept(TrackedRun):
    """Keeps what it is told; fails where asked."""

    def __init__(self, info: RunInfo, *, fail: str = "", **allowed: bool) -> None:
        super().__init__("a service", **allowed)
        self.info, self.fail, self.told = info, fail, []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_take_") or name == "_close":
            return lambda *args: self.take(name, args)
        return super().__getattribute__(name)

    def take(self, name: str, args: tuple[Any, ...]) -> None:
        """What any ``_take_`` method does."""
        self.told.append((name.removeprefix("_"), *args))
        if self.fail in name and self.fail:
            raise RuntimeError("the\nnetwork is down")


class Keeping(Tracker):
    """Opens such runs; ``last`` is the newest."""

    fail = ""

    def _start(self, info: RunInfo) -> TrackedRun:
        made = Kept(info, fail=self.fail, log_images=self.log_images, log_model=self.log_model)
        self.last = made
        return made


def open_run(tracker: Tracker, folder: Path, **config: Any) -> Any:
    return tracker.run("name", group="g", cell_id="c", config=config, directory=folder)


@pytest.fixture(autouse=True)
def reachable() -> Iterator[None]:
    base.UNREACHABLE.clear()
    yield
    base.UNREACHABLE.clear()


def test_pictures_and_weights_stay_unless_each_is_allowed(tmp_path: Path) -> None:
    for images, model in ((False, False), (True, False), (False, True)):
        tracker = Keeping(log_images=images, log_model=model)
        with open_run(tracker, tmp_path) as run:
            run.pictures({"grid": tmp_path / "x.png"})
            run.loggers[0].log_image("samples", ["x.png"], step=3)  # as a generator's training does
            run.model("m", lambda: {"w": torch.ones(1)})
        kinds = [told[0] for told in tracker.last.told]
        assert kinds.count("take_pictures") == (2 if images else 0)
        assert kinds.count("take_model") == (1 if model else 0)


def test_tables_lose_the_columns_and_texts_that_name_files_or_patients(tmp_path: Path) -> None:
    table = pd.DataFrame({"row": [0], "group": ["p"], "Image": ["a.png"], "note": ["/home/me/a"]})
    tracker = Keeping()
    with open_run(tracker, tmp_path) as run:
        run.table("t", table)
        run.manifest("m", table)
    for _, _, sent in tracker.last.told[:2]:
        assert sent.to_dict("list") == {"row": [0], "note": ["(path)"]}


def test_a_failure_is_said_once_and_the_rest_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Keeping()
    tracker.fail = "summary"
    with caplog.at_level(logging.WARNING), open_run(tracker, tmp_path) as run:
        run.summary({"a": 1.0})
        run.summary({"a": 1.0})
        run.metrics({"b": 1.0}, 1)
    assert [told[0] for told in tracker.last.told] == ["take_summary", "close"]
    assert len(caplog.records) == 1
    assert "a service takes no more (the network is down)" in caplog.text


def test_a_failed_piece_of_work_closes_its_run_as_failed_and_its_error_goes_on(
    tmp_path: Path,
) -> None:
    tracker = Keeping(group="mine", tags=["a"]).tagged("trial 3")
    with pytest.raises(ValueError, match="diverged"), open_run(tracker, tmp_path, root="/x", k=1):
        raise ValueError("diverged")
    assert tracker.last.told == [("close", True)]
    info = tracker.last.info
    assert (info.group, info.id, info.tags) == ("mine", "mine-c", ("a", "trial 3"))
    assert info.config == {"k": 1}


def test_of_many_trackers_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    broken, whole = Keeping(), Keeping()
    broken.fail = "summary"
    with open_run(ManyTrackers({"a": broken, "b": whole}), tmp_path) as run:
        assert len(run.loggers) == 2
        run.summary({"a": 1.0})
        run.summary({"b": 2.0})
    assert [told[0] for told in whole.last.told] == ["take_summary", "take_summary", "close"]


def test_of_many_trackers_an_error_names_the_whole_key() -> None:
    wrong = "logger.trackers.wandb.mode=onlin"
    config = compose_config("benchmark", ["logger=many", wrong])
    with pytest.raises(ConfigError, match=rf"^{wrong}: expected"):
        instantiate(config.logger)
    made = instantiate(compose_config("benchmark", ["logger=many"]).logger)
    assert [type(each).__name__ for each in made.trackers.values()] == [
        "CsvTracker",
        "WandbTracker",
    ]


def test_a_home_that_takes_no_folder_is_replaced_for_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frerec.tracking.wandb_run import _without_home

    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    for name in ("XDG_CACHE_HOME", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, "")  # so that both are put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_CACHE_DIR", "mine")
    _without_home()
    assert os.environ["WANDB_CACHE_DIR"] == "mine"
    made = Path(os.environ["WANDB_CONFIG_DIR"])
    assert made.is_dir()
    made.rmdir()


@pytest.mark.parametrize("extra", ["mlflow", "tensorboard"])
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    config = compose_config("benchmark", [f"logger={extra}"])
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(ConfigError, match=rf"pip install 'frerec\[{extra}\]'"):
        instantiate(config.logger)


def test_a_resumed_training_goes_on_in_its_csv(tmp_path: Path) -> None:
    for steps in ((1, 2, 3), (3, 4)):  # killed after the third step, whose checkpoint is the second
        with open_run(CsvTracker(), tmp_path) as run:
            for step in steps:
                run.loggers[0].log_metrics({"train/loss": step / len(steps)}, step)
            run.summary({f"from {steps[0]}": 1.0})
    metrics = pd.read_csv(tmp_path / "csv" / "metrics.csv")
    assert metrics["step"].tolist() == [1, 2, 3, 4]
    assert metrics["train/loss"].tolist() == pytest.approx([1 / 3, 2 / 3, 3 / 2, 2])
    assert len(pd.read_csv(tmp_path / "csv" / "summary.csv")) == 2


def test_tensorboard_gets_numbers_and_allowed_pictures_and_not_the_hosts_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(socket, "gethostname", lambda: "jane.office.example.org")
    Image.new("L", (4, 4), 128).save(tmp_path / "x.png")
    overrides = ["logger=tensorboard", "logger.log_images=true"]
    tracker = instantiate(compose_config("benchmark", overrides).logger)
    with open_run(tracker, tmp_path / "run") as run:
        run.metrics({"val/auc": 0.75}, 20)
        run.pictures({"grid": tmp_path / "x.png"}, 20)
    (file,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert "jane" not in file.name
    assert b"jane" not in file.read_bytes()
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [(s.step, s.value) for s in found.Scalars("val/auc")] == [(20, 0.75)]
    assert found.Images("grid")[0].width == 4


def dead_address() -> str:
    """Where nobody listens: a port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_dead_mlflow_server_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = MlflowTracker(tracking_uri=dead_address(), timeout=1)
    for _ in range(2):
        with caplog.at_level(logging.WARNING), open_run(tracker, tmp_path) as run:
            run.summary({"a": 1.0})
    assert [r.message[:20] for r in caplog.records if "frerec" in r.name] == [
        "MlflowTracker is off"
    ]


def test_a_server_that_refuses_one_call_is_asked_again_and_its_run_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    closed = []

    class Server:
        def get_experiment_by_name(self, _: str) -> Any:
            return SimpleNamespace(experiment_id="1")

        def search_runs(self, *_: Any, **__: Any) -> list[Any]:
            return [SimpleNamespace(info=SimpleNamespace(run_id="r"))]

        def update_run(self, *_: Any, **__: Any) -> None: ...

        def log_batch(self, *_: Any, **__: Any) -> None:
            raise self.error

        def set_terminated(self, run: str, state: str) -> None:
            closed.append(state)

    monkeypatch.setattr(MlflowTracker, "_client", lambda _: Server())
    tracker = MlflowTracker(tracking_uri="http://a.server")
    wrapped = MlflowException("API request failed")
    wrapped.__context__ = ConnectionRefusedError("refused")
    for error, gone in ((MlflowException("metric value nan is not valid"), False), (wrapped, True)):
        Server.error = error  # type: ignore[attr-defined]
        with open_run(tracker, tmp_path) as run:
            run.summary({"a": 1.0})
        assert bool(base.UNREACHABLE) == gone
    assert closed == ["FINISHED", "FINISHED"]


def test_an_experiment_that_another_process_just_made_is_taken() -> None:
    from mlflow.exceptions import MlflowException

    from frerec.tracking.mlflow import _experiment

    class Late:
        asked = 0

        def get_experiment_by_name(self, name: str) -> Any:
            self.asked += 1
            return None if self.asked == 1 else SimpleNamespace(experiment_id="7")

        def create_experiment(self, name: str, **_: Any) -> str:
            raise MlflowException(f"Experiment {name} already exists")

    assert _experiment(Late(), "x", None) == "7"

    class Refusing(Late):
        def get_experiment_by_name(self, name: str) -> Any:
            return None

    with pytest.raises(MlflowException):
        _experiment(Refusing(), "x", None)


def test_the_local_store_is_locked_while_an_experiment_is_made(tmp_path: Path) -> None:
    from filelock import FileLock, Timeout

    tracker = MlflowTracker(folder=str(tmp_path))
    with tracker.lock(), pytest.raises(Timeout):
        FileLock(tmp_path / "mlflow.lock", timeout=0).acquire()


def test_a_dead_network_costs_wandb_one_wait_and_loses_nothing(
    fresh_wandb: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from frerec.tracking import wandb as room

    monkeypatch.setenv("WANDB_BASE_URL", dead_address())
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("HOME", str(tmp_path))
    opened = []
    start = room.start_run

    def counted(*args: Any, **kwargs: Any) -> Any:
        opened.append(kwargs["mode"])
        return start(*args, **kwargs)

    monkeypatch.setattr(room, "start_run", counted)
    tracker = WandbTracker(mode="online", timeout=1)
    for number in range(2):
        with caplog.at_level(logging.WARNING), open_run(tracker, tmp_path / str(number)) as run:
            run.summary({"test/auc": 0.75})
        assert list((tmp_path / str(number)).rglob("offline-run-*/*.wandb"))
    assert opened == ["online", "offline", "offline"]
    assert caplog.text.count("W&B cannot be reached") == 1
    assert "takes no more" not in caplog.text


def test_a_server_lost_in_the_middle_is_not_waited_for_again(tmp_path: Path) -> None:
    from frerec.tracking.wandb_run import WandbRun

    def finish(**_: Any) -> None:
        raise TimeoutError("still uploading")

    lost = SimpleNamespace(
        dir=str(tmp_path / "files"), settings=SimpleNamespace(mode="online"), finish=finish
    )
    WandbRun(lost, log_images=False, log_model=False).close(failed=False)
    assert set(base.UNREACHABLE) == {"W&B"}
