"""Distances between the spectra of two sets of images."""

import torch
from torch import Tensor

from frerec.errors import DataError
from frerec.spectral.profile import radial_power, ring_radius


def log_spectral_distance(real: Tensor, synthetic: Tensor, *, minimum_radius: float = 0.0) -> float:
    """Log-spectral distance of two sets of images in dB.

    ``sqrt(mean_k (10 log10 P_real(k) - 10 log10 P_synthetic(k))^2)`` over the rings k whose radius
    is at least ``minimum_radius``; P is the mean radial power over all images and channels.

    Args:
        real: ``[N, C, H, W]``.
        synthetic: ``[M, C, H, W]``, the same C, H, W.
        minimum_radius: Fraction of the Nyquist radius; 0 for the full band, 0.5 for the high band.

    Returns:
        Decibels, >= 0; 0 for equal mean spectra.

    Raises:
        DataError: If sizes differ or a set is empty.
    """
    if len(real) == 0 or len(synthetic) == 0:
        raise DataError("log-spectral distance: both sets need at least one image")
    if real.shape[1:] != synthetic.shape[1:]:
        raise DataError(
            f"log-spectral distance: sets of shape {tuple(real.shape[1:])} and "
            f"{tuple(synthetic.shape[1:])}: expected the same [C, H, W]"
        )
    means = [mean_radial_power(images) for images in (real, synthetic)]
    radius = ring_radius(*real.shape[-2:]).to(real.device)
    return distance_of_mean_power(means[0], means[1], radius, minimum_radius=minimum_radius)


def mean_radial_power(images: Tensor, *, batch_size: int = 256) -> Tensor:
    """Mean radial power over images and channels, in bounded memory; float64 ``[R]``."""
    total = torch.stack([radial_power(part).sum(0) for part in images.split(batch_size)]).sum(0)
    return total.mean(0) / len(images)


def distance_of_mean_power(
    first: Tensor, second: Tensor, radius: Tensor, *, minimum_radius: float = 0.0
) -> float:
    """The distance of :func:`log_spectral_distance` from two mean radial powers ``[R]``."""
    tiny = torch.finfo(torch.float64).tiny
    decibels = 10 * (torch.log10(first.clamp_min(tiny)) - torch.log10(second.clamp_min(tiny)))
    return float(decibels[radius >= minimum_radius].square().mean().sqrt())
