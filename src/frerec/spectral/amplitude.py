"""Amplitude and phase of a spectrum, apart: F = A e^{iP}.

Only sums, products, quotients and square roots, which are rounded exactly: an image gives the same
bits alone and in any batch.
"""

import torch
from torch import Tensor

TINY = 1e-18  # amplitudes up to this have no phase: their squares leave float32's range


def amplitude(spectrum: Tensor) -> Tensor:
    """A = |F| of a complex tensor of any shape; real, >= 0."""
    return (spectrum.real.square() + spectrum.imag.square()).sqrt()


def with_amplitude(spectrum: Tensor, new: Tensor) -> Tensor:
    """A_new e^{iP}: another amplitude under the phase of ``spectrum``.

    Args:
        spectrum: Complex, any shape. A coefficient that is zero has the phase 0, as in NumPy.
        new: Real and >= 0, of a shape that broadcasts to the spectrum's.

    Returns:
        Complex, the spectrum's shape; finite for every finite input.
    """
    old = amplitude(spectrum)
    there = old > TINY
    divisor = torch.where(there, old, 1.0)
    cosine = torch.where(there, spectrum.real / divisor, 1.0)
    sine = torch.where(there, spectrum.imag / divisor, 0.0)
    return torch.complex(new * cosine, new * sine)
