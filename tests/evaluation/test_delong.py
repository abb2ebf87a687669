"""DeLong's covariance against MLstatkit, the definition, a jackknife, repetition and a paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_predictions import predictions
from MLstatkit import Delong_test
from scipy import stats
from sklearn.metrics import roc_auc_score

from frerec.errors import DataError
from frerec.evaluation.bootstrap import weighted_macro_auc
from frerec.evaluation.delong import DeLongTest, delong, delong_interval, delong_test


def data(seed: int, n: int = 60, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and two score vectors that share something; with `levels`, many ties."""
    rng = np.random.default_rng(seed)
    labels = np.r_[0, 0, 1, 1, rng.integers(0, 2, n - 4)]
    scores = labels + rng.normal(size=n) + rng.normal(size=(2, n))
    return labels, scores if levels is None else np.round(scores * levels / 4)


def definition(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong, DeLong and Clarke-Pearson's equations (3) to (6), pair by pair."""
    wins = [
        (row[labels == 1][:, None] > row[labels == 0]) * 1.0
        + (row[labels == 1][:, None] == row[labels == 0]) * 0.5
        for row in scores
    ]
    v10, v01 = np.stack([w.mean(1) for w in wins]), np.stack([w.mean(0) for w in wins])
    covariance = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    return v10.mean(1), covariance


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([None, 2, 5]))
def test_auc_and_covariance_are_those_of_the_definition(seed: int, levels: int | None) -> None:
    labels, scores = data(seed, levels=levels)
    found = delong(labels, scores)
    auc, covariance = definition(labels, scores)
    np.testing.assert_allclose(found.auc, auc, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-14)
    np.testing.assert_allclose(found.auc, [roc_auc_score(labels, s) for s in scores])


@pytest.mark.parametrize("levels", [None, 4])
def test_the_test_is_mlstatkits(levels: int | None) -> None:
    labels, scores = data(3, levels=levels)
    z, p, *_ = Delong_test(labels, scores[0], scores[1])
    found = delong_test(*(predictions(labels, s / 4) for s in scores))
    assert found.p == pytest.approx(p, rel=1e-9)
    error = (found.high - found.low) / 2 / stats.norm.ppf(0.975)
    assert found.difference / error == pytest.approx(-z, rel=1e-9)  # theirs is second - first


def test_the_ratings_of_hanley_and_mcneil() -> None:
    # Radiology 143 (1982), table 1: 58 normal and 51 abnormal CT images rated 1 to 5; W = 0.893
    # with a standard error of 0.032.
    counts = [(33, 6, 6, 11, 2), (3, 2, 2, 11, 33)]
    scores = np.concatenate([np.repeat(np.arange(1, 6), c) for c in counts])
    found = delong(np.repeat([0, 1], [58, 51]), scores[None])
    assert found.auc[0] == pytest.approx(0.893, abs=0.0005)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(0.032, abs=0.0015)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 4))
def test_copies_of_a_patients_images_are_no_new_evidence(seed: int, copies: int) -> None:
    labels, scores = data(seed)
    once = delong(labels, scores)
    again = delong(np.tile(labels, copies), np.tile(scores, copies), np.tile(np.arange(60), copies))
    np.testing.assert_allclose(again.covariance, once.covariance, rtol=1e-9, atol=1e-15)
    alone = delong(np.tile(labels, copies), np.tile(scores, copies))
    assert alone.covariance[0, 0] < once.covariance[0, 0]  # what a blind test would believe


def clustered(rng: np.random.Generator, classes: int, mixed: bool) -> tuple[np.ndarray, ...]:
    """Three images a patient with a common part; the patient's class, or one of each image."""
    patients = np.repeat(np.arange(45), 3)
    labels = np.arange(135) % classes if mixed else patients % classes
    own = rng.normal(size=(45, classes))[patients]
    return (
        labels,
        (1.0 * np.eye(classes)[labels] + own + 0.7 * rng.normal(size=own.shape)),
        patients,
    )


