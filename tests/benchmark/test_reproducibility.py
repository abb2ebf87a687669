"""What a cell's folder says of how it was made, and the same cell again from its configuration."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

import frerec.verbs.benchmark as verb
from frerec.benchmark.cell import make_cell
from frerec.benchmark.cell_record import write_config
from frerec.benchmark.plan import expand
from frerec.benchmark.stages import Stages
from frerec.cli import main
from frerec.errors import ConfigError
from frerec.tracking import environment

TINY = [
    "data=phantom_chest_xray", "data.count=60", "data.size=32", "debug=fast", "generator.width=4",
    "generator.latent_dim=4", "calibrator.shr.neighbours=6", "classifier.batch_size=8",
    "trainer.accelerator=cpu", "trainer.progress=false", "quality.limit=16",
    "features.name=resnet10t",
]  # fmt: skip


def small_report(run_dir: Path, **_: object) -> Path:
    """Stands where the report is written: it has tests of its own."""
    (run_dir / "report").mkdir(exist_ok=True)
    (run_dir / "report" / "table.md").write_text("table")
    return run_dir / "report" / "index.html"


def benchmark(*overrides: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "write_report", small_report)
        patch.setattr("frerec.benchmark.runner.show", lambda *_: None, raising=False)
        return main(["benchmark", *overrides])


def places(root: Path) -> list[str]:
    return [f"paths.runs={root / 'runs'}", f"paths.store={root / 'store'}"]


def the_cell(root: Path, name: str) -> Path:
    (cell,) = (root / "runs" / name / "cells").iterdir()
    return cell


GRID = "grid={arm:[frerec],seed:[3],calibrator.shr.ratio:[0.4]}"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished FreRec cell with an axis of its own."""
    root = tmp_path_factory.mktemp("saved")
    assert benchmark(*TINY, GRID, *places(root), "name=first") == 0
    return the_cell(root, "first")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a cell with its configuration alone: nothing was trained."""
    root = tmp_path_factory.mktemp("written")
    _, (planned,) = expand("benchmark", [*TINY, GRID, *places(root), "name=first"])
    cell = make_cell(planned, Stages(planned.config))
    folder = root / "runs" / "first" / "cells" / cell.id
    folder.mkdir(parents=True)
    write_config(folder, cell.config, cell_id=cell.id, values=cell.values)
    return folder


def test_a_cell_run_again_from_its_configuration_gives_the_same_numbers(
    saved: Path, tmp_path: Path
) -> None:
    """In a new store: samples, calibrator and classifier are all trained again."""
    assert benchmark(f"from={saved / 'config.yaml'}", "name=again", *places(tmp_path)) == 0
    again = the_cell(tmp_path, "again")
    assert again.name == saved.name
    name = "predictions.parquet"
    assert (again / name).read_bytes() == (saved / name).read_bytes()
    first, second = (json.loads((cell / "metrics.json").read_text()) for cell in (saved, again))
    for key in ("axes", "val", "test"):
        assert first[key] == second[key]
    assert first["axes"]["calibrator.shr.ratio"] == 0.4
    plan = json.loads((tmp_path / "runs" / "again" / "benchmark.json").read_text())
    assert [cell["id"] for cell in plan["cells"]] == [saved.name]
    assert (tmp_path / "store" / "calibrators").is_dir()
    assert plan["git_commit"] == environment.git_state()[0]
    assert {"versions", "hardware", "git_dirty"} <= set(plan)
    check_environment(saved)


def check_environment(saved: Path) -> None:
    """It says with what, when and where the cell was made, and names no machine."""
    record = json.loads((saved / "environment.json").read_text())
    assert record["seed"] == 3
    assert record["versions"]["torch"] == environment.package_versions()["torch"]
    assert {"numpy", "timm", "frerec"} <= set(record["versions"])
    assert record["git_commit"] == environment.git_state()[0]
    assert record["wall_seconds"] >= record["training_seconds"] > 0
    assert record["peak_memory_mib"] > 100
    assert record["attempts"] == 1
    assert record["command"].startswith("frerec benchmark data=phantom_chest_xray")
    assert "paths.runs=DIR" in record["command"]
    text = (saved / "environment.json").read_text()
    assert str(Path.home()) not in text
    assert str(saved.parents[3]) not in text


def test_overrides_of_places_reach_what_follows_them(written: Path, tmp_path: Path) -> None:
    more = ["name=x", "trainer.accelerator=auto", "logger=csv", *places(tmp_path)]
    base, (planned,) = expand("benchmark", [f"from={written / 'config.yaml'}", *more])
    assert base.name == "x"
    assert planned.config.data.cache_dir == f"{tmp_path / 'store'}/data"
    assert planned.config.calibrator.training.accelerator == "auto"
    assert planned.config.logger["_target_"] == "frerec.tracking.CsvTracker"
    assert make_cell(planned, Stages(planned.config)).id == written.name


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["name=again", "seed=4"], "seed=4: a saved cell is run as it was"),
        (["name=again", "experiment=demo"], "experiment=demo: a saved cell is run as it was"),
        (["name=first"], "is the saved cell's own run"),
        ([], "name is missing"),
    ],
)
def test_a_saved_cell_takes_no_other_settings(
    written: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        expand("benchmark", [f"from={written / 'config.yaml'}", *overrides])


def edited(written: Path, folder: Path, **changes: object) -> Path:
    """The saved configuration with changed values, by dotted names."""
    content = yaml.safe_load((written / "config.yaml").read_text())
    for key, value in changes.items():
        node = content
        *parts, last = key.split("__")
        for part in parts:
            node = node[part]
        node[last] = value
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifer": 1}, "classifer: no such key; did you mean classifier"),
        ({"data__cuont": 1}, "data.cuont: no such key; did you mean count"),
        ({"cell__format": 99}, "format 99 of a newer frerec"),
        ({"cell__format": 1}, "format 1 of an older frerec"),
        ({"cell": None}, "not the configuration of a cell"),
        ({"logger___target_": "os.system"}, "_target_: os.system: not one of"),
        (
            {"data__classes": [{"_target_": "frerec.tracking.environment.subprocess.run"}]},
            "_target_: frerec.tracking.environment.subprocess.run: not one of",
        ),
    ],
)
def test_a_file_that_is_no_such_configuration_is_refused_in_one_line(
    written: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    file = edited(written, tmp_path, **changes)
    with pytest.raises(ConfigError, match=message) as caught:
        expand("benchmark", [f"from={file}", "name=again"])
    assert str(file) in str(caught.value)


def test_the_program_that_a_saved_cell_runs_is_named_before_it_runs(
    written: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = edited(written, tmp_path, generator__command=["python", "a file.py", "{out}"])
    expand("benchmark", [f"from={file}", "name=again"])
    assert "runs a program for its samples: python 'a file.py' '{out}'" in caplog.text


@pytest.mark.parametrize(
    ("given", "root"), [("'/a place/x'", "/a place/x"), ("/a place/x", "/a place/x"), ("x", "x")]
)
def test_a_moved_folder_of_data_is_read_as_on_any_command_line(
    written: Path, tmp_path: Path, given: str, root: str
) -> None:
    file = edited(written, tmp_path, data__root="here")
    base, _ = expand("benchmark", [f"from={file}", "name=again", f"data.root={given}"])
    assert base.data.root == root


@pytest.mark.parametrize("content", [None, "", "[1, 2]", "a: [", "name: x"])
def test_other_files_are_refused_in_one_line(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    if content is not None:
        file.write_text(content)
    assert main(["benchmark", f"from={file}", "name=again", *places(tmp_path)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_an_edited_cell_is_not_passed_off_as_the_saved_one(written: Path, tmp_path: Path) -> None:
    file = edited(written, tmp_path, classifier__lr=0.5)
    _, (planned,) = expand("benchmark", [f"from={file}", "name=again"])
    with pytest.raises(ConfigError, match="settings were edited"):
        make_cell(planned, Stages(planned.config))


def test_a_wheel_beside_another_repository_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "lib" / "python3" / "site-packages" / "frerec" / "tracking"
    site.mkdir(parents=True)
    (tmp_path / "lib" / "python3" / ".git").mkdir()
    shutil.copy(environment.__file__, site)
    monkeypatch.setattr(environment, "__file__", str(site / "environment.py"))
    environment.git_state.cache_clear()
    assert environment.git_state() == (None, None)
    environment.git_state.cache_clear()
