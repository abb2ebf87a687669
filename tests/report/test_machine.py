"""tables.json holds what the CSV files hold, and what the numbers rest on."""

import json

import pandas as pd
import pytest

from frerec.report.machine import tables_json
from frerec.report.run import read_run
from frerec.report.sections import SECTIONS
from frerec.report.tables import all_tables
from frerec.report.tabular import Table, write_csv


@pytest.fixture(scope="module")
def run(tmp_path_factory, build):
    path = build(
        tmp_path_factory.mktemp("json") / "run", arms=("raw", "gda", "shr", "frerec"), seeds=(0, 1)
    )
    for seed, dirty in ((0, False), (1, True)):
        file = path / "cells" / f"gda-resnet50-{seed}" / "environment.json"
        file.write_text(json.dumps({"git_commit": "abc123", "git_dirty": dirty}))
    return read_run(path)


@pytest.fixture(scope="module")
def tables(run):
    return all_tables(run)


@pytest.fixture(scope="module")
def content(run, tables):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(tables_json(run, tables), parse_constant=refuse)


def test_json_equals_csv(tables, content, tmp_path):
    assert list(content["tables"]) == [table.key for table in tables]
    for table in tables:
        write_csv(table.frame, tmp_path / "t.csv")
        back = pd.read_csv(tmp_path / "t.csv")
        rows = content["tables"][table.key]["rows"]
        assert len(rows) == len(back)
        for row, (_, record) in zip(rows, back.iterrows(), strict=True):
            assert list(row) == list(record.index)
            for name, value in row.items():
                found = record[name]
                if value is None or value == "":
                    assert pd.isna(found)
                elif isinstance(value, float):
                    assert found == pytest.approx(value, rel=1e-9)
                else:
                    assert found == value


def test_json_has_full_precision_and_null_where_a_number_is_missing(tables, content):
    table = next(table for table in tables if table.key == "table")
    rows = content["tables"]["table"]["rows"]
    assert [row["auc_mean"] for row in rows] == table.frame.auc_mean.tolist()
    assert {row["paper_auc"] for row in rows if row["arm"] == "shr"} == {None}


def test_json_says_what_the_numbers_rest_on(content):
    assert content["run"]["name"] == "cardiomegaly"
    assert content["run"]["published"] == {"chest_xray": "cardiomegaly"}
    assert (content["run"]["cells"], content["run"]["finished"]) == (16, 16)
    assert content["versions"]["torch"] == "2.11.0"
    assert content["commits"] == ["abc123", "abc123 + changes"]


def test_every_table_stands_in_a_section_of_the_page(tables):
    assert {table.section for table in tables} <= set(SECTIONS)
    assert {table.key: table.section for table in tables} == {
        "overview": "results", "table": "results", "comparisons": "comparisons",
        "ablation": "ablation", "quality": "samples", "samples": "samples",
        "fidelity": "fidelity", "inference": "inference", "training": "training",
    }  # fmt: skip


def test_columns_of_words_and_flags_are_plain_values():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [True, False], "d": [0.5, None]})
    table = Table(key="k", title="", caption="", group_title="", columns=(), rows=(), frame=frame)
    assert json.loads(json.dumps(table.records())) == [
        {"a": 1, "b": "x", "c": True, "d": 0.5}, {"a": 2, "b": None, "c": False, "d": None},
    ]  # fmt: skip
