"""Reconstruction losses of RHM; in float32 also under mixed precision."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from frerec.calibration.statistics import LOG_FLOOR
from frerec.spectral.bands import hermitian_weight

LossName = Literal["paper", "amplitude", "log_amplitude", "focal"]


@lru_cache(maxsize=16)
def _plane_weight(height: int, width: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        weight = hermitian_weight(height, width)
        return (weight / weight.mean()).float().to(device)


def spectral_weight_map(images: Tensor) -> Tensor:
    """Weights that turn a half-plane mean into the mean over the full plane; float32."""
    return _plane_weight(images.shape[-2], images.shape[-1], images.device)


def spectrum(images: Tensor) -> Tensor:
    """The ortho-normalised half plane, in float32 whatever the images and the autocast are."""
    with torch.autocast(images.device.type, enabled=False):
        transformed: Tensor = torch.fft.rfft2(images.float(), norm="ortho")
    return transformed


def power(coefficients: Tensor) -> Tensor:
    """|F|^2."""
    return coefficients.real.square() + coefficients.imag.square()


def spectral_mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean of |F(x) - F(A(x))|^2 over the full plane, ortho-normalised.

    By Parseval's theorem this equals the pixel MSE; it is kept because the paper prints it.
    """
    difference = spectrum(output.float() - target.float())
    return (power(difference) * spectral_weight_map(output)).mean()


def amplitude_mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean of (|F(x)| - |F(A(x))|)^2 over the full plane: blind to the phase."""
    difference = spectrum(output).abs() - spectrum(target).abs()
    return (difference.square() * spectral_weight_map(output)).mean()


def log_amplitude_l1(output: Tensor, target: Tensor, *, floor: float = LOG_FLOOR) -> Tensor:
    """Mean of |ln(|F(x)| + floor) - ln(|F(A(x))| + floor)| over the full plane."""
    logs = [torch.log(spectrum(images).abs() + floor) for images in (output, target)]
    return ((logs[0] - logs[1]).abs() * spectral_weight_map(output)).mean()


def focal_frequency_loss(output: Tensor, target: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Focal frequency loss (Jiang et al., ICCV 2021): hard frequencies weigh more.

    Mean of w |F(x) - F(A(x))|^2 with w = |F(x) - F(A(x))|^alpha divided by its largest value in
    the image's channel; no gradient flows through w.
    """
    error = power(spectrum(output.float() - target.float()))
    weight = error.detach().pow(alpha / 2)
    weight = weight / weight.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    return (weight * error * spectral_weight_map(output)).mean()


SPECTRAL_TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "paper": spectral_mse,
    "amplitude": amplitude_mse,
    "log_amplitude": log_amplitude_l1,
    "focal": focal_frequency_loss,
}


def reconstruction_loss(
    output: Tensor, target: Tensor, *, loss: LossName = "paper", spectral_weight: float = 1.0
) -> Tensor:
    """``||x - A(x_hat)||^2 + w ||F(x) - F(A(x_hat))||^2``, both as means (FreRec, RHM).

    Args:
        output: A(x_hat), ``[B, C, H, W]``.
        target: x, the same shape.
        loss: Spectral term: ``paper`` (complex spectra), or [ours] ``amplitude``,
            ``log_amplitude`` or ``focal``.
        spectral_weight: w, 1 in the paper's formula.

    Returns:
        Scalar.
    """
    pixel = F.mse_loss(output.float(), target.float())
    return pixel + spectral_weight * SPECTRAL_TERMS[loss](output, target)
