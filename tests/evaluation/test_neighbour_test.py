"""The nearest-neighbour two-sample test against scikit-learn's classifier and its known ends."""

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from frerec.errors import DataError
from frerec.evaluation.neighbour_test import neighbour_accuracy


def test_it_is_the_leave_one_out_accuracy_of_one_nearest_neighbour():
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(0, 1, (30, 4)), rng.normal(0.8, 1, (30, 4))
    rows, labels = np.concatenate([real, synthetic]), np.repeat([0, 1], 30)
    one = KNeighborsClassifier(n_neighbors=1)
    expected = cross_val_score(one, rows, labels, cv=LeaveOneOut()).mean()
    assert neighbour_accuracy(real, synthetic) == pytest.approx(expected)


def test_apart_is_one_copies_are_zero_and_one_cloud_is_a_half():
    rng = np.random.default_rng(1)
    real = rng.normal(size=(200, 3))
    assert neighbour_accuracy(real, real + 100) == 1
    assert neighbour_accuracy(real, real + 1e-6) == 0
    assert neighbour_accuracy(real, rng.normal(size=(200, 3))) == pytest.approx(0.5, abs=0.08)
    assert neighbour_accuracy(np.ones((9, 2)), np.ones((9, 2))) == pytest.approx(0.5, abs=0.04)


def test_another_image_of_the_patient_is_no_neighbour():
    rng = np.random.default_rng(2)
    patients = np.repeat(np.arange(50), 2)
    real = rng.normal(size=(50, 8))[patients] + rng.normal(0, 1e-3, (100, 8))
    synthetic = rng.normal(size=(100, 8))
    alone = neighbour_accuracy(real, synthetic)
    assert alone > 0.7, "every real image finds its twin"
    assert neighbour_accuracy(real, synthetic, patients) < alone - 0.15


@pytest.mark.parametrize(
    ("real", "groups", "match"),
    [(np.zeros((4, 2)), None, "4 real and 9 synthetic images; expected at least 5"),
     (np.zeros((6, 2)), np.zeros(6), "one patient")],
)  # fmt: skip
def test_too_little_to_say_anything(real, groups, match):
    with pytest.raises(DataError, match=match):
        neighbour_accuracy(real, np.zeros((9, 2)), groups)
