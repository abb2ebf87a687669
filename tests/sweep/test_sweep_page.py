"""The sweep's report: from plain records, with figures, importances and one page."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from frerec.errors import DataError
from frerec.report.sweep_page import render, write_sweep_report
from frerec.report.sweep_run import importances, is_sweep, read_sweep


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Twenty trials: x decides, y does nothing, one trial failed."""
    rng = np.random.default_rng(0)
    entries: list[dict[str, Any]] = []
    for number in range(20):
        x, y = rng.uniform(), float(10 ** rng.uniform(-4, -2))
        value = 0.9 - (x - 0.4) ** 2
        entries.append({
            "number": number, "state": "complete", "value": value,
            "params": {"x": x, "y": y, "loss": "ab"[number % 2]}, "overrides": [], "cells": [],
            "values": [value], "val": {"auc": value}, "calibrator": {"psnr": 30.0},
            "seconds": 1.0, "error": "",
        })  # fmt: skip
    entries[7] |= {"state": "failed", "value": None, "error": "<out of memory>", "values": []}

    def numeric(low: float, high: float, *, log: bool) -> dict[str, Any]:
        attributes = {"step": None, "low": low, "high": high, "log": log}
        return {"name": "FloatDistribution", "attributes": attributes}

    choice = {"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}
    distributions = {"x": numeric(0, 1, log=False), "y": numeric(1e-4, 1e-2, log=True)}
    content = {"distributions": {**distributions, "loss": choice}, "trials": entries}
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "trials.json").write_text(json.dumps(content))
    space = {"x": "interval(0,1)", "y": "tag(log,interval(1e-4,1e-2))", "loss": "a,b"}
    facts = {"name": "s", "objective": "val/auc", "direction": "maximize", "trials": 20,
             "command": "frerec sweep", "space": space, "seeds": [0]}  # fmt: skip
    (tmp_path / "sweep.json").write_text(json.dumps(facts))
    return tmp_path


def test_the_report_has_its_table_figures_and_one_offline_page(records: Path) -> None:
    page = write_sweep_report(records, figures=("svg",))
    table = pd.read_csv(page.parent / "trials.csv")
    assert list(table["number"]) == list(range(20))
    assert table["value"].isna().sum() == 1
    for name in ("history", "importances", "parallel", "slices"):
        for suffix in (".svg", "_dark.svg"):
            assert (page.parent / "figures" / f"{name}{suffix}").stat().st_size > 0
    text = page.read_text()
    best = max(read_sweep(records).complete, key=lambda t: t.value or 0)
    assert f"trial {best.number}" in text
    assert "No test image was classified" in text
    assert "&lt;out of memory&gt;" in text
    assert "://" not in text.replace("http://www.w3.org", "")
    assert 'class="skip" href="#run"' in text
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert f'data-value="{best.value:.3f}"' in text, "the table of trials cannot be sorted"


def test_the_parameter_that_decides_has_the_largest_share(records: Path) -> None:
    shares = importances(read_sweep(records))
    assert next(iter(shares)) == "x"
    assert shares["x"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert shares == importances(read_sweep(records))


def test_values_that_are_nearly_equal_have_no_importances_and_the_page_says_why(
    records: Path,
) -> None:
    file = records / "sweep" / "trials.json"
    content = json.loads(file.read_text())
    for entry in content["trials"]:
        if entry["value"] is not None:
            entry["value"] = float(np.nextafter(0.5, 1 if entry["number"] % 2 else 0))
    file.write_text(json.dumps(content))
    sweep = read_sweep(records)
    assert importances(sweep) == {}
    assert "so near that no parameter" in render(sweep, {}, [])


def test_a_foreign_folder_is_left_alone_and_a_report_is_replaced(
    records: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = tmp_path_factory.mktemp("foreign")
    (foreign / "figures").mkdir()
    for name in ("index.html", "figures/mine.png"):
        (foreign / name).write_text("mine")
    with pytest.raises(DataError, match="exists and is not a report"):
        write_sweep_report(records, foreign, figures=())
    assert (foreign / "index.html").read_text() == "mine"
    assert (foreign / "figures" / "mine.png").read_text() == "mine"

    output = foreign / "new"
    write_sweep_report(records, output, figures=())
    (output / "old.csv").touch()
    assert write_sweep_report(records, output, figures=()).is_file()
    assert not (output / "old.csv").exists()


def test_beside_the_records_they_stay_and_what_a_killed_writer_left_goes(records: Path) -> None:
    kept = (records / "sweep" / "trials.json").read_bytes()
    (records / "sweep" / ".report-0123").mkdir()
    write_sweep_report(records, figures=())
    assert (records / "sweep" / "trials.json").read_bytes() == kept
    assert not list((records / "sweep").glob(".report-*"))


@pytest.mark.parametrize("key", ["name", "objective", "trials", "command", "space", "seeds"])
def test_a_key_that_sweep_json_lacks_is_one_line(records: Path, key: str) -> None:
    facts = json.loads((records / "sweep.json").read_text())
    del facts[key]
    (records / "sweep.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match=rf"sweep.json: {key} is missing"):
        read_sweep(records)


def test_no_sweep_and_damaged_records_are_one_line(records: Path, tmp_path: Path) -> None:
    assert is_sweep(records)
    (records / "sweep" / "trials.json").write_text('{"distributions": {}, "trials": []}')
    with pytest.raises(DataError, match=r"trials.json: damaged"):
        read_sweep(records)
