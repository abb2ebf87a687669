"""Distances between two sets of images from their features ``[N, D]``, through libraries.

FID and KID are torchmetrics', precision and recall torch-fidelity's; nothing is downloaded, because
the features are given. All are computed in float64.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from frerec.errors import DataError

NEIGHBOURS = 3  # the k of Kynkaanniemi et al., NeurIPS 2019


class _Given(nn.Module):
    """Passes features through where a metric expects a network."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.num_features = count

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Tensor, synthetic: Tensor) -> float:
    """FID (Heusel et al., NeurIPS 2017): the Frechet distance of two Gaussians.

    ``|m_r - m_s|^2 + tr(S_r + S_s - 2 (S_r S_s)^(1/2))`` with unbiased covariances. It grows as
    sets shrink, without any difference between them: compare only values of equal sizes.

    Args:
        real: ``[N, D]``.
        synthetic: ``[M, D]``.

    Returns:
        At least 0, in squared units of the features.

    Raises:
        DataError: If a set has fewer than 2 rows, or D differs.
    """
    _check(real, synthetic, fewest=2, what="FID")
    metric: Any = FrechetInceptionDistance(feature=_Given(real.shape[1])).set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(synthetic.double(), real=False)
    return max(float(metric.compute()), 0.0)


def kernel_distance(
    real: Tensor, synthetic: Tensor, *, subset_size: int = 100, subsets: int = 50, seed: int = 0
) -> tuple[float, float]:
    """KID (Binkowski et al., ICLR 2018): unbiased squared MMD, kernel ``(x . y / D + 1)^3``.

    Args:
        real: ``[N, D]``.
        synthetic: ``[M, D]``.
        subset_size: Rows a subset, at most those of the smaller set.
        subsets: Drawn from each set.
        seed: Of the draws; the global generators are left alone.

    Returns:
        Mean and standard deviation over subsets; 0 on average for equal sets, so that it may be
        negative.

    Raises:
        DataError: If a set has fewer than 2 rows, or D differs.
    """
    _check(real, synthetic, fewest=2, what="KID")
    size = min(subset_size, len(real), len(synthetic))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it keeps the features: they are here already
        metric: Any = KernelInceptionDistance(
            feature=_Given(real.shape[1]), subsets=subsets, subset_size=size
        )
    metric.update(real.double(), real=True)
    metric.update(synthetic.double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # torchmetrics draws its subsets from the global generator
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def precision_recall(
    real: Tensor, synthetic: Tensor, *, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al., NeurIPS 2019).

    Precision is the share of samples within the manifold of the real images, the union of balls
    around them that reach their k-th nearest other; recall the share of real images within that of
    the samples. Both fall with smaller sets.

    Args:
        real: ``[N, D]``.
        synthetic: ``[M, D]``.
        neighbours: k.

    Returns:
        Precision and recall in [0, 1].

    Raises:
        DataError: If a set has no more than k rows, or D differs.
    """
    _check(real, synthetic, fewest=neighbours + 1, what="precision and recall")
    found = prc_features_to_metric(
        synthetic.double(),
        real.double(),
        prc_neighborhood=neighbours,
        prc_batch_size=2048,
        save_cpu_ram=True,
        verbose=False,
    )
    return float(found["precision"]), float(found["recall"])


def _check(real: Tensor, synthetic: Tensor, *, fewest: int, what: str) -> None:
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        raise DataError(
            f"{what}: features {tuple(real.shape)} and {tuple(synthetic.shape)}; expected [N, D] "
            "and [M, D] of one extractor"
        )
    if min(len(real), len(synthetic)) < fewest:
        raise DataError(
            f"{what}: {len(real)} real and {len(synthetic)} synthetic images; expected at least "
            f"{fewest} of each"
        )
