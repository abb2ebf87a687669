"""What a benchmark tells a tracker: of cells, stages before them, the report; and what of tests."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image
from test_trackers import Keeping

from frerec.benchmark.cell_record import EnvironmentRecord
from frerec.benchmark.cell_tracking import public_manifests, tracked_cell
from frerec.benchmark.stage_tracking import StageTracking, replay, tracked_stage
from frerec.sweep.trial import ValidationOnly
from frerec.tracking import environment
from frerec.tracking.report import track_report


def told(tracker: Keeping, kind: str) -> list[tuple[Any, ...]]:
    return [entry[1:] for entry in tracker.last.told if entry[0] == kind]


def made_cell() -> Any:
    table = pd.DataFrame(
        {"image": ["smith.png"] * 2, "label": ["a", "b"], "split": "train", "source": "real",
         "dataset": "d", "group": "smith"}
    )  # fmt: skip
    axes = {"data": "d", "generator": "", "arm": "frerec", "classifier": "c", "seed": 3,
            "calibrator.shr.ratio": 0.4, "samples.path": "smith"}  # fmt: skip
    stages = SimpleNamespace(data=SimpleNamespace(manifest=SimpleNamespace(table=table)))
    config = OmegaConf.create({"arm": {"name": "frerec"}, "data": {"root": "smith"}})
    return SimpleNamespace(id="0abc", axes=axes, config=config, stages=stages)


def test_a_cells_run_says_with_what_code_packages_and_machine_it_was_made(tmp_path: Path) -> None:
    tracker = Keeping()
    with tracked_cell(tracker, made_cell(), tmp_path, "g"):
        pass
    info = tracker.last.info
    assert (info.id, info.job_type, info.tags) == ("g-0abc", "cell", ("d", "frerec", "c"))
    assert info.config["calibrator.shr.ratio"] == 0.4
    assert "smith" not in json.dumps([info.name, info.config, info.tags])
    origin = info.config["environment"]
    assert origin["git_commit"] == environment.git_state()[0]
    assert origin["versions"]["torch"] == environment.package_versions()["torch"]
    assert origin["hardware"]["cpu"]
    assert info.config["config"] == {"arm": {"name": "frerec"}, "data": {}}
    assert not told(tracker, "take_manifest")  # once a run, not a cell


def test_a_data_set_of_many_cells_has_one_manifest_without_files_and_patients() -> None:
    found = public_manifests([made_cell(), made_cell()])
    assert list(found) == ["d"]
    assert list(found["d"]) == ["row", "label", "split", "source", "dataset"]


@pytest.mark.parametrize("job_type", ["generator", "calibrator"])
def test_a_stage_that_is_trained_has_a_run_of_its_kind(tmp_path: Path, job_type: str) -> None:
    tracker = Keeping()
    track = StageTracking(tracker, "g", tmp_path)
    config = OmegaConf.create({"_target_": "frerec.x.FreRec", "training": {"steps": 1}})
    (tmp_path / "fold0").mkdir()
    lines = [{"step": 1, "time": 0.5, "loss": 2.0, "none": None}, {"step": 2, "loss": 1.0}]
    (tmp_path / "fold0" / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with tracked_stage(track, job_type, "key", config) as run:
        replay(run, tmp_path)
    info = tracker.last.info
    assert (info.job_type, info.id, info.tags) == (job_type, f"g-{job_type}-key", ("FreRec",))
    assert info.name == f"{job_type} FreRec"
    assert info.directory == tmp_path / f"{job_type}-key"
    assert info.config["environment"]["versions"]
    assert told(tracker, "take_metrics") == [({"fold0/loss": 2.0}, 1), ({"fold0/loss": 1.0}, 2)]


def test_a_stage_without_training_and_one_that_nobody_tracks_have_no_run(tmp_path: Path) -> None:
    tracker = Keeping()
    with tracked_stage(StageTracking(tracker, "g", tmp_path), "calibrator", "k", {"a": 1}) as run:
        assert not run.service
    with tracked_stage(None, "calibrator", "k", {"training": {}}) as run:
        assert not run.service
    assert not hasattr(tracker, "last")


def report_in(folder: Path) -> Path:
    report = folder / "report"
    (report / "figures").mkdir(parents=True)
    (report / "a.csv").write_text("arm,patient_id,samples.path\nraw,smith,smith\n")
    (report / "b_empty.csv").write_text("\n")
    (report / "c_damaged.csv").write_bytes(b"arm\n\xff\xfe\n")
    (report / "d.csv").write_text("auc\n0.5\n")
    for name in ("auc", "auc_dark"):
        Image.new("L", (4, 4)).save(report / "figures" / f"{name}.png")
    return report


def test_a_report_is_sent_but_for_patients_dark_figures_and_a_file_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Keeping(log_images=True)
    report = report_in(tmp_path)
    manifests = {"d": pd.DataFrame({"row": [0], "group": ["smith"]})}
    track_report(tracker, report, group="g", config={"k": 1}, key="h", manifests=manifests)
    assert [(k, list(table)) for k, table in told(tracker, "take_table")] == [
        ("a", ["arm"]), ("d", ["auc"]),
    ]  # fmt: skip
    assert [(k, list(table)) for k, table in told(tracker, "take_manifest")] == [("d", ["row"])]
    assert [list(files) for files, _ in told(tracker, "take_pictures")] == [["auc"]]
    assert "c_damaged.csv" in caplog.text
    assert "b_empty.csv" not in caplog.text


def test_reports_of_other_settings_are_runs_of_their_own(tmp_path: Path) -> None:
    ids = []
    for number, (key, job_type) in enumerate((("h", "report"), ("i", "report"), ("h", "sweep"))):
        tracker = Keeping()
        report = report_in(tmp_path / str(number))
        track_report(tracker, report, group="g", config={}, key=key, job_type=job_type)
        ids.append(tracker.last.info.id)
        assert tracker.last.info.job_type == job_type
    assert len(set(ids)) == 3


def test_a_trials_run_gets_nothing_of_test_images(tmp_path: Path) -> None:
    tracker = Keeping()
    with ValidationOnly(tracker).run(
        "n", group="g", cell_id="c", config={}, directory=tmp_path
    ) as run:
        run.summary({"test/auc": 0.9, "best_val/auc": 0.8})
        run.table("predictions", pd.DataFrame({"split": ["val", "test"], "prob_0": [0.1, 0.2]}))
    sent = [value for entry in tracker.last.told for value in entry[1:]]
    for value in sent:
        text = value.to_csv() if isinstance(value, pd.DataFrame) else str(value)
        assert "test" not in text
    assert {"best_val/auc": 0.8} in sent


@pytest.mark.skipif(not environment._CLEAR.exists(), reason="Linux alone resets the peak")
def test_a_cells_peak_memory_is_not_that_of_the_cell_before(tmp_path: Path) -> None:
    before = np.ones(300 * 2**20, np.uint8)  # of another cell
    del before
    peak = environment.peak_memory()
    record = EnvironmentRecord(tmp_path, seed=0, command="")
    if not record._own_peak:
        pytest.skip("this system does not let a process reset its peak")
    record.finish(training_seconds=0.0)
    found = json.loads((tmp_path / "environment.json").read_text())
    assert found["peak_memory_of"] == "cell"
    assert 0 < found["peak_memory_mib"] < peak - 200


def test_where_the_peak_cannot_be_reset_the_record_says_that_it_is_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_CLEAR", tmp_path / "no" / "such")
    record = EnvironmentRecord(tmp_path, seed=0, command="")
    record.finish(training_seconds=0.0)
    found = json.loads((tmp_path / "environment.json").read_text())
    assert found["peak_memory_of"] == "process"
    assert found["peak_memory_mib"] == environment.peak_memory()


def test_files_of_artifacts_wait_where_the_setting_says_and_empty_places_go(
    tmp_path: Path,
) -> None:
    from frerec.tracking.wandb_run import WandbRun

    lost = SimpleNamespace(
        dir=str(tmp_path / "run" / "files"), settings=SimpleNamespace(mode="offline"),
        finish=lambda **_: None,
    )  # fmt: skip
    for file in ("", "waits.csv"):
        run = WandbRun(lost, log_images=False, log_model=False, staging=tmp_path / "wait")
        folder = run._folder("manifest")
        assert folder.is_relative_to(tmp_path / "wait")
        if file:
            (folder / file).write_text("x")
        run.close(failed=False)
        assert folder.exists() == bool(file)
