"""DeLong's variance of the AUC, also where several images belong to one patient.

DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988) by the midranks of Sun and Xu (IEEE Signal
Processing Letters 21, 2014); Obuchowski's (Biometrics 53, 1997) where images are clustered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit, logit

from frerec.errors import DataError
from frerec.evaluation.bootstrap import LEVEL, Interval
from frerec.evaluation.predictions import Predictions, check_same_images

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AUCCovariance:
    """AUC of A score vectors on the same images, and how they vary together over patients.

    Attributes:
        auc: float64 ``[A]`` in [0, 1]; macro one-vs-rest for more than two classes.
        covariance: float64 ``[A, A]``, positive semi-definite; None where a class has images of
            one patient only, so that nothing is known of its spread.
    """

    auc: Floats
    covariance: Floats | None


@dataclass(frozen=True)
class DeLongTest:
    """Difference of two AUCs on the same images, its interval and its two-sided p value.

    Equal ranks have p = 1 and no interval. The numbers but `difference` are None where a class has
    one patient only, or where both AUCs have no spread although they differ; `reason` says which.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    reason: str = ""


def delong(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None) -> AUCCovariance:
    """AUCs of several score vectors and their covariance over patients.

    Args:
        labels: integers ``[N]`` in 0 .. C-1, every class occurs.
        scores: ``[A, N]``, higher for class 1 of two; or probabilities ``[A, N, C]``. Any order-
            preserving change of the scores of a class leaves the result alone.
        groups: ``[N]``, equal for the images of one patient; None where each is its own.

    Returns:
        AUCs and covariance. With one image a patient, and two classes, it is exactly DeLong's;
        with more images exactly Obuchowski's. The macro mean over C > 2 classes has the covariance
        of the mean of the same components [ours]: an image is positive once and negative C - 1
        times. These components are centred within each class: how many images a class has is
        given, and is no source of spread.

    Raises:
        DataError: where shapes or labels do not fit, or a score is not finite.
    """
    y, values, codes = _checked(labels, scores, groups)
    auc, parts = _components(y, values)
    return AUCCovariance(auc, _covariance(parts, y, codes))


def delong_interval(predictions: Predictions | Sequence[Predictions]) -> Interval:
    """AUC with its 95 % interval over patients, the trained networks being given.

    The interval is symmetric on the logit scale [ours], as Pepe (2003, section 5.2) advises: it
    stays within (0, 1), and covers better where the AUC is near 1.

    Args:
        predictions: of one network; or of several on the same images (seeds), for the mean of
            their AUCs.

    Returns:
        Without bounds where the AUC is exactly 0 or 1, has no spread, or a class has one patient.

    Raises:
        DataError: where the images of several are not the same.
    """
    auc, parts, first = _mean_components(predictions)
    variance = _covariance(parts[None], first.labels, first.codes)
    if variance is None or variance[0, 0] <= 0 or not 0 < auc < 1:
        return Interval(auc, None, None)
    half = _quantile() * np.sqrt(variance[0, 0]) / (auc * (1 - auc))  # the delta method
    return Interval(auc, float(expit(logit(auc) - half)), float(expit(logit(auc) + half)))


def delong_test(
    first: Predictions | Sequence[Predictions], second: Predictions | Sequence[Predictions]
) -> DeLongTest:
    """Is the AUC of `first` another than that of `second`, over patients?

    Args:
        first: of one network; or of several (seeds), whose AUCs are averaged.
        second: the same of the other arm, on the same images.

    Returns:
        first - second with a 95 % interval (normal, on the plain scale) and p value.

    Raises:
        DataError: where the images are not the same.
    """
    auc, parts, reference = _mean_components(first)
    other_auc, other_parts, other = _mean_components(second)
    check_same_images([reference, other])
    # The components are subtracted before they are squared: equal ranks give exactly 0.
    variance = _covariance((parts - other_parts)[None], reference.labels, reference.codes)
    difference = auc - other_auc
    if variance is None:
        return DeLongTest(difference, None, None, None, "too few patients in a class")
    if variance[0, 0] <= 0:
        same = difference == 0
        reason = "" if same else "no spread of the AUCs over patients"
        return DeLongTest(difference, None, None, 1.0 if same else None, reason)
    error = float(np.sqrt(variance[0, 0]))
    half = _quantile() * error
    p = float(2 * stats.norm.sf(abs(difference) / error))
    return DeLongTest(difference, difference - half, difference + half, p)


