"""A report is written whole, replaces only a report, and is the same for the same run."""

import pytest

from frerec.errors import DataError
from frerec.report import write_report, writer


@pytest.fixture
def small(tmp_path, build):
    return build(tmp_path / "run", classifiers=("resnet50",), showcase=False)


def test_report_lies_in_the_run_and_holds_the_promised_files(small):
    index = write_report(small)
    assert index == small / "report" / "index.html"
    names = {p.relative_to(index.parent).as_posix() for p in index.parent.rglob("*.*")}
    assert names >= {"index.html", "table.md", "table.csv", "results.csv", "figures/auc.svg"}
    assert not [p for p in small.iterdir() if p.name.startswith(".")]


def test_the_same_run_gives_the_same_bytes(small, tmp_path):
    first, again = (write_report(small, tmp_path / name).parent for name in ("a", "b"))
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert files
    assert all((first / f).read_bytes() == (again / f).read_bytes() for f in files)


def test_an_older_report_is_replaced_as_a_whole(small):
    index = write_report(small)
    (index.parent / "stale.csv").write_text("old")
    assert write_report(small) == index
    assert not (index.parent / "stale.csv").exists()


def test_a_folder_that_is_no_report_is_left_alone(small, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    (precious / "index.html").write_text("a page of somebody else")
    with pytest.raises(DataError, match="exists and is not a report") as caught:
        write_report(small, precious)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in precious.iterdir()) == ["index.html", "thesis.txt"]


def test_a_failure_keeps_the_old_report_and_leaves_nothing_behind(small, monkeypatch):
    index = write_report(small)
    before = index.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(writer, "render", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(small)
    assert index.read_bytes() == before
    assert sorted(p.name for p in small.iterdir()) == ["benchmark.json", "cells", "report"]


def test_a_failing_rename_brings_the_old_report_back(small, monkeypatch):
    index = write_report(small)
    rename = type(index).rename

    def fail_for_the_new(path, target):
        if path.name.startswith(".report-") and not path.name.endswith("-old"):
            raise OSError("busy")
        return rename(path, target)

    monkeypatch.setattr(type(index), "rename", fail_for_the_new)
    with pytest.raises(OSError, match="busy"):
        write_report(small)
    assert index.is_file()


def test_no_run_directory_is_one_line(tmp_path):
    with pytest.raises(DataError, match="not a run directory") as caught:
        write_report(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "nowhere").exists()


def test_table_md_holds_every_table_and_the_limits(small):
    text = (write_report(small).parent / "table.md").read_text(encoding="utf-8")
    for heading in ("# cardiomegaly", "## Main table", "## Paired comparisons", "## Training"):
        assert f"\n{heading}\n" in f"\n{text}"
    assert "The intervals are over seeds only" in text