def obuchowski(labels: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Her section 2 for two tests, patient by patient and pair by pair: covariance ``[2, 2]``."""
    ids = sorted(set(patients.tolist()))
    ones, zeros = ([k for k in range(len(labels)) if labels[k] == c] for c in (1, 0))
    m, n = len(ones), len(zeros)
    v10, v01, theta = [], [], []
    for row in scores:
        psi = {
            (i, j): 1.0 if row[i] > row[j] else 0.5 if row[i] == row[j] else 0.0
            for i in ones
            for j in zeros
        }
        theta.append(sum(psi.values()) / (m * n))
        v10.append({i: sum(psi[i, j] for j in zeros) / n for i in ones})
        v01.append({j: sum(psi[i, j] for i in ones) / m for j in zeros})
    i10 = len({patients[i] for i in ones})
    i01 = len({patients[j] for j in zeros})
    found = np.zeros((2, 2))
    for a in (0, 1):
        for b in (0, 1):
            s10 = s01 = s11 = s11_back = 0.0
            for patient in ids:
                of1 = [i for i in ones if patients[i] == patient]
                of0 = [j for j in zeros if patients[j] == patient]
                x = [sum(v10[t][i] for i in of1) - len(of1) * theta[t] for t in (a, b)]
                y = [sum(v01[t][j] for j in of0) - len(of0) * theta[t] for t in (a, b)]
                s10 += x[0] * x[1] * i10 / ((i10 - 1) * m)
                s01 += y[0] * y[1] * i01 / ((i01 - 1) * n)
                s11 += x[0] * y[1] * len(ids) / (len(ids) - 1)
                s11_back += y[0] * x[1] * len(ids) / (len(ids) - 1)
            found[a, b] = s10 / m + s01 / n + (s11 + s11_back) / (m * n)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_with_clusters_it_is_obuchowskis_sum(seed: int) -> None:
    # One to six images a patient; most patients have both labels, some only one of them.
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(25), rng.integers(1, 7, 25))
    own = rng.normal(size=25)
    labels = (rng.random(len(patients)) < rng.random(25)[patients]).astype(int)
    labels[:2] = 0, 1
    scores = labels + own[patients] + rng.normal(size=(2, len(patients)))
    scores[1] = np.round(scores[1])  # with ties
    expected = obuchowski(labels, scores, patients)
    found = delong(labels, scores, patients)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-12)
    counts = [len(set(patients[labels == c].tolist())) for c in (0, 1)]
    assert sum(counts) > 25 > max(counts) - 1  # mixed patients, and pure ones
    apart = np.setdiff1d(patients[labels == 0], patients[labels == 1])
    assert len(apart) > 0


@pytest.mark.parametrize("clusters", [False, True])
def test_the_macro_variance_is_that_of_its_derivative_within_the_classes(clusters: bool) -> None:
    # Unequal classes of unequal difficulty: a class is then no mean part of another's negatives.
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], [60, 12, 25])
    logits = np.array([[2.5, 0, 0], [0, 0.3, 0.6], [0, 0.6, 0.9]])[labels]
    p = np.exp(logits + rng.normal(size=logits.shape))
    p /= p.sum(axis=1, keepdims=True)
    groups = np.arange(97) // 2 if clusters else np.arange(97)
    step = 1e-4
    ends = [weighted_macro_auc(labels, p, 1 + sign * step * np.eye(97)) for sign in (1, -1)]
    slopes = (ends[0] - ends[1]) / (2 * step)
    expected = 0.0
    sums, patients = np.zeros(97), len(np.unique(groups))
    common = patients / (patients - 1)
    for c in range(3):
        of_class = labels == c
        centred = np.where(of_class, slopes - slopes[of_class].mean(), 0)
        by_patient = np.bincount(groups, centred, 97)
        size = len(np.unique(groups[of_class]))
        expected += (size / (size - 1) - common) * (by_patient**2).sum()
        sums += by_patient
    expected += common * (sums**2).sum()
    found = delong(labels, p[None], groups).covariance[0, 0]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("classes", "mixed"), [(2, False), (2, True), (3, True)])
def test_the_variance_over_patients_is_that_of_repeated_studies(classes: int, mixed: bool) -> None:
    rng = np.random.default_rng(1)
    aucs, variances = [], []
    for _ in range(300):
        labels, logits, patients = clustered(rng, classes, mixed)
        scores = logits[None] if classes > 2 else (logits[:, 1] - logits[:, 0])[None]
        found = delong(labels, scores, patients)
        aucs.append(found.auc[0])
        variances.append(found.covariance[0, 0])
    # The deviation of 300 studies is known to 4 %.
    assert np.sqrt(np.mean(variances)) == pytest.approx(np.std(aucs), rel=0.12)


def test_the_macro_auc_varies_as_a_jackknife_over_patients_says() -> None:
    rng = np.random.default_rng(5)
    labels, logits, patients = clustered(rng, 4, mixed=True)
    p = np.exp(logits)
    p /= p.sum(1, keepdims=True)
    found = delong(labels, p[None], patients)
    one_vs_rest = {"multi_class": "ovr", "average": "macro"}
    assert found.auc[0] == pytest.approx(roc_auc_score(labels, p, **one_vs_rest))
    left = [patients != k for k in range(45)]
    without = np.array([roc_auc_score(labels[k], p[k], **one_vs_rest) for k in left])
    jackknife = 44 / 45 * np.square(without - without.mean()).sum()
    assert found.covariance[0, 0] == pytest.approx(jackknife, rel=0.1)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_two_classes_are_the_scores_of_class_1_and_order_is_all_that_counts(seed: int) -> None:
    labels, scores = data(seed)
    p = 1 / (1 + np.exp(-scores))
    whole = delong(labels, np.stack([1 - p, p], axis=-1))
    np.testing.assert_allclose(whole.covariance, delong(labels, scores).covariance, atol=1e-12)


def test_the_interval_is_pepes_and_stays_below_one() -> None:
    labels, scores = data(2, n=40)
    found = delong_interval(predictions(labels, 2 * scores[0] + 4 * labels))
    auc, variance = (v.ravel()[0] for v in definition(labels, (2 * scores + 4 * labels[None])))
    half = 1.959964 * np.sqrt(variance) / (auc * (1 - auc))
    expected = 1 / (1 + np.exp(-(np.log(auc / (1 - auc)) + np.array([-half, half]))))
    assert (found.value, found.low, found.high) == pytest.approx((auc, *expected))
    assert 0.9 < found.value < found.high < 1


def test_a_difference_that_is_none_is_found_in_five_of_a_hundred_studies() -> None:
    rng = np.random.default_rng(8)
    labels = np.arange(80) % 2
    found = []
    for _ in range(250):
        common = rng.normal(size=80) + labels
        first, second = (predictions(labels, common + 0.8 * rng.normal(size=80)) for _ in "ab")
        found.append(delong_test(first, second).p < 0.05)
    assert 0.01 < np.mean(found) < 0.1


def test_several_networks_are_compared_by_the_mean_of_their_aucs() -> None:
    labels, scores = data(4)
    more = data(5)[1]
    arms = [[predictions(labels, s[k]) for s in (scores, more)] for k in (0, 1)]
    found = delong_test(*arms)
    auc, covariance = definition(labels, np.stack([scores[0], more[0], scores[1], more[1]]))
    contrast = np.array([0.5, 0.5, -0.5, -0.5])
    error = np.sqrt(contrast @ covariance @ contrast)
    assert found.difference == pytest.approx(contrast @ auc)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(contrast @ auc) / error))
    assert delong_interval(arms[0]).value == pytest.approx(auc[:2].mean())


def test_nothing_to_tell_apart_is_said_without_nan() -> None:
    labels, scores = data(6)
    one = predictions(labels, scores[0])
    assert delong_test(one, one) == DeLongTest(0.0, None, None, 1.0)
    assert delong_test(one, predictions(labels, scores[0] / 7)).p == 1.0  # the same order
    perfect, constant = predictions(labels, 9.0 * labels), predictions(labels, 0.0 * labels)
    assert delong_interval(perfect).low is delong_interval(perfect).high is None
    assert delong_interval(constant).low is None
    reason = "no spread of the AUCs over patients"
    assert delong_test(perfect, constant) == DeLongTest(0.5, None, None, None, reason)


def test_one_patient_in_a_class_tells_nothing_of_its_spread() -> None:
    labels, scores = np.array([0, 0, 0, 1, 1]), np.random.default_rng(0).normal(size=(2, 5))
    groups = np.array([0, 1, 2, 3, 3])
    assert delong(labels, scores, groups).covariance is None
    first, second = (predictions(labels, s, groups) for s in scores)
    assert delong_interval(first).low is None
    assert delong_test(first, second).p is None
    assert delong_test(first, second).reason == "too few patients in a class"


def test_what_does_not_fit_is_named_in_one_line() -> None:
    labels, scores = data(0)
    for arguments, says in [
        ((labels, scores[0]), "expected [A, N] or [A, N, C]"),
        ((labels * 0, scores), "labels must be 0 .. 1 and every class needs an image"),
        ((labels, scores * np.nan), "NaN or infinite"),
        ((labels, scores, labels[:5]), "60 images but groups (5,)"),
    ]:
        with pytest.raises(DataError) as caught:
            delong(*arguments)
        assert says in str(caught.value)
    other = predictions(labels[::-1], scores[0])
    with pytest.raises(DataError, match="their labels differ"):
        delong_test(predictions(labels, scores[0]), other)
