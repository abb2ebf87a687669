"""How far each shown set of samples is from the real images that it stands beside."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from frerec.benchmark.cell import Cell
from frerec.benchmark.shown_calibrators import Attempt
from frerec.benchmark.shown_embedding import best_checkpoint
from frerec.benchmark.shown_sets import ShownSets
from frerec.classification import PenultimateFeatures, load_classifier
from frerec.errors import DataError
from frerec.evaluation.image_quality import kernel_inception_distance, spectral_detector_auc
from frerec.spectral import log_spectral_distance

_NOTHING: dict[str, Any] = {
    "lsd_db": None,
    "lsd_high_db": None,
    "detector_auc": None,
    "kid": None,
    "kid_std": None,
    "kid_features": "",
}


def distances(
    shown: ShownSets,
    groups: np.ndarray,
    feature_cell: Cell | None,
    run_dir: Path,
    attempt: Attempt,
) -> dict[str, dict[str, Any]]:
    """Distances of the samples, by the name of their set.

    Uncalibrated samples are compared with uncalibrated real images, calibrated samples with
    calibrated ones, because that is what a classifier sees.

    Args:
        shown: The sets.
        groups: Patient of each real image.
        feature_cell: Its classifier gives the features of KID; None for no KID.
        run_dir: With the cells' folders.
        attempt: Runs a measurement under a name, and gives None where it fails.
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
        folder = run_dir / "cells" / feature_cell.id
        loaded = attempt("the features of KID", lambda: {"network": _extractor(folder)})
        extractor = None if loaded is None else loaded["network"]
    found = {}
    for name, rival in rivals.items():
        if name not in images:
            continue
        real, samples = images[rival], images[name]
        made = attempt(
            f"distances of {name}",
            lambda r=real, s=samples: _distances(r, s, groups),  # type: ignore[misc]
        )
        kid = None
        if extractor is not None:
            kid = attempt(
                f"KID of {name}",
                lambda r=real, s=samples: _kid(r, s, extractor),  # type: ignore[misc]
            )
        if made is not None or kid is not None:
            found[name] = _NOTHING | (made or {}) | (kid or {})
    return found


def _extractor(folder: Path) -> PenultimateFeatures:
    return PenultimateFeatures(load_classifier(best_checkpoint(folder)))


def _distances(real: Tensor, samples: Tensor, groups: np.ndarray) -> dict[str, Any]:
    try:
        detector: float | None = spectral_detector_auc(real, samples, groups=groups)
    except (DataError, ValueError):
        detector = None  # fewer images or patients than folds; the report shows a dash
    return {
        "lsd_db": log_spectral_distance(real, samples),
        "lsd_high_db": log_spectral_distance(real, samples, minimum_radius=0.5),
        "detector_auc": detector,
    }


def _kid(real: Tensor, samples: Tensor, extractor: PenultimateFeatures) -> dict[str, Any]:
    mean, deviation = kernel_inception_distance(real, samples, extractor)
    name = extractor.classifier.hparams["name"]
    return {
        "kid": mean,
        "kid_std": deviation,
        "kid_features": f"{name} trained on the real images alone",
    }
