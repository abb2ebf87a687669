"""Classification metrics agree with scikit-learn's and refuse what cannot be scored."""

import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error

from frerec.errors import FrerecError
from frerec.evaluation.metrics import (
    METRICS,
    brier_score,
    classification_metrics,
    expected_calibration_error,
)


def predictions(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities that know something about them."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    logits = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[labels]
    weights = np.exp(logits)
    return labels, weights / weights.sum(axis=1, keepdims=True)


def calibration_error(labels: np.ndarray, p: np.ndarray, bins: int = 15) -> float:
    """Guo et al., ICML 2017, equation (5), bin by bin."""
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    total = 0.0
    for m in range(bins):
        last = m == bins - 1
        here = (confidence >= m / bins) & ((confidence < (m + 1) / bins) | last)
        if here.any():
            total += here.mean() * abs(correct[here].mean() - confidence[here].mean())
    return total


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_classes_agree_with_scikit_learn(seed):
    labels, p = predictions(157, 2, seed)
    guess = (p[:, 1] > 0.5).astype(int)
    expected = {
        "auc": sk.roc_auc_score(labels, p[:, 1]),
        "average_precision": sk.average_precision_score(labels, p[:, 1]),
        "accuracy": sk.accuracy_score(labels, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, guess),
        "f1": sk.f1_score(labels, guess),
        "sensitivity": sk.recall_score(labels, guess),
        "specificity": sk.recall_score(labels, guess, pos_label=0),
        "brier": sk.brier_score_loss(labels, p[:, 1]),
        "ece": calibration_error(labels, p),
    }
    assert classification_metrics(labels, p) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("classes", [3, 5])
def test_more_classes_are_macro_means_as_in_scikit_learn(classes):
    labels, p = predictions(211, classes, 3)
    guess = p.argmax(axis=1)
    one_vs_rest = sk.multilabel_confusion_matrix(labels, guess)
    specificity = one_vs_rest[:, 0, 0] / one_vs_rest[:, 0].sum(axis=1)
    expected = {
        "auc": sk.roc_auc_score(labels, p, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(np.eye(classes)[labels], p),
        "accuracy": sk.accuracy_score(labels, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, guess),
        "f1": sk.f1_score(labels, guess, average="macro"),
        "sensitivity": sk.recall_score(labels, guess, average="macro"),
        "specificity": specificity.mean(),
        "brier": sk.brier_score_loss(labels, p),
        "ece": calibration_error(labels, p),
    }
    assert classification_metrics(labels, p) == pytest.approx(expected, abs=1e-6)


def test_unbalanced_classes_tell_accuracy_from_sensitivity():
    labels = np.array([0] * 8 + [1, 2])
    p = np.tile([0.6, 0.3, 0.1], (10, 1))
    scores = classification_metrics(labels, p)
    assert scores["accuracy"] == pytest.approx(0.8)
    assert scores["sensitivity"] == pytest.approx(1 / 3)
    assert scores["auc"] == pytest.approx(0.5)


def test_a_probability_of_exactly_one_half_is_not_positive():
    scores = classification_metrics(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert (scores["specificity"], scores["sensitivity"]) == (1.0, 0.0)


def test_a_class_that_is_never_predicted_has_an_f1_of_zero():
    scores = classification_metrics(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert scores["f1"] == 0.0
    assert scores["auc"] == 1.0


@pytest.mark.parametrize("classes", [2, 3])
def test_the_calibration_error_is_torchmetrics_below_a_confidence_of_one(classes):
    labels, p = predictions(300, classes, 4)
    expected = multiclass_calibration_error(
        torch.from_numpy(p), torch.from_numpy(labels), classes, n_bins=15, norm="l1"
    )
    assert expected_calibration_error(labels, p) == pytest.approx(float(expected))


def test_certain_images_share_the_last_bin_and_a_tie_predicts_the_first_class():
    certain = np.array([[0.0, 1.0], [0.05, 0.95]])
    assert expected_calibration_error(np.array([1, 0]), certain) == pytest.approx(0.475)
    both_right = np.array([1, 1])
    assert expected_calibration_error(both_right, certain) == pytest.approx(0.025)
    half = np.full((2, 2), 0.5)
    assert expected_calibration_error(np.array([0, 1]), half) == 0.0
    assert expected_calibration_error(np.array([1, 1]), half) == 0.5
    over = np.array([[0.0, 1.0], [0.0, 1.0], [0.02, 0.98], [0.02, 0.98]])
    # One bin: three of four are right at a mean confidence of 0.99.
    assert expected_calibration_error(np.array([1, 0, 1, 1]), over) == pytest.approx(0.24)


def test_perfect_and_useless_predictions_have_their_known_average_precision():
    labels = np.array([0, 0, 0, 1])
    perfect = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    assert classification_metrics(labels, perfect)["average_precision"] == 1.0
    constant = np.tile([0.5, 0.5], (4, 1))
    assert classification_metrics(labels, constant)["average_precision"] == pytest.approx(0.25)


def test_arrays_that_cannot_be_written_to_are_scored_without_a_warning():
    labels, p = predictions(30, 2, 0)
    labels.setflags(write=False)
    p.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classification_metrics(labels, p)


def test_every_metric_is_a_plain_float():
    scores = classification_metrics(*predictions(20, 2, 0))
    assert tuple(scores) == METRICS
    assert all(type(value) is float for value in scores.values())


def test_float32_softmax_output_is_accepted():
    labels, p = predictions(500, 4, 1)
    single = classification_metrics(labels, p.astype(np.float32))
    assert single == pytest.approx(classification_metrics(labels, p), abs=1e-5)


def test_brier_score_of_certain_errors_is_its_upper_end():
    assert brier_score(np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]])) == 1.0
    assert brier_score(np.array([0]), np.array([[0.0, 1.0, 0.0]])) == 2.0


GOOD = np.array([[0.7, 0.3], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("labels", "p", "says"),
    [
        ([0, 1], [[np.nan, np.nan], [0.2, 0.8]], "NaN or infinite for 1 of 2 images"),
        ([1, 1], GOOD, "no image of class 0"),
        ([0, 1, 1], np.tile([0.5, 0.3, 0.2], (3, 1)), "no image of class 2"),
        ([0, 1], [[2.0, -1.0], [0.2, 0.8]], "softmax output, not logits"),
        ([0, 1], [[0.7, 0.7], [0.2, 0.8]], "softmax output, not logits"),
        ([0, 2], GOOD, "labels must lie in 0 .. 1"),
        ([0, 1, 1], GOOD, "labels must be 2 integers"),
        ([0.0, 1.0], GOOD, "labels must be 2 integers"),
        ([0, 1], [[0.7], [0.2]], "C >= 2"),
        (np.empty(0, dtype=int), np.empty((0, 2)), "no predictions"),
    ],
)
def test_what_cannot_be_scored_is_named_in_one_line(labels, p, says):
    with pytest.raises(FrerecError) as caught:
        classification_metrics(np.asarray(labels), np.asarray(p))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
