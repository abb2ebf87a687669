"""Reconstruction losses of RHM."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from frerec.spectral.bands import hermitian_weight

LossName = Literal["paper", "amplitude"]


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


def amplitude_mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean of (|F(x)| - |F(A(x))|)^2 over the full plane: blind to the phase."""
    spectra = [torch.fft.rfft2(image.float(), norm="ortho") for image in (output, target)]
    # sqrt(. + tiny) has a finite gradient at 0, which abs() does not.
    first, second = ((s.real.square() + s.imag.square() + 1e-12).sqrt() for s in spectra)
    weight = spectral_weight_map(output)
    loss: Tensor = ((first - second).square() * weight).mean()
    return loss


SPECTRAL_TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "paper": spectral_mse,
    "amplitude": amplitude_mse,
}


def reconstruction_loss(
    output: Tensor, target: Tensor, *, loss: LossName = "paper", spectral_weight: float = 1.0
) -> Tensor:
    """``||x - A(x_hat)||^2 + w ||F(x) - F(A(x_hat))||^2``, both as means (FreRec, RHM).

    Args:
        output: A(x_hat), ``[B, C, H, W]``.
        target: x, the same shape.
        loss: Spectral term: ``paper`` (complex spectra) or ``amplitude`` [ours].
        spectral_weight: w, 1 in the paper's formula.

    Returns:
        Scalar.
    """
    pixel = F.mse_loss(output.float(), target.float())
    return pixel + spectral_weight * SPECTRAL_TERMS[loss](output, target)