def _quantile() -> float:
    return float(stats.norm.ppf((1 + LEVEL) / 2))


def _mean_components(
    predictions: Predictions | Sequence[Predictions],
) -> tuple[float, Floats, Predictions]:
    made = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    check_same_images(made)
    stacked = np.stack([each.probabilities for each in made])
    y, values, _ = _checked(made[0].labels, stacked, None)
    auc, parts = _components(y, values)
    return float(auc.mean()), parts.mean(axis=0), made[0]


def _checked(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None
) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Labels ``[N]``, scores ``[A, N, C]`` (C is 1 for two classes) and patients' codes ``[N]``."""
    y, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if values.ndim == 2:
        values, classes = values[:, :, None], 2
    else:
        classes = values.shape[-1]
        values = values[:, :, 1:] if values.ndim == 3 and classes == 2 else values
    if values.ndim != 3 or y.shape != values.shape[1:2]:
        raise DataError(
            f"AUC of scores {np.shape(scores)} and labels {y.shape}: expected [A, N] or [A, N, C] "
            "and [N]"
        )
    if not np.isfinite(values).all():
        raise DataError("AUC: a score is NaN or infinite; the classifier diverged")
    if not np.array_equal(np.unique(y), np.arange(classes)):
        raise DataError(
            f"AUC: labels must be 0 .. {classes - 1} and every class needs an image; "
            f"found {np.unique(y).tolist()}"
        )
    of_each = np.arange(len(y)) if groups is None else np.asarray(groups)
    if of_each.shape != y.shape:
        raise DataError(f"AUC: {len(y)} images but groups {of_each.shape}; give one an image")
    codes = np.unique(of_each.astype(str), return_inverse=True)[1]
    return y.astype(np.int64), values, codes.astype(np.int64)


def _components(labels: NDArray[np.int64], scores: Floats) -> tuple[Floats, Floats]:
    """AUC ``[A]``, and each image's share ``[A, N]`` in its deviation from the expectation.

    The shares of a class sum to 0. Of two classes they do by themselves; of more, a class is only
    a part of the negatives of another, whose mean it need not have.
    """
    classes = (1,) if scores.shape[2] == 1 else range(scores.shape[2])
    found = [_one_against_rest(labels == c, scores[:, :, k]) for k, c in enumerate(classes)]
    auc, parts = (np.mean([pair[k] for pair in found], axis=0) for k in (0, 1))
    if len(classes) > 1:
        for label in classes:
            of_label = labels == label
            parts[:, of_label] -= parts[:, of_label].mean(axis=1, keepdims=True)
    return auc, parts


def _one_against_rest(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """DeLong's placements by midranks: AUC ``[A]`` and (placement - AUC) / size ``[A, N]``.

    The placement of a positive is the share of negatives below it, that of a negative the share of
    positives above it; ties count half.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    of_other = stats.rankdata(scores, axis=1)
    for side in (positive, ~positive):
        of_other[:, side] -= stats.rankdata(scores[:, side], axis=1)
    placement = np.where(positive, of_other / n, 1 - of_other / m)
    auc = placement[:, positive].mean(axis=1)
    parts: Floats = (placement - auc[:, None]) / np.where(positive, m, n)
    return auc, parts


def _covariance(
    parts: Floats, labels: NDArray[np.int64], codes: NDArray[np.int64]
) -> Floats | None:
    """Covariance ``[A, A]`` of the sums of the parts ``[A, N]``, whole patients being independent.

    Obuchowski's sum: with P_is the parts of patient i that have label s, I_s patients with that
    label and I in all, ``sum_s I_s/(I_s-1) sum_i P_is P_is' + I/(I-1) sum_i sum_{s != t} P_is
    P_it'``. As I_s <= I it is a sum of squares, whatever the clusters.
    """
    patients = int(codes.max()) + 1
    total, covariance = np.zeros((len(parts), patients)), np.zeros((len(parts), len(parts)))
    common = patients / max(patients - 1, 1)
    for label in np.unique(labels):
        of_label = labels == label
        with_label = len(np.unique(codes[of_label]))
        if with_label < 2:
            return None
        sums = np.stack([np.bincount(codes, row * of_label, patients) for row in parts])
        covariance += (with_label / (with_label - 1) - common) * (sums @ sums.T)
        total += sums
    covariance += common * (total @ total.T)
    return covariance
