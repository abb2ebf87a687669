"""``frerec benchmark`` through the command line: cells, resume after SIGKILL, failures."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from fixtures import textured_images, write_tree
from frerec.cli import main

SMALL = [
    "data=phantom_chest_xray",
    "data.count=60",
    "data.size=32",
    "debug=fast",
    "generator.width=4",
    "generator.latent_dim=4",
    "calibrator.shr.neighbours=6",
    "classifier.batch_size=8",
    "trainer.accelerator=cpu",
    "trainer.progress=false",
    "showcase.spectra=16",
    "showcase.embeddings=[]",
    "showcase.inference_images=0",
    "report.figures=[]",
]


def arguments(root: Path, *more: str) -> list[str]:
    paths = [f"paths.runs={root / 'runs'}", f"paths.store={root / 'store'}"]
    return ["benchmark", *SMALL, *paths, *more]


def table(root: Path) -> bytes:
    return (root / "runs" / "benchmark" / "report" / "table.csv").read_bytes()


def cells(root: Path, name: str = "benchmark") -> dict[str, dict[str, object]]:
    """Metrics of every cell by its arm and seed."""
    found = {}
    for path in (root / "runs" / name / "cells").glob("*/metrics.json"):
        metrics = json.loads(path.read_text())
        found[f"{metrics['axes']['arm']}-{metrics['axes']['seed']}"] = metrics | {
            "dir": path.parent
        }
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark of all four arms."""
    root = tmp_path_factory.mktemp("finished")
    assert main(arguments(root)) == 0
    return root


def test_every_cell_is_complete_and_its_metrics_follow_from_its_predictions(
    finished: Path,
) -> None:
    found = cells(finished)
    assert sorted(found) == ["frerec-0", "gda-0", "raw-0", "raw_frerec-0"]
    for metrics in found.values():
        predictions = pd.read_parquet(metrics["dir"] / "predictions.parquet")  # type: ignore[operator]
        for split in ("val", "test"):
            part = predictions[predictions["split"] == split]
            auc = roc_auc_score(part["label"], part["prob_1"])
            assert metrics[split]["auc"] == pytest.approx(auc, abs=1e-6)  # type: ignore[index]
        names = {path.name for path in metrics["dir"].iterdir()}  # type: ignore[attr-defined]
        assert {"config.yaml", "status.json", "log.jsonl", "metrics.json"} <= names
        lines = (metrics["dir"] / "log.jsonl").read_text().splitlines()  # type: ignore[operator]
        steps = [json.loads(line)["step"] for line in lines]
        assert steps == sorted(steps)
        assert steps[-1] == 4


def test_arms_take_equal_steps_and_the_images_that_they_say(finished: Path) -> None:
    found = cells(finished)
    training = {name: metrics["training"] for name, metrics in found.items()}
    assert {t["steps"] for t in training.values()} == {4}  # type: ignore[index]
    assert {t["images_seen"] for t in training.values()} == {32}  # type: ignore[index]
    real = training["raw-0"]["train_real"]  # type: ignore[index]
    assert {t["train_real"] for t in training.values()} == {real}  # type: ignore[index]
    synthetic = {name: t["train_synthetic"] for name, t in training.items()}  # type: ignore[index]
    assert synthetic == {"raw-0": 0, "raw_frerec-0": 0, "gda-0": real, "frerec-0": real}


def test_arms_are_tested_on_the_same_images(finished: Path) -> None:
    tables = [
        pd.read_parquet(m["dir"] / "predictions.parquet")[["image", "split", "label"]]  # type: ignore[operator]
        for m in cells(finished).values()
    ]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other)


def test_stages_are_shared_by_cells(finished: Path) -> None:
    store = finished / "store"
    for kind, count in (("generators", 1), ("samples", 1), ("calibrators", 1), ("calibrated", 2)):
        made = [p for p in (store / kind).iterdir() if p.is_dir()]
        assert len(made) == count, kind
        assert not any(p.name.endswith(".partial") for p in made)


