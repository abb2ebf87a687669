"""A gain over the radial frequency that gives one set of images the radial power of another."""

import torch
from torch import Tensor

from frerec.spectral.bands import frequency_radius


def gain_curve(
    target: Tensor,
    source: Tensor,
    *,
    eps: float = 1e-12,
    smoothing: float = 1.0,
    smallest: float = 0.25,
    largest: float = 4.0,
) -> Tensor:
    """The gain g = sqrt((P_target + eps) / (P_source + eps)), smoothed, then clipped.

    A gain is a factor, so it is the logarithm that is smoothed [ours]: by a Gaussian along the
    rings, cut off and normalised at the ends.

    Args:
        target: Mean radial power ``[C, R]`` of the images to be matched, >= 0.
        source: The same of the images to be changed.
        eps: Added to both powers, so that a ring without power in either has the gain 1.
        smoothing: Standard deviation of the Gaussian in rings; 0 for none.
        smallest: Lower limit of the gain.
        largest: Upper limit of the gain.

    Returns:
        float64 ``[C, R]``, within [smallest, largest].
    """
    logarithm = 0.5 * ((target.double() + eps).log() - (source.double() + eps).log())
    if smoothing > 0:
        ring = torch.arange(target.shape[-1], dtype=torch.float64, device=target.device)
        weight = torch.exp(-0.5 * ((ring[:, None] - ring[None, :]) / smoothing) ** 2)
        logarithm = logarithm @ (weight / weight.sum(0, keepdim=True))
    return logarithm.exp().clamp(smallest, largest)


def gain_map(curve: Tensor, height: int, width: int, *, ratio: float) -> Tensor:
    """The gain of every coefficient: linear between the centres of the rings, 1 below ``ratio``.

    Args:
        curve: Gain of the rings of :func:`frerec.spectral.profile.radial_power`, ``[C, R]``; ring k
            reaches from k to k + 1 frequency steps of the shorter side, its centre is k + 0.5.
        height: Image height in pixels.
        width: Image width in pixels.
        ratio: Fraction of the Nyquist radius from which the gain applies.

    Returns:
        float32 ``[C, H, W // 2 + 1]``.
    """
    rho = frequency_radius(height, width).to(curve.device)
    place = (rho * (min(height, width) / 2) - 0.5).clamp(0, curve.shape[-1] - 1)
    lower = place.long()
    upper = (lower + 1).clamp_max(curve.shape[-1] - 1)
    share = place - lower
    curve = curve.double()
    gain = curve[:, lower] * (1 - share) + curve[:, upper] * share
    return torch.where(rho >= ratio, gain, 1.0).float()
