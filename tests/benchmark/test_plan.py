"""The axes of a grid: what is one value, what is none, and how a plan of before is widened."""

import json

import pytest
from small_runs import arguments

from frerec.benchmark.plan import axis_key, expand
from frerec.cli import main
from frerec.errors import ConfigError

DATA = ["data=phantom_chest_xray", "data.count=60"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["grid=null"], r"grid=None: expected a mapping"),
        (["grid=3"], r"grid=3: expected a mapping"),
        (["~grid"], r"expected a mapping"),
        (["grid={arm:[raw],'seed':[0]}"], r"expected a mapping"),
        (["+grid.data.train_size=[8]"], r"'grid=\{data\.KEY:\[VALUE,\.\.\.\]\}'"),
        (["grid={arm:[[raw,gda]],seed:[0]}"], r"grid\.arm=.*a list within a list"),
        (["grid={arm:[raw],data.train_size:[null,'null']}"], "a value stands twice"),
        (["generator=oracle", "grid={arm:[gda],generator.dose:[1,1.0]}"], "a value stands twice"),
        (["grid={arm:[raw],data.train_size:[8,'8']}"], "a value stands twice"),
        (["grid.arm=[]"], "grid.arm is empty"),
    ],
)
def test_an_axis_that_makes_no_sense_is_named(overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        expand("benchmark", [*DATA, *overrides])


def test_a_text_of_a_configuration_is_the_number_or_null_that_it_spells() -> None:
    _, cells = expand(
        "benchmark", [*DATA, "grid={arm:[raw],seed:[0],data.train_size:['8','null']}"]
    )
    assert [cell.values["data.train_size"] for cell in cells] == [8, None]
    assert [cell.config.data.train_size for cell in cells] == [8, None]


def test_a_path_with_a_comma_is_one_value() -> None:
    grid = "grid={arm:[gda],seed:[0],samples.path:['a, b','it''s']}"
    _, cells = expand("benchmark", [*DATA, "samples=folder", grid.replace("''", "\\'")])
    assert [cell.config.samples.path for cell in cells] == ["a, b", "it's"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(1, 1.0, True), (None, "null", True), (8, "8", True), (0.5, "0.5", True), (True, 1, False),
     (1, 2, False), ("raw", "gda", False), (None, 0, False)],
)  # fmt: skip
def test_spellings_of_a_value(one: object, other: object, same: bool) -> None:
    assert (axis_key(one) == axis_key(other)) is same


def test_a_plan_that_holds_values_as_text_is_widened_and_mended(tmp_path, capsys) -> None:
    """As an earlier version wrote it: the same cell must not stand in it twice."""
    more = ["name=run", "grid={classifier:[resnet10t],data.train_size:[8],arm:[raw],seed:[0,1]}"]
    assert main(["benchmark", *arguments(tmp_path, *more)]) == 0
    plan = tmp_path / "runs" / "run" / "benchmark.json"
    content = json.loads(plan.read_text())
    as_text = [
        cell | {"axes": cell["axes"] | {"data.train_size": "8"}} for cell in content["cells"]
    ]
    twice = [*as_text, content["cells"][0]]  # as a run of today once left it
    plan.write_text(json.dumps(content | {"cells": twice}))
    assert main(["benchmark", *arguments(tmp_path, *more)]) == 0
    assert json.loads(plan.read_text())["cells"] == content["cells"]
