"""Predictions come back from their file as they went in, or a line says why not."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_predictions import arm

from frerec.errors import DataError
from frerec.evaluation.predictions import (
    Predictions,
    check_same_images,
    read_predictions,
    write_predictions,
)

FIELDS = ("images", "groups", "labels", "probabilities")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def made(draw, classes: int) -> Predictions:
    n = draw(st.integers(1, 8))
    names = [np.array(draw(st.lists(NAMES, min_size=n, max_size=n)), dtype=object) for _ in "ab"]
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    p = draw(hnp.arrays(np.float64, (n, classes), elements=st.floats(0, 1)))
    return Predictions(names[0], names[1], labels, p)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from([2, 3, 11]))
def test_what_was_written_is_read_bit_for_bit_and_in_order(tmp_path, data, classes) -> None:
    splits = {name: data.draw(made(classes)) for name in ("val", "test")}
    write_predictions(tmp_path / "p.parquet", splits)
    found = read_predictions(tmp_path / "p.parquet")
    assert list(found) == ["val", "test"]
    for name, split in splits.items():
        for field in FIELDS:
            back = getattr(found[name], field)
            np.testing.assert_array_equal(back, getattr(split, field))
            assert back.dtype == getattr(split, field).dtype
    assert [file.name for file in tmp_path.iterdir()] == ["p.parquet"]  # nothing partial


def test_the_metrics_are_those_of_the_predictions_also_after_float32(tmp_path) -> None:
    split = arm(1)[0]
    single = dataclasses.replace(split, probabilities=split.probabilities.astype(np.float32))
    write_predictions(tmp_path / "p.parquet", {"test": single})
    found = read_predictions(tmp_path / "p.parquet")["test"]
    assert found.probabilities.dtype == np.float64
    assert found.metrics() == single.metrics()
    assert found.metrics() == pytest.approx(split.metrics(), abs=1e-5)


def test_patients_are_numbered_alike_whatever_their_names() -> None:
    split = dataclasses.replace(arm(1, n=4)[0], groups=np.array(["b", "a", "b", "c"], object))
    assert split.codes.tolist() == [1, 0, 1, 2]
    assert len(split) == 4


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda file: file.unlink(), "not readable"),
        (lambda file: file.write_bytes(b"PAR1 not a table PAR1"), "not readable"),
        (lambda file: file.write_bytes(file.read_bytes()[:-40]), "not readable"),
        (lambda file: drop(file, "group"), "no column group"),
        (lambda file: drop(file, "label"), "no column label"),
        (lambda file: drop(file, "prob_1"), "no column prob_1"),
        (lambda file: put(file, label=["a"] * 6), "label must be class numbers"),
        (lambda file: put(file, label=[0.0, 1.0, 0.0, 1.0, 0.0, np.nan]), "label is empty for 1"),
        (lambda file: put(file, label=[0.5] * 6), "label must be class numbers"),
        (lambda file: put(file, prob_1=["x"] * 6), "prob_1 must be numbers"),
        (lambda file: put(file, prob_0=[0.5, np.nan] * 3), "test: probabilities are NaN"),
        (lambda file: put(file, prob_0=[0.5, np.inf] * 3), "infinite for 3 of 6 images"),
        (lambda file: put(file, group=["a", None] * 3), "group is empty for 3 of 6 rows"),
        (lambda file: put(file, split=["test", None] * 3), "split is empty for 3"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, damage, says) -> None:
    file = tmp_path / "predictions.parquet"
    write_predictions(file, {"test": arm(1, n=6)[0]})
    damage(file)
    with pytest.raises(DataError) as caught:
        read_predictions(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert says in message
    assert "run the benchmark again" in message
    assert "\n" not in message


def put(file, **columns: list) -> None:
    pd.read_parquet(file).assign(**columns).to_parquet(file)


def drop(file, column: str) -> None:
    pd.read_parquet(file).drop(columns=column).to_parquet(file)


def test_ten_and_more_classes_keep_the_order_of_their_numbers(tmp_path) -> None:
    rng = np.random.default_rng(0)
    split = arm(1, n=24, classes=12)[0]
    write_predictions(tmp_path / "p.parquet", {"test": split})
    table = pd.read_parquet(tmp_path / "p.parquet")
    table[rng.permutation(table.columns)].to_parquet(tmp_path / "p.parquet")
    found = read_predictions(tmp_path / "p.parquet")["test"]
    np.testing.assert_array_equal(found.probabilities, split.probabilities)


def test_the_same_images_pass_and_nothing_to_compare_is_said() -> None:
    check_same_images(list(arm(3).values()))
    with pytest.raises(DataError, match="no predictions to compare"):
        check_same_images([])
