"""Classification metrics of one set of predictions."""

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional import classification as tm

from frerec.errors import DataError
from frerec.evaluation.calibration_bins import bin_probabilities

METRICS = (
    "auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "sensitivity",
    "specificity",
    "brier",
    "ece",
)
ECE_BINS = 15


def classification_metrics(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> dict[str, float]:
    """Score predicted class probabilities against the true classes.

    Two classes: class 1 is the positive one, and an image is called positive where its
    probability is above 0.5. More classes: the most probable class is predicted; AUC and average
    precision are macro means of one class against the rest; F1, sensitivity and specificity are
    macro means. Accuracy is the share of images that are classified correctly; balanced accuracy
    is the mean over the classes of the share of each.

    Args:
        labels: [N] integers in 0 .. C-1; every class must occur.
        probabilities: [N, C], C >= 2, finite, in [0, 1], each row with the sum 1.

    Returns:
        METRICS: each in [0, 1] but brier (see `brier_score`); ece is the expected calibration error
        of the predicted class' probability over 15 bins of equal width (Guo et al., ICML 2017).

    Raises:
        DataError: where the input is none of that, or a class has no image.
    """
    y, p = _validated(labels, probabilities)
    scores = _binary(y, p[:, 1]) if p.shape[1] == 2 else _multiclass(y, p)
    found = {name: float(value) for name, value in scores.items()}
    found |= {"brier": brier_score(y, p), "ece": expected_calibration_error(y, p)}
    return {name: found[name] for name in METRICS}


def _binary(labels: NDArray[np.int64], positive: NDArray[np.float64]) -> dict[str, torch.Tensor]:
    y, p = torch.from_numpy(labels), torch.from_numpy(positive)
    return {
        "auc": tm.binary_auroc(p, y),
        "average_precision": tm.binary_average_precision(p, y),
        "accuracy": tm.binary_accuracy(p, y),
        "balanced_accuracy": tm.multiclass_recall((p > 0.5).long(), y, 2, average="macro"),
        "f1": tm.binary_f1_score(p, y),
        "sensitivity": tm.binary_recall(p, y),
        "specificity": tm.binary_specificity(p, y),
    }


def _multiclass(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> dict[str, torch.Tensor]:
    y, p = torch.from_numpy(labels), torch.from_numpy(probabilities)
    n = p.shape[1]
    return {
        "auc": tm.multiclass_auroc(p, y, n, average="macro"),
        "average_precision": tm.multiclass_average_precision(p, y, n, average="macro"),
        # torchmetrics' own default is the macro mean, which is the macro sensitivity again.
        "accuracy": tm.multiclass_accuracy(p, y, n, average="micro"),
        "balanced_accuracy": tm.multiclass_accuracy(p, y, n, average="macro"),
        "f1": tm.multiclass_f1_score(p, y, n, average="macro"),
        "sensitivity": tm.multiclass_recall(p, y, n, average="macro"),
        "specificity": tm.multiclass_specificity(p, y, n, average="macro"),
    }


def brier_score(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Mean squared distance between the probabilities and the one-hot truth (Brier, 1950).

    Two classes: mean of (p_1 - y)^2, range [0, 1]. More classes: mean of the sum over the
    classes of (p_c - y_c)^2, range [0, 2]. The same convention as scikit-learn's.

    Args:
        labels: [N] integers in 0 .. C-1.
        probabilities: [N, C].
    """
    one_hot = np.eye(probabilities.shape[1])[labels]
    squares = np.square(probabilities - one_hot).sum(axis=1)
    score = float(squares.mean())
    return score / 2 if probabilities.shape[1] == 2 else score


def expected_calibration_error(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = ECE_BINS
) -> float:
    """Mean over the images of |accuracy - confidence| of their bin (Guo et al., ICML 2017).

    Args:
        labels: [N] integers in 0 .. C-1.
        probabilities: [N, C]; the confidence is that of the most probable class, for two classes
            too. At a tie the first of the most probable classes is the predicted one.
        bins: of equal width over [0, 1]; a confidence on an edge belongs to the bin above it, and
            1 to the last bin (torchmetrics 1.9 gives 1 a bin of its own).

    Returns:
        In [0, 1].
    """
    confidence, correct = top_confidence(labels, probabilities)
    return bin_probabilities(confidence, correct, bins).error


def top_confidence(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability of the predicted class, float64 ``[N]``, and whether it is the true one."""
    p = np.asarray(probabilities, dtype=np.float64)
    return p.max(axis=1), p.argmax(axis=1) == np.asarray(labels)


def _validated(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    # Copies: torch warns of arrays that cannot be written to, such as Parquet's.
    y, p = np.asarray(labels), np.array(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 2:
        raise DataError(f"probabilities must be [N, C] with C >= 2; found shape {p.shape}")
    if y.shape != p.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise DataError(
            f"labels must be {p.shape[0]} integers, one a row of the probabilities; "
            f"found shape {y.shape} of {y.dtype}"
        )
    if len(y) == 0:
        raise DataError("no predictions to score: labels and probabilities are empty")
    if not np.isfinite(p).all():
        rows = int((~np.isfinite(p)).any(axis=1).sum())
        raise DataError(
            f"probabilities are NaN or infinite for {rows} of {len(p)} images: the classifier "
            "diverged; lower the learning rate or look for bad images"
        )
    if p.min() < 0 or p.max() > 1 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise DataError(
            "probabilities must lie in [0, 1] and have the sum 1 in each row; "
            "give softmax output, not logits"
        )
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise DataError(
            f"labels must lie in 0 .. {p.shape[1] - 1}; found {int(y.min())} .. {int(y.max())}"
        )
    missing = sorted(set(range(p.shape[1])) - set(y.tolist()))
    if missing:
        raise DataError(
            f"no image of class {', '.join(map(str, missing))} among {len(y)} labels: AUC is not "
            "defined; every class needs an image in every split that is scored"
        )
    return y.astype(np.int64), p
