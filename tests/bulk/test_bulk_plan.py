"""The table of what there is to calibrate."""

import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frerec.bulk.plan import folders_of, make_plan, png_name
from frerec.errors import DataError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.png", "a/b.png"),
        ("a/b.PNG", "a/b.png"),
        ("a.b/c.JPeG", "a.b/c.png"),
        ("x.tiff", "x.png"),
        ("x.dcm", "x.png"),
        ("1.2.840.113", "1.2.840.113.png"),
        ("a.npz/images/000001", "a.npz/images/000001.png"),
    ],
)
def test_only_the_suffix_of_an_image_becomes_png(name: str, expected: str) -> None:
    assert png_name(name) == expected


@given(count=st.integers(1, 60), parts=st.integers(1, 9))
def test_the_parts_of_a_plan_hold_every_row_once_and_differ_by_one_at_most(
    count: int, parts: int
) -> None:
    names = [f"{row}.png" for row in range(count)]
    plan = make_plan(Path("root"), names, names)
    pieces = [plan.part(number, parts) for number in range(parts)]
    assert [p.source(row) for p in pieces for row in range(len(p))] == names
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


@given(st.sets(st.integers(0, 30)))
def test_rows_that_are_there_are_left_out_in_order(done: set[int]) -> None:
    names = [f"{row}.png" for row in range(20)]
    plan = make_plan(Path("root"), names, names).without([f"{row}.png" for row in done])
    expected = [name for row, name in enumerate(names) if row not in done]
    assert [plan.target(row) for row in range(len(plan))] == expected


def test_a_plan_travels_to_another_process_whole() -> None:
    plan = make_plan(Path("root"), ["ä.jpg", "b.png"], ["ä.png", "b.png"], ["x", None])
    other = pickle.loads(pickle.dumps(plan))
    assert [other.source(0), other.target(1), other.has_labels()] == ["ä.jpg", "b.png", True]
    assert str(other.address(0).blob.path) == "root/ä.jpg"


@pytest.mark.parametrize(
    ("sources", "targets", "expected"),
    [
        (["z.png", "b.jpg", "b.tif"], ["z.png", "b.png", "b.png"], r"b\.jpg and b\.tif: both"),
        (
            ["z.png", "a.png", "a.png"],
            ["z.png", "a.png", "a.png"],
            r"listed twice \(images 2 and 3",
        ),
        (["a.png/b.png", "a.jpg"], ["a.png/b.png", "a.png"], r"a\.jpg: would become a\.png, which"),
    ],
)
def test_sources_that_would_become_one_file_are_named(
    sources: list[str], targets: list[str], expected: str
) -> None:
    with pytest.raises(DataError, match=expected):
        make_plan(Path("root"), sources, targets)


@given(st.lists(st.text(st.sampled_from("a/b.\n"), min_size=1).filter(lambda t: t[0] != "/")))
def test_the_folders_of_names_are_pythons(names: list[str]) -> None:
    folders = folders_of(pa.chunked_array([pa.array(names, pa.large_string())]))
    assert sorted(folders) == sorted({name.rpartition("/")[0] for name in names})


def test_ten_million_rows_would_take_less_than_a_gigabyte() -> None:
    names = [f"class/{row:08}.png" for row in range(10_000)]
    assert make_plan(Path("root"), names, names).table.nbytes / 10_000 < 100
