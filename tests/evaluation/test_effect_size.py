"""Hedges' g against his table, statsmodels' noncentral t and repeated draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.effect_size import _noncentrality_t

from frerec.evaluation.effect_size import paired_effect, small_sample_correction


def effect(differences):
    seeds = range(len(differences))
    return paired_effect(dict(zip(seeds, differences, strict=True)), dict.fromkeys(seeds, 0.0))


@pytest.mark.parametrize(("m", "c"), [(2, 0.5642), (3, 0.7236), (4, 0.7979), (20, 0.9619)])
def test_the_correction_is_that_of_hedges_table(m: int, c: float) -> None:
    assert small_sample_correction(m) == pytest.approx(c, abs=5e-5)
    assert small_sample_correction(m) == pytest.approx(1 - 3 / (4 * m - 1), abs=0.02)  # his (6e)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(3, 12), st.floats(-3, 3))
def test_value_and_interval_are_the_noncentral_ts(seed: int, n: int, mean: float) -> None:
    differences = np.random.default_rng(seed).normal(mean, 1, n)
    found = effect(differences)
    t = stats.ttest_1samp(differences, 0).statistic
    assert found.g == pytest.approx(small_sample_correction(n - 1) * t / np.sqrt(n))
    ends = sorted(np.sign(t) * np.array(_noncentrality_t(abs(t), n - 1).confint) / np.sqrt(n))
    assert (found.low, found.high) == pytest.approx(tuple(ends), rel=1e-4, abs=1e-5)


def test_it_is_unbiased_and_its_interval_covers_with_few_seeds() -> None:
    draws = np.random.default_rng(0).normal(0.8, 1, (250, 5))
    found = [effect(row) for row in draws]
    assert np.mean([e.g for e in found]) == pytest.approx(0.8, abs=0.1)
    plain = draws.mean(1) / draws.std(1, ddof=1)
    assert plain.mean() > 0.9  # what the correction is for


@pytest.mark.parametrize(("n", "truth"), [(3, 2.0), (5, 2.5)])
def test_the_interval_holds_the_true_effect_in_95_of_100_cases(n: int, truth: float) -> None:
    # Of a large effect: ends scaled by J would hold it in 69 and 86 of 100 only.
    draws = np.random.default_rng(1).normal(truth, 1, (400, n))
    found = [effect(row) for row in draws]
    missed = [e.low is not None and not e.low <= truth <= e.high for e in found]
    assert np.mean(missed) == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("sign", [-1, 1])
def test_three_seeds_that_agree_well_have_both_ends(sign: int) -> None:
    found = effect([sign * d for d in (0.0163, 0.0188, 0.0229)])  # t is 10
    assert sign * found.g > 0
    assert found.low < found.g < found.high
    assert found.low * found.high > 0


def test_only_shared_seeds_count() -> None:
    first = {0: 0.8, 1: 0.7, 2: 0.75, 3: 0.9}
    second = {1: 0.6, 2: 0.7, 3: 0.8, 9: 0.1}
    assert paired_effect(first, second) == effect([first[s] - second[s] for s in (1, 2, 3)])


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, 0.2], [0.1, 0.1, 0.1], [0.0] * 4])
def test_too_few_or_equal_differences_have_no_effect_size(differences: list[float]) -> None:
    assert effect(differences) is None


def test_an_effect_beyond_all_measure_is_never_nan() -> None:
    found = effect([1.0, 1.0 + 1e-9, 1.0 - 1e-9])
    assert np.isfinite(found.g)
    assert all(end is None or np.isfinite(end) for end in (found.low, found.high))
