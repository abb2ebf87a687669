"""What a cell is sorted by, what a row names, and which section a table stands in."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frerec.report.figures import FigureFiles
from frerec.report.page_facets import Facets
from frerec.report.page_sections import arrange
from frerec.report.page_tables import page_table, sort_value
from frerec.report.run import read_run
from frerec.report.tabular import EMPTY, Row, Table, fixed, p_text, signed, thousands


@pytest.fixture(scope="module")
def facets(tmp_path_factory, build) -> Facets:
    run = build(tmp_path_factory.mktemp("facets") / "run", seeds=(0,), showcase=False)
    return Facets(read_run(run))


def table(rows, frame=None, **others) -> Table:
    columns = ("Arm", "AUC", "In words")
    made = {"key": "made", "title": "Made", "caption": "", "group_title": "", "columns": columns}
    made |= {"rows": tuple(rows), "frame": pd.DataFrame(frame), "wordy": (0, 2)}
    return Table(**made | others)


@given(st.floats(-1e6, 1e6))
def test_a_number_is_sorted_by_what_it_says(value):
    shown = round(value, 3)
    assert sort_value(fixed(value)) == pytest.approx(shown)
    assert sort_value(signed(value)) == pytest.approx(shown)
    assert sort_value(f"{fixed(value)} [0.1, 0.9]") == pytest.approx(shown)


@given(st.integers(0, 10**12))
def test_thousands_are_one_number(value):
    assert sort_value(thousands(value)) == value


def test_a_p_value_below_the_smallest_printed_one_comes_first():
    assert sort_value(p_text(0.0002)) < sort_value(p_text(0.001))


@pytest.mark.parametrize("text", [EMPTY, "", "[–]", "resnet50", "12a", "3.5x", "0.5.1"])
def test_what_does_not_begin_with_a_number_has_none(text):
    assert sort_value(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("3 of 5", 3), ("0.832 to 0.842 †", 0.832), ("1.2e−05", 1.2e-5), ("[−0.1, 0.2]", -0.1)],
)
def test_the_first_number_counts(text, value):
    assert sort_value(text) == pytest.approx(value)


def test_words_are_not_sorted_as_numbers_though_they_begin_with_one(facets):
    view = page_table(table([Row("", ("2 arms", "0.7", "3 seeds"))]), facets)
    assert [cell.value for cell in view.blocks[0][1][0].cells] == ["", "0.7", ""]


def test_a_row_names_what_its_record_names(facets):
    rows = [Row("resnet50", ("the third", "0.7", "")), Row("resnet50", ("gda − raw", "0", ""))]
    frame = {"arm": ["frerec", None], "first": [None, "gda"], "second": [None, "raw"]}
    found = facets.of_table(table(rows, frame))
    assert found[1] == {"data-arm": "0 1", "data-classifier": "0"}
    # The record says frerec, the row does not: rows and records may be in another order.
    assert found[0] == {"data-classifier": "0"}


def test_a_row_without_a_record_names_what_stands_in_it(facets):
    rows = [Row("chest_xray, resnet10t", ("raw_frerec", "0.7", "like raw")), Row("", ("x", "", ""))]
    assert facets.of_table(table(rows)) == [{"data-arm": "3", "data-classifier": "1"}, {}]


def test_a_single_data_set_is_no_choice(facets):
    assert list(facets.offered) == ["classifier", "arm"]


def figure(title: str, section: str = "results", shown: str = "svg") -> FigureFiles:
    return FigureFiles("made", title, "", "", {}, {}, section, shown)


def test_a_figure_names_what_is_in_its_title(facets):
    assert facets.of_figure(figure("ROC: resnet10t, gda")) == {
        "data-arm": "1",
        "data-classifier": "1",
    }
    assert facets.of_figure(figure("AUC by arm")) == {}


def test_sections_come_in_order_with_their_parts(facets):
    tables = [
        table([], section="training", key="b"),
        table([], key="a"),
        table([], key="c", title="Results"),
    ]
    found = arrange(tables, [figure("x", "images", "png")], facets, own=("cells",))
    assert [part.key for part in found] == ["results", "images", "training", "cells"]
    assert [view.table.key for view in found[0].tables] == ["a", "c"]
    assert found[1].figures[0].wide


def test_the_first_table_needs_no_heading_that_the_section_has(facets):
    found = arrange([table([], title="Results"), table([])], [], facets)
    assert [view.heading for view in found[0].tables] == [False, True]


def test_a_part_of_no_section_is_an_error_and_not_lost(facets):
    with pytest.raises(ValueError, match="Made: no section 'resluts'"):
        arrange([table([], section="resluts")], [], facets)