def test_the_bank_is_the_training_images_and_no_other(finished: Path) -> None:
    from frerec.benchmark.plan import expand
    from frerec.benchmark.stages import Stages
    from frerec.calibration import load_calibrator
    from frerec.calibration.bank import content_keys

    data = Stages(expand("benchmark", arguments(finished)[1:])[1][0].config).data
    folder = next(p for p in (finished / "store" / "calibrators").iterdir() if p.is_dir())
    bank = load_calibrator(folder).state_dict()["shr.bank.known_keys"].tolist()

    def keys(split: str) -> list[int]:
        return content_keys(data.stack.tensor(data.rows(split))).tolist()

    assert sorted(bank) == sorted(keys("train"))
    assert not set(bank) & set(keys("val") + keys("test"))


def test_the_report_has_its_tables_figures_and_page(finished: Path) -> None:
    report = finished / "runs" / "benchmark" / "report"
    page = (report / "index.html").read_text()
    assert "data:image/png;base64" in page
    for name in ("table.md", "table.csv", "results.csv"):
        assert (report / name).stat().st_size > 0
    with (report / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    showcase = json.loads(
        (finished / "runs" / "benchmark" / "showcase" / "showcase.json").read_text()
    )
    assert set(showcase["sets"]) == {"synthetic", "synthetic_shr", "synthetic_frerec"}
    assert showcase["sets"]["synthetic"]["kid"] is not None
    spectra = np.load(finished / "runs" / "benchmark" / "showcase" / "spectra.npz")
    assert {"rho", "real_mean", "synthetic_frerec_std"} <= set(spectra.files)


def test_a_second_run_makes_cells_with_damaged_files_again_and_redoes_nothing_else(
    finished: Path,
) -> None:
    first, found = table(finished), cells(finished)
    folders = {name: metrics["dir"] for name, metrics in found.items()}
    (folders["raw-0"] / "status.json").write_text("")  # type: ignore[operator]
    (folders["gda-0"] / "metrics.json").write_text("[]")  # type: ignore[operator]
    before = {n: (f / "predictions.parquet").stat().st_mtime_ns for n, f in folders.items()}  # type: ignore[operator]
    assert main(arguments(finished)) == 0
    after = {n: (f / "predictions.parquet").stat().st_mtime_ns for n, f in folders.items()}  # type: ignore[operator]
    assert {name for name in before if before[name] != after[name]} == {"raw-0", "gda-0"}
    assert table(finished) == first


def test_report_verb_writes_the_same_table(finished: Path, tmp_path: Path) -> None:
    run = str(finished / "runs" / "benchmark")
    assert main(["report", run, f"output={tmp_path / 'r'}", "figures=[]"]) == 0
    assert (tmp_path / "r" / "table.csv").read_bytes() == table(finished)


def same_results(root: Path, finished: Path, *names: str) -> None:
    """The cells are those, and say what the uninterrupted run's say."""
    found, expected = cells(root), cells(finished)
    assert sorted(found) == sorted(names)
    for name in names:
        files = [cell["dir"] / "predictions.parquet" for cell in (found[name], expected[name])]  # type: ignore[operator]
        assert files[0].read_bytes() == files[1].read_bytes()
        for key in ("axes", "val", "test"):
            assert found[name][key] == expected[name][key]


def test_killed_anywhere_it_resumes_to_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    """SIGKILL while the calibrator trains, and again when a cell is finished."""
    more = ["grid.arm=[frerec,raw]"]  # the calibrator first: when it trains, no cell is finished
    command = [sys.executable, "-m", "frerec", *arguments(tmp_path, *more)]
    marks = ["store/calibrators/*.partial/last.ckpt", "runs/benchmark/cells/*/metrics.json"]
    kept: dict[Path, int] = {}
    for mark in marks:
        assert not list(tmp_path.glob(mark)), "there before: the kill would be at the start"
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
        )
        while process.poll() is None and not list(tmp_path.glob(mark)):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it finished before it could be killed"
        for path in tmp_path.glob("runs/*/cells/*/status.json"):
            if json.loads(path.read_text())["state"] == "finished":
                kept[path] = path.stat().st_mtime_ns
    assert main(arguments(tmp_path, *more)) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    same_results(tmp_path, finished, "frerec-0", "raw-0")


