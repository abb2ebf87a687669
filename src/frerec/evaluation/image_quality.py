"""How far images are from a reference, and samples from real images."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from frerec.errors import DataError
from frerec.evaluation.feature_distances import kernel_distance
from frerec.spectral import radial_log_power

BATCH = 64


def psnr(images: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, peak 1.0.

    Args:
        images: ``[B, C, H, W]`` in [0, 1].
        reference: The same shape.

    Returns:
        float64 ``[B]``; 120 dB at most, so that equal images give a number.
    """
    mse = (images.double() - reference.double()).square().mean(dim=(1, 2, 3))
    return -10 * torch.log10(mse.clamp_min(1e-12))


def ssim(images: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity of each image with Wang's settings (Gaussian 11 x 11, sigma 1.5).

    Args:
        images: ``[B, C, H, W]`` in [0, 1].
        reference: The same shape.

    Returns:
        float32 ``[B]``.
    """
    parts = [
        structural_similarity_index_measure(
            a.float(), b.float(), sigma=1.5, data_range=1.0, reduction="none"
        )
        for a, b in zip(images.split(BATCH), reference.split(BATCH), strict=True)
    ]
    return torch.cat([part.reshape(-1) for part in parts])  # type: ignore[union-attr]


def spectral_detector_auc(
    real: Tensor, synthetic: Tensor, *, groups: np.ndarray | None = None, folds: int = 5
) -> float:
    """How well a linear detector tells synthetic from real images by their radial spectra.

    Logistic regression on the standardised S(k), cross-validated with patients kept together;
    0.5 is ideal.

    Args:
        real: ``[N, C, H, W]``.
        synthetic: ``[M, C, H, W]``, the same C, H, W.
        groups: Patient of each real image, or None; synthetic images are their own groups.
        folds: Of the cross-validation.

    Returns:
        Area under the ROC curve of the held-out scores.

    Raises:
        DataError: If a set has fewer images than folds.
    """
    if min(len(real), len(synthetic)) < folds:
        raise DataError(
            f"spectral detector: {len(real)} real and {len(synthetic)} synthetic images; "
            f"expected at least {folds} of each"
        )
    features = torch.cat([radial_log_power(x).flatten(1) for x in (real, synthetic)]).numpy()
    labels = np.repeat([0, 1], [len(real), len(synthetic)])
    patients = np.arange(len(real)) if groups is None else np.unique(groups, return_inverse=True)[1]
    own = patients.max() + 1 + np.arange(len(synthetic))
    detector = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    scores = cross_val_predict(
        detector,
        features,
        labels,
        groups=np.concatenate([patients, own]),
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=0),
        method="decision_function",
    )
    return float(roc_auc_score(labels, scores))


def kernel_inception_distance(
    real: Tensor, synthetic: Tensor, extractor: nn.Module, *, subset_size: int = 100
) -> tuple[float, float]:
    """KID (Binkowski et al., ICLR 2018) in the features of a given extractor.

    Args:
        real: ``[N, C, H, W]`` in [0, 1].
        synthetic: ``[M, C, H, W]`` in [0, 1].
        extractor: Maps images to features ``[B, D]``.
        subset_size: Images a subset, at most those of the smaller set.

    Returns:
        Mean and standard deviation over subsets. The scale depends on the extractor: compare
        only values of one extractor.
    """
    with torch.no_grad():
        features = [
            torch.cat([extractor(part) for part in images.split(BATCH)])
            for images in (real, synthetic)
        ]
    return kernel_distance(*features, subset_size=subset_size)
