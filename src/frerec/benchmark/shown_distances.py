"""How far each shown set of samples is from the real images that it stands beside."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from frerec.benchmark.cell import Cell
from frerec.benchmark.shown_embedding import best_checkpoint
from frerec.benchmark.shown_sets import ShownSets
from frerec.classification import PenultimateFeatures, load_classifier
from frerec.errors import DataError
from frerec.evaluation.image_quality import kernel_inception_distance, spectral_detector_auc
from frerec.spectral import log_spectral_distance


def distances(
    shown: ShownSets, groups: np.ndarray, feature_cell: Cell | None, run_dir: Path
) -> dict[str, dict[str, Any]]:
    """Distances of the samples, by the name of their set.

    Uncalibrated samples are compared with uncalibrated real images, calibrated samples with
    calibrated ones, because that is what a classifier sees.

    Args:
        shown: The sets.
        groups: Patient of each real image.
        feature_cell: Its classifier gives the features of KID; None for no KID.
        run_dir: With the cells' folders.
    """
    images = shown.images
    rivals = {
        "synthetic": "real",
        "synthetic_shr": "real_shr",
        "synthetic_frerec": "real_frerec",
        # Most baselines leave real images as they are.
        "synthetic_calibrated": "real_calibrated" if "real_calibrated" in images else "real",
    }
    extractor = None
    if feature_cell is not None:
        checkpoint = best_checkpoint(run_dir / "cells" / feature_cell.id)
        extractor = PenultimateFeatures(load_classifier(checkpoint))
    return {
        name: _distances(images[rival], images[name], groups, extractor)
        for name, rival in rivals.items()
        if name in images
    }


def _distances(
    real: Tensor, samples: Tensor, groups: np.ndarray, extractor: PenultimateFeatures | None
) -> dict[str, Any]:
    try:
        detector: float | None = spectral_detector_auc(real, samples, groups=groups)
    except (DataError, ValueError):
        detector = None  # fewer images or patients than folds; the report shows a dash
    found: dict[str, Any] = {
        "lsd_db": log_spectral_distance(real, samples),
        "lsd_high_db": log_spectral_distance(real, samples, minimum_radius=0.5),
        "detector_auc": detector,
        "kid": None,
        "kid_std": None,
        "kid_features": "",
    }
    if extractor is not None:
        found["kid"], found["kid_std"] = kernel_inception_distance(real, samples, extractor)
        name = extractor.classifier.hparams["name"]
        found["kid_features"] = f"{name} trained on the real images alone"
    return found