def test_two_processes_may_share_a_run(finished: Path, tmp_path: Path) -> None:
    more = ["grid.arm=[frerec,raw]"]
    command = [sys.executable, "-m", "frerec", *arguments(tmp_path, *more)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    logs = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], logs
    begun = [line for log in logs for line in log.splitlines() if line.endswith(" resnet10t 0")]
    assert len(begun) == len(set(begun)) == 2, "a cell ran twice"
    same_results(tmp_path, finished, "frerec-0", "raw-0")
    assert not list((tmp_path / "runs" / "benchmark").glob(".report-*"))


def test_configurations_sent_to_wandb_hold_no_machine_paths() -> None:
    from frerec.tracking.private import without_paths

    config = {
        "data": {"root": "/home/me", "name": "x", "source": {"root": "/home/me"}},
        "paths": {"runs": "/r"},
        "list": [{"path": "/p", "keep": 1}],
    }
    assert without_paths(config) == {"data": {"name": "x", "source": {}}, "list": [{"keep": 1}]}


def test_a_failed_cell_is_recorded_the_others_go_on_and_a_second_run_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frerec.benchmark import cell as room

    original = room.train_classifier

    def failing(*args: object, **kwargs: object) -> object:
        if kwargs["seed"] == 0:
            raise RuntimeError("out of\nmemory")
        return original(*args, **kwargs)  # type: ignore[arg-type]

    command = arguments(tmp_path, "grid.arm=[raw]", "grid.seed=[0,1]")
    with monkeypatch.context() as patch:
        patch.setattr(room, "train_classifier", failing)
        assert main(command) == 1
    assert sorted(cells(tmp_path)) == ["raw-1"]
    folders = (tmp_path / "runs" / "benchmark" / "cells").iterdir()
    states = {f.name: json.loads((f / "status.json").read_text()) for f in folders}
    failed = [name for name, status in states.items() if status["state"] == "failed"]
    assert len(failed) == 1
    assert states[failed[0]]["error"] == "out of memory"
    error = tmp_path / "runs" / "benchmark" / "cells" / failed[0] / "error.txt"
    assert "RuntimeError" in error.read_text()
    assert "out of memory" in (tmp_path / "runs" / "benchmark" / "report" / "table.md").read_text()
    assert main(command) == 0
    assert sorted(cells(tmp_path)) == ["raw-0", "raw-1"]
    assert not error.exists()


def test_samples_of_a_users_folder(tmp_path: Path) -> None:
    write_tree(
        tmp_path / "mine",
        textured_images(12, seed=3),
        [f"{'sick' if i % 2 else 'well'}/{i}.png" for i in range(12)],
    )
    more = ["grid.arm=[gda]", "samples=folder", f"samples.path={tmp_path / 'mine'}"]
    more.append("samples.label_map={sick:enlarged_heart,well:normal_heart}")
    assert main(arguments(tmp_path, *more)) == 0
    training = cells(tmp_path)["gda-0"]["training"]
    assert training["train_synthetic"] == 12  # type: ignore[index]
    shutil.rmtree(tmp_path / "mine")


