"""Detectors that tell synthetic from real images by their radial spectra, trained and applied.

The linear detector is that of :func:`frerec.evaluation.image_quality.spectral_detector_auc`; here
it has an RBF-SVM beside it, and a detector may be applied to another version of the same images
than it was trained on (before and after a calibration).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

FOLDS = 5
FEWEST_IMAGES = 20  # [ours] in each set: with fewer, five folds say nothing
DETECTORS = ("logistic", "rbf_svm")

Features = NDArray[np.float64]


def make_detector(kind: str) -> Any:
    """An untrained detector on standardised features.

    Args:
        kind: ``logistic``, or ``rbf_svm`` with scikit-learn's defaults C = 1 and gamma = 1 over
            (features times their variance) [ours]: nothing is tuned on the images.

    Raises:
        ValueError: For another name.
    """
    if kind == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    if kind == "rbf_svm":
        return make_pipeline(StandardScaler(), SVC(kernel="rbf"))
    raise ValueError(f"detector {kind!r}: expected one of {', '.join(DETECTORS)}")


def too_few(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> str | None:
    """Why no detector can be cross-validated on these images, or None where one can."""
    for label, name in ((0, "real"), (1, "synthetic")):
        of_set = labels == label
        if of_set.sum() < FEWEST_IMAGES:
            return f"{of_set.sum()} {name} images: a detector needs at least {FEWEST_IMAGES}"
        patients = len(np.unique(groups[of_set]))
        if patients < FOLDS:
            return f"{patients} groups of {name} images: a detector needs at least {FOLDS}"
    if any(len(np.unique(labels[train])) < 2 for train, _ in _folds(labels, groups)):
        return "the groups are so unequal that a fold would have images of one set only"
    return None


def held_out_scores(
    trained_on: Features,
    applied_to: Mapping[str, Features],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    kind: str = "logistic",
) -> dict[str, NDArray[np.float64]]:
    """Scores of every image by a detector that saw neither it nor anything of its group.

    Args:
        trained_on: ``[N, D]``, the radial log power S(k) of N images of both sets.
        applied_to: by name, the features ``[N, D]`` of some version of the same N images in the
            same order. A fold's images are scored by the detector of the other four folds, which
            was trained on `trained_on` whatever the version.
        labels: ``[N]``, 0 for real and 1 for synthetic.
        groups: ``[N]``, equal for images that must not be in two folds.
        kind: see :func:`make_detector`.

    Returns:
        By name, ``[N]``; higher where the image looks synthetic. Five folds, stratified and
        grouped, the same for every call with the same labels and groups.
    """
    scores = {name: np.empty(len(labels)) for name in applied_to}
    for train, test in _folds(labels, groups):
        detector = make_detector(kind).fit(trained_on[train], labels[train])
        for name, features in applied_to.items():
            scores[name][test] = detector.decision_function(features[test])
    return scores


def _folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return list(splitter.split(np.zeros((len(labels), 1)), labels, groups))
