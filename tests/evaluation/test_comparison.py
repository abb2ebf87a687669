"""A difference is claimed only where it holds over seeds and over patients."""

import dataclasses

import numpy as np
import pytest
from made_predictions import arm, predictions
from scipy import stats

from frerec.errors import DataError
from frerec.evaluation.bootstrap import Interval
from frerec.evaluation.comparison import ArmComparison, compare_arms, verdict
from frerec.evaluation.delong import DeLongTest
from frerec.evaluation.predictions import check_same_images
from frerec.evaluation.statistics import NO_EVIDENCE, Estimate, PairedDifference

GAP = Interval(0.03, 0.01, 0.05)


def comparison(p_seeds, p_patients, *, n=3, mean=0.03) -> ArmComparison:
    over_seeds = PairedDifference(Estimate(mean, 0.01, 0.05, n), p_seeds, tuple(range(n)))
    reason = "too few patients in a class" if p_patients is None else ""
    return ArmComparison(over_seeds, DeLongTest(mean, 0.0, 0.1, p_patients, reason), GAP, None)


def test_all_figures_are_of_the_same_difference() -> None:
    first, second = arm(4, gain=1.6, of=1), arm(5, gain=1.0, of=2)
    found = compare_arms(first, second)
    aucs = [[a[s].metrics()["auc"] for s in range(4)] for a in (first, second)]
    assert found.seeds.seeds == (0, 1, 2, 3)
    assert found.p_seeds == pytest.approx(stats.ttest_rel(*aucs).pvalue, rel=1e-3)
    mean = np.subtract(*aucs).mean()
    for value in (found.seeds.estimate.mean, found.patients.difference, found.both.value):
        assert value == pytest.approx(mean, abs=1e-6)
    assert found.p == max(found.p_seeds, found.p_patients) < 0.05
    assert found.effect.g > 1
    # Neither source alone is all that there is.
    assert found.both.high - found.both.low > found.patients.high - found.patients.low
    assert found.both.high - found.both.low > found.seeds.estimate.high - found.seeds.estimate.low


def test_few_patients_and_restless_seeds_each_stop_a_claim() -> None:
    quiet = {"spread": 0.0, "noise": 0.05}
    few = compare_arms(arm(6, n=40, of=1, **quiet), arm(6, n=40, of=3, **quiet))
    assert few.p_seeds < 0.05 < few.p_patients
    assert "over seeds but not over patients" in verdict(few, few.p, first="a", second="b")
    loud = compare_arms(arm(3, n=900, spread=1, of=3), arm(3, n=900, spread=1, of=4))
    assert loud.p_patients < 0.05 < loud.p_seeds
    assert "over patients but not over seeds" in verdict(loud, loud.p, first="a", second="b")


def test_an_arm_compared_with_itself_has_no_difference() -> None:
    found = compare_arms(arm(3), arm(3))
    assert (found.p_seeds, found.p_patients, found.p, found.effect) == (1.0, 1.0, 1.0, None)
    assert found.both == Interval(0.0, None, None)
    assert verdict(found, 1.0, first="a", second="b") == NO_EVIDENCE


def test_arms_without_a_common_seed_are_not_compared() -> None:
    assert compare_arms(arm(1), {7: arm(1)[0]}) is None
    assert compare_arms({}, arm(1)) is None


@pytest.mark.parametrize("field", ["images", "labels", "groups"])
def test_other_images_patients_or_labels_are_refused_without_naming_them(field: str) -> None:
    other = {
        s: dataclasses.replace(made, **{field: getattr(made, field)[::-1].copy()})
        for s, made in arm(2).items()
    }
    with pytest.raises(DataError, match=f"cannot be paired, their {field} differ") as caught:
        compare_arms(arm(2), other)
    assert "image 0" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fewer_images_or_other_classes_are_refused() -> None:
    with pytest.raises(DataError, match="of 120 and 60 images"):
        compare_arms(arm(2), arm(2, n=60))
    binary, ternary = arm(1)[0], arm(1, classes=3)[0]
    with pytest.raises(DataError, match="2 and 3 classes"):
        check_same_images([binary, dataclasses.replace(ternary, labels=binary.labels)])


@pytest.mark.parametrize(
    ("p_seeds", "p_patients", "corrected", "words"),
    [
        (0.01, 0.02, 0.04, "frerec is higher than gda"),
        (0.01, 0.02, 0.06, NO_EVIDENCE + " after correction"),
        (0.01, 0.30, 0.30, NO_EVIDENCE + ": it holds over seeds but not over patients"),
        (0.30, 0.01, 0.30, NO_EVIDENCE + ": it holds over patients but not over seeds"),
        (0.30, 0.20, 0.30, NO_EVIDENCE),
        (0.01, None, None, "too few patients in a class: no test over patients"),
        (None, 0.01, None, "the same difference in every seed: a t test does not apply"),
    ],
)
def test_words_claim_no_more_than_both_tests_allow(p_seeds, p_patients, corrected, words) -> None:
    found = comparison(p_seeds, p_patients)
    assert verdict(found, corrected, first="frerec", second="gda") == words


def test_the_direction_is_said_and_one_seed_is_no_test() -> None:
    lower = comparison(0.01, 0.01, mean=-0.02)
    assert verdict(lower, 0.02, first="frerec", second="gda") == "frerec is lower than gda"
    alone = compare_arms(arm(1, of=1), arm(1, of=2))
    assert alone.p is None
    assert alone.patients.p is not None
    words = verdict(alone, None, first="a", second="b")
    assert words == "one seed only: tested over patients, not over seeds"
    words = verdict(comparison(None, None, n=1), None, first="a", second="b")
    assert words == "one seed only: no test over seeds"


def test_networks_that_never_or_always_err_are_not_called_too_few_patients() -> None:
    labels = np.arange(40) % 2
    perfect = {s: predictions(labels, (9.0 + s) * labels) for s in range(3)}
    rng = np.random.default_rng(0)
    constant = {s: predictions(labels, 0.0 * labels) for s in range(2)}
    constant[2] = predictions(labels, -1.0 * labels)  # or the t test would not apply
    found = compare_arms(perfect, constant)
    assert found.p_seeds is not None
    assert found.p_patients is None
    words = verdict(found, None, first="a", second="b")
    assert words == "no spread of the AUCs over patients: no test over patients"
    few = np.array([0, 1, 2, 3, 3])
    arms = [
        {s: predictions(labels[:5], rng.normal(size=5), few // (1 + (labels[:5] == 1) * 9))
         for s in range(3)}
        for _ in "ab"
    ]  # fmt: skip
    words = verdict(compare_arms(*arms), None, first="a", second="b")
    assert words == "too few patients in a class: no test over patients"
