"""ROC curves and reliability bins against scikit-learn, statsmodels and the metrics."""

import numpy as np
import pytest
from made_predictions import arm, predictions
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score, roc_curve
from statsmodels.stats.proportion import proportion_confint

from frerec.errors import DataError
from frerec.evaluation.curves import reliability, roc_band


def test_one_seeds_curve_is_scikit_learns() -> None:
    made = arm(1)[0]
    found = roc_band({0: made})
    fpr, tpr, _ = roc_curve(made.labels, made.probabilities[:, 1], drop_intermediate=False)
    between = ~np.isclose(found.fpr[:, None], fpr).any(axis=1)  # not where it rises straight up
    np.testing.assert_allclose(found.mean[between], np.interp(found.fpr, fpr, tpr)[between])
    assert found.mean[0] == tpr[fpr == 0].max()  # the upper end
    assert found.covers == "patients"


@pytest.mark.parametrize("classes", [2, 3])
def test_the_area_under_the_mean_curve_is_the_mean_auc(classes: int) -> None:
    by_seed = arm(3, n=300, classes=classes)
    found = roc_band(by_seed, draws=50)
    expected = np.mean([made.metrics()["auc"] for made in by_seed.values()])
    assert np.trapezoid(found.mean, found.fpr) == pytest.approx(expected, abs=0.004)
    assert (np.diff(found.mean) >= -1e-12).all()
    assert found.mean[-1] == 1


def test_ties_are_one_step_and_the_curve_of_a_constant_is_the_diagonal() -> None:
    labels = np.arange(40) % 2
    found = roc_band({0: predictions(labels, np.zeros(40))}, draws=20)
    np.testing.assert_allclose(found.mean, found.fpr)


def test_the_band_holds_the_curve_and_narrows_with_patients() -> None:
    small, large = roc_band(arm(3, n=60)), roc_band(arm(3, n=1000))
    for band in (small, large):
        assert band.covers == "seeds and patients"
        inner = slice(10, -10)
        assert (band.low[inner] <= band.mean[inner] + 0.02).all()
        assert (band.high[inner] >= band.mean[inner] - 0.02).all()
        assert band.low.min() >= 0
        assert band.high.max() <= 1
    assert (large.high - large.low).mean() < 0.5 * (small.high - small.low).mean()


def test_the_band_is_the_spread_of_repeated_studies() -> None:
    rng = np.random.default_rng(0)
    labels, at = np.arange(100) % 2, 60  # a false-positive rate of 0.3
    studies = [predictions(labels, 1.2 * labels + rng.normal(size=100)) for _ in range(60)]
    bands = [roc_band({0: study}, draws=60) for study in studies]
    spread = np.std([band.mean[at] for band in bands])
    widths = np.mean([band.high[at] - band.low[at] for band in bands]) / 3.92
    assert widths == pytest.approx(spread, rel=0.3)


def test_no_band_where_a_class_has_one_patient_and_no_curve_without_seeds() -> None:
    labels = np.array([0, 0, 1, 1])
    found = roc_band({0: predictions(labels, np.arange(4.0), np.array([0, 1, 2, 2]))})
    assert found.low is found.high is None
    assert found.covers == ""
    assert roc_auc_score(labels, np.arange(4.0)) == np.trapezoid(found.mean, found.fpr) == 1
    with pytest.raises(DataError, match="no predictions"):
        roc_band({})


@pytest.mark.parametrize("classes", [2, 4])
def test_the_error_of_the_confidence_is_the_metric(classes: int) -> None:
    by_seed = arm(3, classes=classes)
    found = reliability(by_seed)
    expected = np.mean([made.metrics()["ece"] for made in by_seed.values()])
    assert found.error == pytest.approx(expected, abs=1e-12)
    one = reliability({0: by_seed[0]})
    filled = one.counts > 0
    gaps = np.abs(one.accuracy - one.confidence)[filled]
    weights = one.counts[filled] / one.counts.sum()
    assert gaps @ weights == pytest.approx(by_seed[0].metrics()["ece"], abs=1e-12)


def test_confidence_is_binned_as_scikit_learn_does() -> None:
    made = arm(1, n=400)[0]
    found = reliability({0: made}, bins=10)
    right = made.probabilities.argmax(axis=1) == made.labels
    observed, predicted = calibration_curve(right, made.probabilities.max(axis=1), n_bins=10)
    filled = found.counts > 0
    np.testing.assert_allclose(found.accuracy[filled], observed)
    np.testing.assert_allclose(found.confidence[filled], predicted)
    hits = found.accuracy[filled] * found.counts[filled]
    low, high = proportion_confint(hits, found.counts[filled], method="wilson")
    np.testing.assert_allclose(found.low[filled], low, atol=1e-12)
    np.testing.assert_allclose(found.high[filled], high, atol=1e-12)


def test_copies_of_a_seed_do_not_narrow_the_interval() -> None:
    made = arm(1)[0]
    once, often = reliability({0: made}), reliability(dict.fromkeys(range(5), made))
    for name in ("counts", "accuracy", "low", "high"):
        np.testing.assert_allclose(getattr(often, name), getattr(once, name))


def test_an_empty_bin_has_no_share() -> None:
    found = reliability({0: predictions(np.array([0, 1]), np.array([-9.0, 9.0]))})
    assert found.counts.tolist() == [0] * 14 + [2]
    assert np.isnan(found.accuracy[:14]).all()
    assert (found.accuracy[14], found.high[14]) == (1, 1)
