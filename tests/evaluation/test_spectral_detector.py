"""Detectors are cross-validated by group, and may score other versions of the same images."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from fixtures import textured_images
from frerec.evaluation.image_quality import spectral_detector_auc
from frerec.evaluation.spectral_detector import (
    DETECTORS,
    held_out_scores,
    make_detector,
    too_few,
)
from frerec.spectral import radial_log_power

LABELS = np.repeat([0, 1], 40)
GROUPS = np.arange(80)


def features(seed: int, shift: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((80, 6))
    values[40:, 0] += shift
    return values


def test_the_linear_detector_is_that_of_the_benchmark() -> None:
    real = textured_images(40, seed=1)
    samples = (textured_images(40, seed=2) * 0.9 + 0.05).clamp(0, 1)
    both = np.concatenate([radial_log_power(x).flatten(1).numpy() for x in (real, samples)])
    scores = held_out_scores(both, {"same": both}, LABELS, GROUPS)["same"]
    assert roc_auc_score(LABELS, scores) == pytest.approx(spectral_detector_auc(real, samples))


@pytest.mark.parametrize("kind", DETECTORS)
def test_the_scores_are_scikit_learns_cross_validated_ones(kind: str) -> None:
    x = features(0, shift=1.0)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    expected = cross_val_predict(
        make_detector(kind), x, LABELS, groups=GROUPS, cv=folds, method="decision_function"
    )
    found = held_out_scores(x, {"x": x}, LABELS, GROUPS, kind=kind)["x"]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_detector_trained_before_a_repair_is_fooled_by_it(kind: str) -> None:
    broken, repaired = features(0, shift=4.0), features(0)
    scores = held_out_scores(broken, {"b": broken, "r": repaired}, LABELS, GROUPS, kind=kind)
    assert roc_auc_score(LABELS, scores["b"]) > 0.95
    assert abs(roc_auc_score(LABELS, scores["r"]) - 0.5) < 0.15


def test_the_svm_finds_what_no_line_can() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((80, 2))
    x[40:] *= 6  # a ring around the real ones
    aucs = {
        kind: roc_auc_score(LABELS, held_out_scores(x, {"x": x}, LABELS, GROUPS, kind=kind)["x"])
        for kind in DETECTORS
    }
    assert aucs["rbf_svm"] > 0.9 > 0.7 > aucs["logistic"]


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_set_against_itself_gives_exactly_one_half_when_twins_stay_together(kind: str) -> None:
    half = np.random.default_rng(4).standard_normal((40, 5))
    x, groups = np.concatenate([half, half]), np.tile(np.arange(40), 2)
    scores = held_out_scores(x, {"x": x}, LABELS, groups, kind=kind)["x"]
    assert roc_auc_score(LABELS, scores) == pytest.approx(0.5, abs=1e-9)


def test_too_few_images_or_groups_are_said() -> None:
    assert too_few(LABELS, GROUPS) is None
    assert "19 synthetic images" in str(too_few(LABELS[:59], GROUPS[:59]))
    assert "4 groups of real" in str(too_few(LABELS, np.r_[np.arange(40) % 4, GROUPS[40:]]))


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of logistic, rbf_svm"):
        make_detector("forest")
