"""The sweep's report: from plain records, with figures, importances and one page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from frerec.errors import DataError
from frerec.report.sweep_page import write_sweep_report
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
    page = write_sweep_report(records)
    table = pd.read_csv(page.parent / "trials.csv")
    assert list(table["number"]) == list(range(20))
    assert table["value"].isna().sum() == 1
    for name in ("history", "importances", "parallel", "slices"):
        for suffix in (".png", ".svg", "_dark.png", "_dark.svg"):
            assert (page.parent / "figures" / f"{name}{suffix}").stat().st_size > 0
    text = page.read_text()
    best = max(read_sweep(records).complete, key=lambda t: t.value or 0)
    assert f"trial {best.number}" in text
    assert "never looked at" in text
    assert "&lt;out of memory&gt;" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_the_parameter_that_decides_has_the_largest_share(records: Path) -> None:
    shares = importances(read_sweep(records))
    assert next(iter(shares)) == "x"
    assert shares["x"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert shares == importances(read_sweep(records))


def test_no_sweep_and_damaged_records_are_one_line(records: Path, tmp_path: Path) -> None:
    assert is_sweep(records)
    (records / "sweep" / "trials.json").write_text('{"distributions": {}, "trials": []}')
    with pytest.raises(DataError, match=r"trials.json: damaged"):
        read_sweep(records)
