"""Bootstrap weights, intervals and the weighted AUC, against NumPy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from frerec.evaluation.bootstrap import (
    auc_interval,
    group_weights,
    interval,
    weighted_auc,
    weighted_macro_auc,
)


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_the_weighted_auc_is_scikit_learns_with_ties_and_weights(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.r_[0, 1, rng.integers(0, 2, 20)]
    scores = rng.integers(0, levels, 22).astype(float)
    weights = rng.integers(1, 4, (3, 22)).astype(float)
    expected = [roc_auc_score(labels, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(weighted_auc(labels, scores, weights), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_weighted_macro_auc_is_scikit_learns_in_blocks_too(classes, monkeypatch) -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(30) % classes
    p = rng.dirichlet(np.ones(classes), 30)
    weights = rng.integers(1, 4, (7, 30)).astype(float)
    scores, targets = (p[:, 1], labels) if classes == 2 else (p, np.eye(classes)[labels])
    expected = [roc_auc_score(targets, scores, sample_weight=w) for w in weights]
    np.testing.assert_allclose(weighted_macro_auc(labels, p, weights), expected)
    monkeypatch.setattr("frerec.evaluation.bootstrap._BLOCK", 70)  # two rows a block
    np.testing.assert_allclose(weighted_macro_auc(labels, p, weights), expected)


def test_no_class_of_several_is_ever_empty() -> None:
    labels = np.array([0] * 20 + [1] * 3 + [2] * 2)
    weights = group_weights(np.arange(25), labels, draws=500)
    assert weights is not None
    assert all((weights[:, labels == c].sum(axis=1) > 0).all() for c in range(3))
    assert group_weights(np.arange(24), labels[:24]) is None  # one group in class 2


def test_groups_of_different_kinds_that_are_all_alone_cannot_be_drawn() -> None:
    # Group 0 in set 0, group 1 in set 1, group 2 in both: each kind could only draw itself.
    assert group_weights(np.array([0, 1, 2, 2]), np.array([0, 1, 0, 1])) is None


def test_groups_are_drawn_whole_and_no_set_is_ever_empty() -> None:
    codes = np.array([0, 0, 1, 1, 2, 3, 4, 4, 5])
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    weights = group_weights(codes, labels, draws=300, seed=3)
    assert weights is not None
    for code in np.unique(codes):
        members = weights[:, codes == code]
        assert (members == members[:, :1]).all()
    assert (weights[:, labels == 0].sum(axis=1) > 0).all()
    assert (weights[:, labels == 1].sum(axis=1) > 0).all()
    assert abs(weights.mean() - 1) < 0.1


def test_an_image_that_lies_in_both_sets_is_drawn_alike_in_both() -> None:
    codes, labels = np.tile(np.arange(6), 2), np.repeat([0, 1], 6)
    weights = group_weights(codes, labels, draws=50)
    assert weights is not None
    np.testing.assert_array_equal(weights[:, :6], weights[:, 6:])


@pytest.mark.parametrize("codes", [[0, 1, 2], [0, 0, 1, 2]])
def test_one_group_in_a_set_gives_no_interval(codes: list[int]) -> None:
    labels = np.array([0] * (len(codes) - 2) + [1, 1])
    assert group_weights(np.array(codes), labels) is None
    assert interval(1.0, None).low is None


def test_the_interval_of_a_mean_is_that_of_the_normal_theory() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, 400)
    weights = group_weights(np.arange(800), np.repeat([0, 1], 400), draws=4000, seed=1)
    assert weights is not None
    drawn = weights[:, :400] @ values / weights[:, :400].sum(axis=1)
    found = interval(float(values.mean()), drawn)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


def test_a_recentred_interval_holds_its_value_and_stays_above_its_minimum() -> None:
    draws = np.random.default_rng(2).uniform(1, 2, 500)
    found = interval(0.1, draws, recentre=True, minimum=0.0)
    assert found.low == 0.0
    assert found.high == pytest.approx(0.1 + 0.475, abs=0.05)


def test_the_auc_of_noise_has_an_interval_around_one_half() -> None:
    rng = np.random.default_rng(5)
    labels, scores = np.repeat([0, 1], 150), rng.standard_normal(300)
    found = auc_interval(labels, scores, group_weights(np.arange(300), labels))
    assert found.value == pytest.approx(roc_auc_score(labels, scores))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.5 < found.high
    # Hanley and McNeil (1982): the deviation of the AUC is sqrt(1 / (12 n) * (2 + 1 / n)) here.
    assert (found.high - found.low) / 3.92 == pytest.approx(np.sqrt(2 / (12 * 150)), rel=0.2)
