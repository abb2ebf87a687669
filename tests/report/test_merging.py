"""Several runs are reported as one, and only where they go together."""

import json
from dataclasses import replace

import numpy as np
import pytest

from frerec.cli import main
from frerec.errors import ConfigError, DataError
from frerec.evaluation.predictions import read_predictions, write_predictions
from frerec.report import write_report, writer
from frerec.report.comparisons import compare
from frerec.report.context_tables import counts_table, fidelity_table, published_table
from frerec.report.main_tables import overview_table
from frerec.report.merging import read_runs
from frerec.report.quality_table import quality_table


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def made(build, path, data, published, arms=("raw", "gda"), seeds=(0, 1), **options):
    build(path, arms=arms, classifiers=("resnet50",), seeds=seeds, published=published, **options)

    def rename(plan):
        plan["name"] = path.name
        for cell in plan["cells"]:
            cell["axes"]["data"] = data
            folder = path / "cells" / cell["id"]
            cell["id"] = f"{data}-{cell['id']}"
            folder.rename(folder.with_name(cell["id"]))

    edit(path / "benchmark.json", rename)
    return path


@pytest.fixture
def two(tmp_path, build):
    return [
        made(build, tmp_path / "hearts", "chest", "cardiomegaly"),
        made(build, tmp_path / "brains", "mri", "brain_tumor", classes=("no", "glioma", "other")),
    ]


def test_the_main_table_covers_both_data_sets_with_their_own_paper_numbers(two):
    run = read_runs(two)
    table = overview_table(run)
    assert [(row.group, row.cells[0], row.cells[2]) for row in table.rows] == [
        ("chest", "raw", "0.834"), ("chest", "gda", "0.834"),
        ("mri", "raw", "0.793"), ("mri", "gda", "0.783"),
    ]  # fmt: skip
    assert [(c.group.title, c.first) for c in compare(run)] == [
        ("chest, resnet50", "gda"), ("mri, resnet50", "gda"),
    ]  # fmt: skip
    assert (run.name, run.count()) == ("hearts, brains", 8)
    assert {row.group for row in fidelity_table(run).rows} == {"hearts", "brains"}
    samples = "vae, generator.beta 0.5"
    assert {row.group for row in quality_table(run).rows} == {
        f"hearts, {samples}", f"brains, {samples}",
    }  # fmt: skip
    assert len(published_table(run).rows) == 6
    counts = counts_table(run)
    assert counts.columns[1:] == ("cardiomegaly", "glioma", "no", "normal", "other", "Sum")
    texts = {row.cells[0]: row.cells[1:] for row in counts.rows}
    assert texts["hearts: test"] == ("300", "–", "–", "300", "–", "600")


def test_cells_that_both_have_count_once_the_finished_one_first(tmp_path, build):
    one = made(build, tmp_path / "one", "chest", None, states={("gda", "resnet50", 0): "failed"},
               showcase=False)  # fmt: skip
    other = made(build, tmp_path / "other", "chest", None, arms=("gda", "frerec"), showcase=False)
    run = read_runs([one, other])
    assert (run.count(), run.count("finished")) == (6, 6)
    shared = next(cell for cell in run.cells if cell.id == "chest-gda-resnet50-0")
    assert shared.folder.is_relative_to(other)
    assert {(c.first, c.second) for c in compare(run)} == {
        ("gda", "raw"), ("frerec", "gda"), ("frerec", "raw"),
    }  # fmt: skip


def same_axes(plan):
    for cell in plan["cells"]:
        cell["id"] = f"other-{cell['id']}"


def other_size(plan):
    plan["image_size"] = 64


@pytest.mark.parametrize(
    ("change", "says"), [(same_axes, "have the same axes"), (other_size, "image_size 32 and 64")]
)
def test_what_does_not_go_together_is_named_in_one_line(tmp_path, build, change, says):
    paths = [made(build, tmp_path / n, "chest", None, seeds=(0,), showcase=False) for n in "ab"]
    edit(paths[1] / "benchmark.json", change)
    with pytest.raises(DataError, match=says) as caught:
        read_runs(paths)
    assert "\n" not in str(caught.value)


def test_the_same_name_with_other_images_is_refused(tmp_path, build):
    # Other arms, so that no two cells have the same axes and nothing else would tell.
    one = made(build, tmp_path / "one", "chest", None, arms=("raw",), showcase=False)
    other = made(build, tmp_path / "other", "chest", None, arms=("gda",), showcase=False)
    read_runs([one, other])
    for file in (other / "cells").glob("*/predictions.parquet"):
        splits = read_predictions(file)
        images = np.array([f"elsewhere/{name}" for name in splits["test"].images], dtype=object)
        write_predictions(file, splits | {"test": replace(splits["test"], images=images)})
    with pytest.raises(
        DataError, match=r"both have data chest, but cells .* images differ"
    ) as caught:
        read_runs([one, other])
    assert "\n" not in str(caught.value)


def test_facts_of_one_data_set_are_not_held_against_another(tmp_path, build):
    # A plan of several data sets has the classes and the size of the first one alone.
    wide = made(build, tmp_path / "wide", "chest", None, showcase=False)

    def widen(plan):
        plan["dataset"] = "other"
        for cell in plan["cells"]:
            cell["axes"]["data"] = "chest" if cell["axes"]["arm"] == "raw" else "other"

    edit(wide / "benchmark.json", widen)
    edit(wide / "benchmark.json", lambda plan: plan.update(image_size=64, classes=["a", "b"]))
    one = made(build, tmp_path / "one", "chest", None, arms=("gda",), showcase=False)
    assert len(read_runs([wide, one]).cells) == 6
    edit(wide / "benchmark.json", lambda plan: plan.update(dataset="chest"))
    with pytest.raises(DataError, match="both have data chest, but classes"):
        read_runs([wide, one])


def test_the_seeds_of_two_runs_must_be_of_the_same_images(tmp_path, build):
    one = made(build, tmp_path / "one", "chest", "cardiomegaly", seeds=(0,), showcase=False)
    other = made(build, tmp_path / "other", "chest", "cardiomegaly", seeds=(1,), showcase=False)
    run = read_runs([one, other])
    assert run.references == {"chest": "cardiomegaly"}
    assert [c.difference.seeds for c in compare(run)] == [(0, 1)]


def test_a_run_given_twice_is_refused(kept_run):
    with pytest.raises(DataError, match="given twice"):
        read_runs([kept_run, kept_run / "." / "cells" / ".."])


def test_several_runs_need_an_output(two):
    with pytest.raises(ConfigError, match="output is missing"):
        write_report(two)


def test_the_verb_takes_several_runs(two, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(writer, "write_figures", lambda *_: [])
    output = tmp_path / "out of both"
    assert main(["report", *map(str, two), f"output={output}"]) == 0
    assert "# hearts, brains" in capsys.readouterr().out
    assert (output / "index.html").is_file()
    assert not (two[0] / "report").exists()
    (two[1] / "sweep.json").write_text("{}")
    assert main(["report", *map(str, two), f"output={output}"]) == 2
    assert "a sweep is reported by itself" in capsys.readouterr().err
    assert main(["report"]) == 2
    assert "run is missing" in capsys.readouterr().err
