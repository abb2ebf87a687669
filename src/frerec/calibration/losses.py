"""Reconstruction losses of RHM."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from frerec.calibration.statistics import LOG_FLOOR
from frerec.spectral.bands import hermitian_weight

LossName = Literal["paper", "amplitude", "log_amplitude", "focal"]


def spectral_weight_map(images: Tensor) -> Tensor:
    """Weights that turn a half-plane mean into the mean over the full plane."""
    weight = hermitian_weight(images.shape[-2], images.shape[-1])
    return (weight / weight.mean()).to(images)


def spectral_mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean of |F(x) - F(A(x))|^2 over the full plane, ortho-normalised.

    By Parseval's theorem this equals the pixel MSE; it is kept because the paper prints it.
    """
    difference = torch.fft.rfft2((output - target).float(), norm="ortho")
    weight = spectral_weight_map(output)
    loss: Tensor = (difference.abs().square() * weight).mean()
    return loss


def _amplitude(images: Tensor) -> Tensor:
    spectrum = torch.fft.rfft2(images.float(), norm="ortho")
    # sqrt(. + tiny) has a finite gradient at 0, which abs() does not.
    amplitude: Tensor = (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()
    return amplitude


def amplitude_mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean of (|F(x)| - |F(A(x))|)^2 over the full plane: blind to the phase."""
    difference = _amplitude(output) - _amplitude(target)
    loss: Tensor = (difference.square() * spectral_weight_map(output)).mean()
    return loss


def log_amplitude_l1(output: Tensor, target: Tensor, *, floor: float = LOG_FLOOR) -> Tensor:
    """Mean of |ln(|F(x)| + floor) - ln(|F(A(x))| + floor)| over the full plane."""
    logs = [torch.log(_amplitude(images) + floor) for images in (output, target)]
    loss: Tensor = ((logs[0] - logs[1]).abs() * spectral_weight_map(output)).mean()
    return loss


def focal_frequency_loss(output: Tensor, target: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Focal frequency loss (Jiang et al., ICCV 2021): hard frequencies weigh more.

    Mean of w |F(x) - F(A(x))|^2 with w = |F(x) - F(A(x))|^alpha divided by its largest value in
    the image's channel; no gradient flows through w.
    """
    difference = torch.fft.rfft2((output - target).float(), norm="ortho")
    power = difference.real.square() + difference.imag.square()
    weight = power.detach().pow(alpha / 2)
    weight = weight / weight.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    loss: Tensor = (weight * power * spectral_weight_map(output)).mean()
    return loss


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
