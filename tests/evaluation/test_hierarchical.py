"""The bootstrap over seeds and patients: against plain loops and the theory of its two limits."""

import gc

import numpy as np
import pytest
from made_predictions import arm, predictions
from scipy import stats
from sklearn.metrics import roc_auc_score

from frerec.errors import DataError
from frerec.evaluation import hierarchical
from frerec.evaluation.bootstrap import Interval, group_weights, weighted_macro_auc
from frerec.evaluation.comparison import compare_arms
from frerec.evaluation.delong import delong_interval
from frerec.evaluation.hierarchical import (
    hierarchical_difference,
    hierarchical_interval,
    seed_deviations,
)


def half(interval) -> float:
    return (interval.high - interval.low) / 2


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_the_plain_loop_over_draws_of_patients_and_seeds(classes: int) -> None:
    by_seed = arm(3, n=60, classes=classes)
    labels, codes = by_seed[0].labels, by_seed[0].codes
    weights = group_weights(codes, labels, draws=40, seed=7)
    areas = np.empty((3, 40))
    for s, made in by_seed.items():
        for b, w in enumerate(weights):
            drawn = np.repeat(np.arange(60), w.astype(int))  # images drawn, one by one
            p = made.probabilities[drawn]
            areas[s, b] = roc_auc_score(
                labels[drawn], p[:, 1] if classes == 2 else p, multi_class="ovr", average="macro"
            )
    aucs = np.array([made.metrics()["auc"] for made in by_seed.values()])
    deviations = seed_deviations(aucs, draws=40, seed=7)
    low, high = np.percentile(areas.mean(axis=0) + deviations, [2.5, 97.5])
    found = hierarchical_interval(by_seed, draws=40, seed=7)
    assert (found.low, found.high) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-6)
    assert found.value == pytest.approx(aucs.mean(), abs=1e-6)


def test_equal_seeds_leave_the_interval_over_patients() -> None:
    one = arm(1, n=400)[0]
    found = hierarchical_interval(dict.fromkeys(range(3), one), draws=2000)
    assert half(found) == pytest.approx(half(delong_interval(one)), rel=0.08)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_seeds_alone_are_as_uncertain_as_students_t_says(n: int) -> None:
    values = np.random.default_rng(0).normal(0.8, 0.02, (n, 3))  # at three points of a curve
    drawn = seed_deviations(values, draws=1000, seed=5)
    t_half = stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    ends = np.percentile(drawn, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(ends, [-t_half, t_half], rtol=0.02)
    again = seed_deviations(values, draws=1000, seed=6)
    assert not np.array_equal(again, drawn)  # another order beside the patients' draws
    np.testing.assert_allclose(np.sort(again, axis=0), np.sort(drawn, axis=0))


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_the_two_sources_add_as_variances_do(spread: float) -> None:
    # What seeds and patients do together must not be counted again and again: with noise of its own
    # for each seed and patient, draws from one table would be far wider than this.
    first, second = arm(4, n=500, spread=spread, of=1), arm(4, n=500, spread=spread, of=2)
    found = compare_arms(first, second)
    seeds, patients = found.seeds.estimate, found.patients
    expected = np.hypot((seeds.high - seeds.low) / 2, (patients.high - patients.low) / 2)
    assert half(found.both) == pytest.approx(expected, rel=0.15)


def test_several_images_of_a_patient_are_less_evidence_than_as_many_patients() -> None:
    labels = np.repeat(np.arange(60) % 2, 4)
    rng = np.random.default_rng(0)
    scores = labels + np.repeat(rng.normal(size=60), 4) + 0.1 * rng.normal(size=(2, 240))
    blind = {s: predictions(labels, row) for s, row in enumerate(scores)}
    aware = {s: predictions(labels, row, np.arange(240) // 4) for s, row in enumerate(scores)}
    assert half(hierarchical_interval(aware)) > 1.5 * half(hierarchical_interval(blind))


def test_a_difference_takes_the_same_patients_and_seeds_of_both_arms() -> None:
    first, second = arm(4, of=1), arm(4, of=2)
    assert hierarchical_difference(first, first) == Interval(0.0, None, None)
    # What patients have in common cancels: it is narrower than two intervals would be.
    found = hierarchical_difference(first, second)
    assert half(found) < 0.8 * np.hypot(*map(half, map(hierarchical_interval, (first, second))))
    back = hierarchical_difference(second, first)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_only_shared_seeds_are_compared_and_one_has_no_interval() -> None:
    first, second = arm(3, of=1), arm(3, of=2)
    shared = {5: second[0], 1: second[1], 2: second[2]}
    found = hierarchical_difference(first, shared)
    expected = np.mean([first[s].metrics()["auc"] - second[s].metrics()["auc"] for s in (1, 2)])
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert hierarchical_difference(first, {1: second[1]}).low is None
    assert hierarchical_interval({0: first[0]}).high is None
    with pytest.raises(DataError, match="without a common seed"):
        hierarchical_difference(first, {9: second[0]})


def test_it_stays_within_what_an_auc_can_be_and_depends_on_its_seed_alone() -> None:
    nearly = arm(2, n=30, gain=2.0, spread=1.0)
    found = hierarchical_interval(nearly)
    assert 0 <= found.low < found.high <= 1
    np.random.seed(1)  # noqa: NPY002  (the global generator must not matter)
    assert hierarchical_interval(nearly) == found
    assert hierarchical_interval(arm(3), seed=1) != hierarchical_interval(arm(3), seed=2)
    perfect = hierarchical_interval(arm(2, gain=30.0))
    assert perfect == Interval(1.0, None, None)  # no width of 0


def test_the_draws_of_a_network_are_made_once_and_go_with_it(monkeypatch) -> None:
    calls = []

    def counted(labels, probabilities, weights):
        calls.append(len(weights))
        return weighted_macro_auc(labels, probabilities, weights)

    monkeypatch.setattr(hierarchical, "weighted_macro_auc", counted)
    first, second, third = (arm(2, of=k) for k in (1, 2, 3))
    found = hierarchical_difference(first, second, draws=50)
    hierarchical_interval(first, draws=50)
    hierarchical_difference(third, first, draws=50)
    assert sorted(calls) == [1] * 6 + [50] * 6  # of six networks
    assert hierarchical_difference(first, second, draws=50) == found
    hierarchical_difference(first, second, draws=50, seed=1)  # other patients are drawn
    assert calls.count(50) == 10
    gc.collect()
    known = len(hierarchical._KNOWN)
    del first, second, third
    gc.collect()
    assert len(hierarchical._KNOWN) == known - 6


def test_too_few_patients_or_no_seed_are_said() -> None:
    labels = np.array([0, 0, 1, 1])
    few = {s: predictions(labels, np.arange(4.0) + s, np.array([0, 1, 2, 2])) for s in (0, 1)}
    assert hierarchical_interval(few).low is None
    with pytest.raises(DataError, match="no predictions"):
        hierarchical_interval({})
