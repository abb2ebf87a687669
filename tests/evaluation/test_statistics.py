"""Intervals, paired tests and Holm's correction agree with SciPy and a worked example."""

import numpy as np
import pytest
from scipy import stats

from frerec.evaluation.statistics import (
    NO_EVIDENCE,
    Estimate,
    PairedDifference,
    holm,
    mean_interval,
    paired_difference,
    verdict,
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
    assert "does not apply" in verdict(found, None, first="a", second="b")


def test_one_common_seed_has_no_p_value():
    found = paired_difference({0: 0.7}, {0: 0.6})
    assert found.p is None
    assert verdict(found, None, first="a", second="b").startswith("one seed only")


def test_holm_on_the_worked_example():
    # Four hypotheses with p = 0.01, 0.04, 0.03, 0.005: at 0.05 Holm rejects the fourth
    # (0.005 <= 0.05/4) and the first (0.01 <= 0.05/3), then stops (0.03 > 0.05/2).
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [p <= 0.05 for p in adjusted] == [True, False, False, True]


def test_holm_agrees_with_the_step_down_rule_for_random_families():
    rng = np.random.default_rng(4)
    for _ in range(50):
        p = rng.uniform(0, 0.1, rng.integers(1, 8)).tolist()
        rejected = set()
        for step, i in enumerate(np.argsort(p)):
            if p[i] > 0.05 / (len(p) - step):
                break
            rejected.add(int(i))
        assert {i for i, q in enumerate(holm(p)) if q <= 0.05} == rejected


def test_comparisons_without_a_test_do_not_enlarge_the_family():
    assert holm([None, 0.02, None, 0.5]) == [None, 0.04, None, 0.5]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def difference(mean: float, half: float) -> PairedDifference:
    return PairedDifference(Estimate(mean, mean - half, mean + half, 3), 0.04, (0, 1, 2))


@pytest.mark.parametrize(
    ("mean", "half", "p", "words"),
    [
        (0.03, 0.01, 0.01, "frerec is higher than gda"),
        (-0.03, 0.01, 0.01, "frerec is lower than gda"),
        (0.03, 0.05, 0.4, NO_EVIDENCE),
        (0.03, 0.02, 0.12, NO_EVIDENCE + " after correction"),
        (0.03, 0.02, 0.05, NO_EVIDENCE + " after correction"),
    ],
)
def test_words_claim_no_more_than_the_corrected_p_value(mean, half, p, words):
    assert verdict(difference(mean, half), p, first="frerec", second="gda") == words
