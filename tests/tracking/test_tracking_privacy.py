"""Every byte that a tracker wrote: no patient, no file, no folder of this machine, no picture."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from frerec.cli import main

PATIENT, FILE = "SMITH-0042", "scan-of-smith"
TINY = [
    "debug=fast", "grid.arm=[raw]", "grid.seed=[0]", "classifier.batch_size=4", "data=csv",
    "trainer.accelerator=cpu", "trainer.progress=false", "logger=many",
    "+logger@logger.trackers.tensorboard=tensorboard", "+logger@logger.trackers.mlflow=mlflow",
]  # fmt: skip


def private_data(root: Path) -> Path:
    """Images of patients with names, in files with names."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    rows = []
    for k in range(24):
        name = f"{FILE}-{k}.png"
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(root / name)
        label = "ill" if k % 2 else "normal"
        rows.append({"image": name, "label": label, "patient_id": f"{PATIENT}-{k}"})
    pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)
    return root


def small_report(run_dir: Path, **_: object) -> Path:
    """Stands where the report is written: a table that says too much, and a figure."""
    folder = run_dir / "report"
    (folder / "figures").mkdir(parents=True)
    table = {
        "arm": ["raw"],
        "auc": [0.5],
        "group": [f"{PATIENT}-1"],
        "patient_id": [f"{PATIENT}-2"],
        "samples.path": ["hospital-share"],
        "note": [f"/mnt/{FILE}-1.png"],
    }
    pd.DataFrame(table).to_csv(folder / "results.csv", index=False)
    (folder / "table.md").write_text("table")
    Image.new("L", (8, 8)).save(folder / "figures" / "samples.png")
    return folder / "index.html"


def run(root: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Path:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    for name, value in (("HOME", root / "home-of-jane"), ("USER", "jane-the-user")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("frerec.verbs.benchmark.write_report", small_report)
    data = private_data(root / "hospital-share")
    places = [f"data.root={data}", f"paths.store={root / 'store'}", f"paths.runs={root / 'runs'}"]
    places.append(f"logger.trackers.wandb.staging={root / 'staging'}")
    assert main(["benchmark", *TINY, *places, *more]) == 0
    return root / "runs"


def written(runs: Path) -> dict[Path, bytes]:
    """What the trackers wrote: everything but the files that a cell has whatever the logger is."""
    own = {
        "config.yaml", "environment.json", "status.json", "metrics.json", "plan.json", "log.jsonl",
        "predictions.parquet", "benchmark.json",
    }  # fmt: skip
    found = {}
    for path in runs.rglob("*"):
        folders = path.relative_to(runs).parts[1:]
        by_report = folders[:1] == ("report",) or folders[:1] == ("showcase",)
        if path.is_file() and path.name not in own and not by_report and path.suffix != ".ckpt":
            found[path] = path.read_bytes()
    return found


def test_nothing_that_a_tracker_wrote_names_a_patient_a_file_or_a_folder_or_shows_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = run(tmp_path, monkeypatch)
    files = written(runs)
    kinds = {path.suffix for path in files}
    assert {".wandb", ".db", ".csv", ".json"} <= kinds
    assert any("tfevents" in path.name for path in files)
    words = (PATIENT, FILE, "hospital-share", "home-of-jane", "jane-the-user")
    for path, content in files.items():
        for word in words:
            assert word.encode() not in content, f"{path.relative_to(runs)} names {word}"
            assert word not in str(path.relative_to(runs))
        if path.suffix == ".wandb":  # W&B sends an artifact's local place with its manifest
            staged = str(tmp_path / "staging").encode()
            assert str(tmp_path).encode() not in content.replace(staged, b"")
        assert b"\x89PNG" not in content, f"{path.relative_to(runs)} holds a picture"
    assert not any(path.suffix in (".png", ".safetensors") for path in files)
    assert len([path for path in files if path.suffix == ".wandb"]) == 2  # a cell and the report
    check_contents(runs, files)


def check_contents(runs: Path, files: dict[Path, bytes]) -> None:
    """The same services got what they are for."""
    tables = [p for p in files if "/media/table/predictions" in p.as_posix()]
    (table,) = [json.loads(files[p]) for p in tables]
    assert table["columns"] == ["row", "split", "label", "prob_0", "prob_1", "correct"]
    (cell,) = (runs / "benchmark" / "cells").iterdir()
    saved = pd.read_parquet(cell / "predictions.parquet")
    assert [row[3] for row in table["data"]] == pytest.approx(saved["prob_0"].tolist())
    assert [row[2] for row in table["data"]] == saved["label"].tolist()
    assert not (cell / "csv" / "manifest.csv").exists()  # once a run
    manifest = pd.read_csv(runs / "benchmark" / "tracking" / "csv" / "manifest.csv")
    assert list(manifest) == ["row", "label", "split", "source", "dataset"]
    assert len(manifest) == 24
    report = pd.read_csv(runs / "benchmark" / "tracking" / "csv" / "results.csv")
    assert list(report) == ["arm", "auc", "note"]
    staged = [p for p in (runs.parent / "staging").rglob("manifest.csv") if p.is_file()]
    assert len(staged) == 1
    metrics = json.loads((cell / "metrics.json").read_text())
    summary = pd.read_csv(cell / "csv" / "summary.csv", index_col="metric")["value"]
    assert summary["test/auc"] == pytest.approx(metrics["test"]["auc"])
    assert pd.read_csv(cell / "csv" / "metrics.csv")["step"].max() == 4