def test_an_unreadable_sample_is_found_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{'enlarged_heart' if i % 2 else 'normal_heart'}/{i}.png" for i in range(6)]
    write_tree(tmp_path / "mine", textured_images(6), names)
    (tmp_path / "mine" / names[3]).write_bytes(b"\x89PNG broken")
    more = ["grid.arm=[raw,gda]", "samples=folder", f"samples.path={tmp_path / 'mine'}"]
    assert main(arguments(tmp_path, *more)) == 2
    assert "3.png" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_real_test_images_are_not_taken_for_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tmp_path / "real"
    write_tree(real, textured_images(40), [f"{'ab'[i % 2]}/{i}.png" for i in range(40)])
    more = ["data=folder", f"data.root={real}", "samples=folder", f"samples.path={real}"]
    small = [a for a in arguments(tmp_path, "grid.arm=[gda]") if not a.startswith("data")]
    assert main([*small, *more]) == 2
    assert "is a real" in capsys.readouterr().err


def test_a_failed_calibrator_leaves_a_report_of_the_other_arms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frerec.calibration import FreRec

    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("diverged")

    monkeypatch.setattr(FreRec, "fit", failing)
    assert main(arguments(tmp_path, "grid.arm=[raw,frerec]")) == 1
    assert sorted(cells(tmp_path)) == ["raw-0"]
    text = (tmp_path / "runs" / "benchmark" / "report" / "table.md").read_text()
    assert "diverged" in text


def planned_ids(root: Path, data: dict[str, object], *more: str) -> dict[str, str]:
    """Cell ids by arm, without running anything; data prepared before are not prepared again."""
    from frerec.benchmark.plan import expand
    from frerec.benchmark.planned_stages import Kept, with_stages

    _, planned = expand("benchmark", arguments(root, *more)[1:])
    made = with_stages(planned, False, Kept(data=data))
    return {cell.axes["arm"]: cell.id for cell in made}


def test_a_cell_id_changes_with_what_shapes_its_result_and_with_nothing_else(
    tmp_path: Path,
) -> None:
    real = [f"{'ab'[i % 2]}/{i}.png" for i in range(30)]
    write_tree(tmp_path / "real", textured_images(30), real)
    write_tree(
        tmp_path / "mine", textured_images(8, seed=2), [f"{'ab'[i % 2]}/{i}.png" for i in range(8)]
    )
    base = ["data=folder", f"data.root={tmp_path / 'real'}", "samples=folder"]
    # Of these arms one takes no calibrator and one no samples; raw takes neither.
    base += [f"samples.path={tmp_path / 'mine'}", "grid.arm=[gda,raw_frerec,frerec]"]
    data_less = [a for a in SMALL if not a.startswith("data")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "SMALL", data_less)
        data: dict[str, object] = {}
        reference = planned_ids(tmp_path, data, *base)
        every = set(reference)
        calibrated = {"frerec", "raw_frerec"}
        for change, expected in (
            (
                "trainer.progress=true trainer.accelerator=auto"
                " calibrator.training.accelerator=gpu",
                set(),
            ),
            ("data.classes=[b,a]", every),
            ("data.modality=brain_mri", every),
            ("data.val_fraction=0.3", every),
            ("classifier.lr=0.5", every),
            ("calibrator.shr.ratio=0.4", calibrated),
            ("calibrator.training.seed=5", calibrated),
            ("calibrator.stages=[shr]", calibrated),
        ):
            found = planned_ids(tmp_path, data, *base, *change.split())
            assert {arm for arm in every if found[arm] != reference[arm]} == expected, change
        sample = next((tmp_path / "mine").rglob("*.png"))
        write_tree(sample.parent, textured_images(1, seed=9), [sample.name])
        found = planned_ids(tmp_path, data, *base)
        assert {arm for arm in every if found[arm] != reference[arm]} == {"gda", "frerec"}


def test_a_class_that_the_real_data_lacks_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "mine", textured_images(4), [f"alien/{i}.png" for i in range(4)])
    more = ["grid.arm=[gda]", "samples=folder", f"samples.path={tmp_path / 'mine'}"]
    assert main(arguments(tmp_path, *more)) == 2
    text = capsys.readouterr().err
    assert "alien" in text
    assert "label_map" in text
