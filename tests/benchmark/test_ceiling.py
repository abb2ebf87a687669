"""The arm `ceiling`: withheld real images in the place of the samples, none of them in use."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import arguments

from frerec.benchmark.plan import expand
from frerec.benchmark.planned_stages import with_stages
from frerec.benchmark.stages import Stages
from frerec.benchmark.withheld_images import ceiling_counts, ceiling_images
from frerec.cli import main
from frerec.data.withheld import Withheld
from frerec.errors import ConfigError, DataError

GRID = "grid={classifier:[resnet10t],data.train_size:[8,null],arm:[raw,gda,ceiling],seed:[0]}"


def withheld(labels: list[int]) -> Withheld:
    nothing: Any = object()  # no pixel is looked at
    return Withheld(nothing, np.array(labels), np.arange(len(labels)), "made up")


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=4),
    st.lists(st.integers(1, 40), min_size=4, max_size=4),
)
def test_it_takes_what_was_asked_or_the_same_share_of_every_class(asked, there):
    names = [f"class {i}" for i in range(len(asked))]
    images = withheld([label for label in range(len(asked)) for _ in range(there[label])])
    found = list(ceiling_counts(dict(zip(names, asked, strict=True)), images).values())
    assert all(n <= min(a, t) for n, a, t in zip(found, asked, there, strict=False))
    if all(a <= t for a, t in zip(asked, there, strict=False)):
        assert found == asked
    else:
        share = min(t / a for a, t in zip(asked, there, strict=False) if a)
        for n, a in zip(found, asked, strict=True):
            assert n == (max(int(a * share + 1e-6), 1) if a else 0)


def test_a_class_of_which_nothing_is_withheld_is_an_error():
    with pytest.raises(DataError, match=r"class b: no training image .* smaller data\.train_size"):
        ceiling_counts({"a": 2, "b": 2}, withheld([0, 0, 0]))


def test_fewer_images_are_among_more_and_have_their_labels():
    images = withheld([0, 1] * 10)
    few, many = (ceiling_images(images, {"a": n, "b": n}, seed=3) for n in (2, 5))
    other = ceiling_images(images, {"a": 2, "b": 2}, seed=4)
    assert set(few.rows) < set(many.rows)
    assert set(few.rows) != set(other.rows)
    assert sorted(many.labels) == [0] * 5 + [1] * 5
    assert images.labels[many.rows].tolist() == many.labels.tolist()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark: raw, gda and ceiling at eight images a class and at all of them."""
    root = tmp_path_factory.mktemp("ceiling")
    assert main(["benchmark", *arguments(root, "name=run", "data.count=80"), GRID]) == 0
    return root


def cells(root: Path) -> dict[tuple[str, object], dict[str, object]]:
    plan = json.loads((root / "runs" / "run" / "benchmark.json").read_text())
    found = {}
    for cell in plan["cells"]:
        metrics = root / "runs" / "run" / "cells" / cell["id"] / "metrics.json"
        axes = cell["axes"]
        key = (axes["arm"], axes["data.train_size"])
        found[key] = cell | json.loads(metrics.read_text())["training"]
    return found


def test_it_trains_on_as_many_real_images_more_as_there_are_samples(run):
    found = cells(run)
    raw, gda, ceiling = (found[arm, 8] for arm in ("raw", "gda", "ceiling"))
    assert (raw["train_real"], gda["train_synthetic"], ceiling["train_synthetic"]) == (16, 16, 0)
    assert (ceiling["train_real"], ceiling["train_withheld"]) == (32, 16)
    assert raw["steps"] == gda["steps"] == ceiling["steps"]
    assert ceiling["axes"]["generator"] == ""  # it stands beside every generator


def test_the_full_training_set_has_no_ceiling_and_its_other_arms_run(run):
    assert ("ceiling", None) not in cells(run)
    assert {arm for arm, size in cells(run) if size is None} == {"raw", "gda"}


def test_its_images_are_in_no_split(run):
    overrides = arguments(run, "data.train_size=8", "data.count=80", "arm=ceiling")
    stages: Stages = with_stages(expand("benchmark", overrides)[1], False)[0].stages
    extra = {image.numpy().tobytes() for image, _ in stages.ceiling}
    used = {
        stages.data.stack.tensor(row).numpy().tobytes()
        for split in ("train", "val", "test")
        for row in stages.data.rows(split)
    }
    assert len(extra) == 16
    assert not extra & used


def test_it_is_said_that_a_ceiling_is_left_out(run, caplog):
    _, planned = expand("benchmark", [*arguments(run, "data.count=80"), GRID])
    with caplog.at_level(logging.WARNING):
        kept = with_stages(planned, False)
    assert len(kept) == len(planned) - 1
    assert "left out: ceiling (data.train_size=null): training images" in caplog.text


def test_a_ceiling_alone_with_nothing_withheld_is_an_error(run, capsys):
    assert main(["benchmark", *arguments(run, "data.count=80", "arm=ceiling", "name=none")]) == 2
    assert "set data.train_size to fewer images a class" in capsys.readouterr().err
    assert not (run / "runs" / "none").exists()


def test_wrong_samples_are_an_error_and_no_reason_to_leave_the_ceiling_out(run, capsys):
    more = ["samples=folder", "samples.path=nowhere", "data.train_size=8", "name=wrong"]
    assert main(["benchmark", *arguments(run, *more, "grid.arm=[raw,ceiling]")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("samples.counts={foo:3}", "foo is no class"), ("samples.ratio=-1", "a number above 0")],
)
def test_wrong_settings_of_the_samples_are_no_reason_either(run, capsys, wrong, says):
    more = ["data.train_size=8", "data.count=80", "name=counts", wrong]
    assert main(["benchmark", *arguments(run, *more, "grid.arm=[raw,ceiling]")]) == 2
    assert says in capsys.readouterr().err
    assert not (run / "runs" / "counts").exists()


def test_what_no_generator_touches_is_one_cell_of_several_generators(run):
    more = ["grid={generator:[vae,fastgan],classifier:[resnet10t],arm:[raw,gda],seed:[0]}"]
    more += ["data.train_size=8"]
    _, planned = expand("benchmark", [*arguments(run, "data.count=80"), *more])
    made = [(cell.axes["arm"], cell.axes["generator"]) for cell in with_stages(planned, False)]
    assert sorted(made) == [("gda", "fastgan"), ("gda", "vae"), ("raw", "")]


def test_a_run_that_is_widened_keeps_its_cells_at_their_places(run):
    """The first value of an axis is the main question: a later call must not change it."""
    plan = run / "runs" / "run" / "benchmark.json"
    before = json.loads(plan.read_text())
    more = ["name=run", "data.count=80", "arm=raw", "seed=0", "data.train_size=null,8,9"]  # 9: new
    assert main(["benchmark", *arguments(run, *more), GRID]) == 0
    after = json.loads(plan.read_text())
    assert after["cells"][: len(before["cells"])] == before["cells"]
    assert [c["axes"]["data.train_size"] for c in after["cells"][len(before["cells"]) :]] == [9]
    assert after["counts"]["train"] == before["counts"]["train"]  # those of all images
    assert before["command"] in after["command"]
    assert main(["benchmark", *arguments(run, *more), GRID]) == 0
    assert json.loads(plan.read_text())["cells"] == after["cells"]


def test_null_of_a_group_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="table=null: a group takes one of its options"):
        expand("benchmark", [*arguments(tmp_path), "table=null"])
