"""Intervals, paired tests and Holm's correction agree with SciPy and a worked example."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from frerec.evaluation.statistics import (
    Estimate,
    holm,
    mean_interval,
    paired_difference,
)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_interval_is_scipys_student_t_interval(level):
    values = [0.71, 0.74, 0.69, 0.75, 0.72]
    low, high = stats.t.interval(level, 4, np.mean(values), stats.sem(values))
    found = mean_interval(values, level)
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert found.n == 5


def test_interval_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0.7, 0.02, (4000, 3))
    found = [mean_interval(row.tolist()) for row in draws]
    covered = np.mean([e.low <= 0.7 <= e.high for e in found])
    assert covered == pytest.approx(0.95, abs=0.012)


def test_one_seed_has_no_interval_rather_than_one_of_width_zero():
    assert mean_interval([0.8]) == Estimate(0.8, None, None, 1)


@pytest.mark.parametrize("values", [[], [0.7, float("nan")]])
def test_no_value_or_no_number_has_no_mean(values):
    with pytest.raises(ValueError, match="at least one finite value"):
        mean_interval(values)


def test_paired_difference_is_scipys_related_t_test_by_seed():
    first = {3: 0.79, 1: 0.75, 2: 0.80, 7: 0.1}
    second = {1: 0.74, 2: 0.76, 3: 0.77, 9: 0.9}
    found = paired_difference(first, second)
    a, b = np.array([0.75, 0.80, 0.79]), np.array([0.74, 0.76, 0.77])
    expected = stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert found.seeds == (1, 2, 3)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.estimate.mean, found.estimate.low, found.estimate.high) == pytest.approx(
        ((a - b).mean(), interval.low, interval.high)
    )


def test_arms_without_a_common_seed_are_not_compared():
    assert paired_difference({0: 0.7}, {1: 0.7}) is None


def test_equal_arms_have_a_p_value_of_one():
    same = {0: 0.7, 1: 0.8, 2: 0.75}
    assert paired_difference(same, same).p == 1.0


def test_the_same_difference_in_every_seed_allows_no_test():
    found = paired_difference({0: 0.7, 1: 0.8, 2: 0.75}, {0: 0.6, 1: 0.7, 2: 0.65})
    assert found.p is None


def test_one_common_seed_has_no_p_value():
    found = paired_difference({0: 0.7}, {0: 0.6})
    assert found.p is None
    assert found.estimate == Estimate(pytest.approx(0.1), None, None, 1)


def test_holm_on_the_worked_example():
    # Four hypotheses with p = 0.01, 0.04, 0.03, 0.005: at 0.05 Holm rejects the fourth
    # (0.005 <= 0.05/4) and the first (0.01 <= 0.05/3), then stops (0.03 > 0.05/2).
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [p <= 0.05 for p in adjusted] == [True, False, False, True]


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_statsmodels_with_ties_too(seed):
    rng = np.random.default_rng(seed)
    p = np.round(rng.uniform(0, 0.2, rng.integers(1, 12)), 2).tolist()
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_comparisons_without_a_test_do_not_enlarge_the_family():
    assert holm([None, 0.02, None, 0.5]) == [None, 0.04, None, 0.5]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]
