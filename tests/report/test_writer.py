"""A report is written whole, replaces only a report, and is the same for the same run."""

import pytest
from filelock import FileLock, Timeout

from frerec.errors import DataError
from frerec.report import write_report, writer
from frerec.report.writer import report_lock


@pytest.fixture
def small(tmp_path, build):
    arms = ("raw", "gda")
    return build(
        tmp_path / "run", arms=arms, classifiers=("resnet50",), seeds=(0, 1), showcase=False
    )


@pytest.fixture
def undrawn(small, monkeypatch):
    """The same without figures, which have tests of their own and take the longest by far."""
    monkeypatch.setattr(writer, "write_figures", lambda *_: [])
    return small


def test_report_lies_in_the_run_and_holds_the_promised_files(undrawn):
    index = write_report(undrawn)
    assert index == undrawn / "report" / "index.html"
    names = {p.relative_to(index.parent).as_posix() for p in index.parent.rglob("*")}
    assert names >= {
        "index.html", "table.md", "table.csv", "results.csv", "tables.json", "latex/overview.tex",
        "latex/comparisons.tex", "figures",
    }  # fmt: skip
    assert not [p for p in undrawn.iterdir() if p.name.startswith(".")]


def test_the_same_run_gives_the_same_bytes(undrawn, tmp_path):
    contents = []
    for name in ("a", "b"):
        report = write_report(undrawn).parent.rename(tmp_path / name)
        files = sorted(p.relative_to(report) for p in report.rglob("*") if p.is_file())
        contents.append({file: (report / file).read_bytes() for file in files})
    assert len(contents[0]) > 10
    assert contents[0] == contents[1]


def test_an_older_report_is_replaced_as_a_whole(undrawn):
    index = write_report(undrawn)
    (index.parent / "stale.csv").write_text("old")
    assert write_report(undrawn) == index
    assert not (index.parent / "stale.csv").exists()


def test_a_folder_that_is_no_report_is_left_alone(undrawn, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    (precious / "index.html").write_text("a page of somebody else")
    with pytest.raises(DataError, match="exists and is not a report") as caught:
        write_report(undrawn, precious)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in precious.iterdir()) == ["index.html", "thesis.txt"]


def test_a_failure_keeps_the_old_report_and_leaves_nothing_behind(undrawn, monkeypatch):
    index = write_report(undrawn)
    before = index.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(writer, "render", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(undrawn)
    assert index.read_bytes() == before
    names = sorted(p.name for p in undrawn.iterdir())
    assert names == ["benchmark.json", "cells", "report", "report.lock"]


def test_a_failing_rename_brings_the_old_report_back(undrawn, monkeypatch):
    index = write_report(undrawn)
    rename = type(index).rename

    def fail_for_the_new(path, target):
        if path.name.startswith(".report-") and not path.name.endswith("-old"):
            raise OSError("busy")
        return rename(path, target)

    monkeypatch.setattr(type(index), "rename", fail_for_the_new)
    with pytest.raises(OSError, match="busy"):
        write_report(undrawn)
    assert index.is_file()


def test_what_a_killed_writer_left_is_removed_and_the_old_report_is_put_back(undrawn, monkeypatch):
    index = write_report(undrawn)
    before = index.read_bytes()
    index.parent.rename(undrawn / ".report-0123abcd-old")  # killed between the two renames
    (undrawn / ".report-0123abcd").mkdir()
    (undrawn / ".report-notes").mkdir()  # somebody's

    def fail(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "render", fail)
        with pytest.raises(OSError, match="disk full"):
            write_report(undrawn)
    assert index.read_bytes() == before
    write_report(undrawn)
    hidden = [p.name for p in undrawn.iterdir() if p.name.startswith(".")]
    assert hidden == [".report-notes"]


def test_while_one_writes_a_report_no_other_does_and_it_may_take_the_lock_again(
    undrawn, monkeypatch
):
    held = []

    def look(*args):
        with pytest.raises(Timeout):
            FileLock(undrawn / "report.lock", timeout=0).acquire()
        held.append(True)
        return []

    monkeypatch.setattr(writer, "write_figures", look)
    with report_lock(undrawn / "report"):
        write_report(undrawn)
    assert held
    FileLock(undrawn / "report.lock", timeout=0).acquire().lock.release()


@pytest.mark.parametrize(
    "place", ["cells/report", "cells/raw-resnet50-0/x", "showcase", "sweep/x/y"]
)
def test_a_folder_that_a_run_keeps_takes_no_report(undrawn, place):
    before = sorted(undrawn.rglob("*"))
    with pytest.raises(DataError, match="which the run keeps for itself"):
        write_report(undrawn, undrawn / place)
    assert sorted(undrawn.rglob("*")) == before


def test_a_place_where_no_lock_can_be_made_is_refused_and_not_waited_for(undrawn, monkeypatch):
    def refuse(path, *_args, **_kwargs):
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(writer, "FileLock", lambda *_, **__: pytest.fail("would be waited for"))
    monkeypatch.setattr("pathlib.Path.touch", refuse)  # as below /proc, for root too
    with pytest.raises(DataError, match=r"cannot be written \(No such file") as caught:
        write_report(undrawn)
    assert "\n" not in str(caught.value)


def test_a_refused_report_leaves_nothing(undrawn, tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not a report"):
        write_report(undrawn, tmp_path / "foreign")
    (undrawn / "cells/raw-resnet50-0/metrics.json").write_text("{")
    for output in (None, tmp_path / "new" / "report"):
        with pytest.raises(DataError, match=r"metrics\.json: not readable"):
            write_report(undrawn, output)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["foreign", "run"]
    assert sorted(p.name for p in undrawn.iterdir()) == ["benchmark.json", "cells"]


def test_no_run_directory_is_one_line(tmp_path):
    with pytest.raises(DataError, match="not a run directory") as caught:
        write_report(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "nowhere").exists()


def test_table_md_holds_every_table_and_the_limits(undrawn):
    text = (write_report(undrawn).parent / "table.md").read_text(encoding="utf-8")
    for heading in ("# cardiomegaly", "## Main table", "## Paired comparisons", "## Training"):
        assert f"\n{heading}\n" in f"\n{text}"
    assert "intervals are over seeds only" in text
