"""Radial power spectra of images (method: azimuthal average of the ortho-normalised FFT)."""

from functools import lru_cache

import torch
from torch import Tensor

from frerec.errors import DataError
from frerec.spectral.bands import hermitian_weight


def _ring_count(height: int, width: int) -> int:
    side = min(height, width)
    corner = torch.hypot(
        torch.tensor(height // 2 * side / height), torch.tensor(width // 2 * side / width)
    )
    return int(corner) + 1


@lru_cache(maxsize=32)
def _ring_shares(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Ring of each half-plane frequency, and its share in that ring's mean: two ``[M]``."""
    side = min(height, width)
    # Index units of the shorter side: for a square image this is hypot(u - H//2, v - W//2).
    rows = torch.fft.fftfreq(height, d=1.0 / height, dtype=torch.float64) * (side / height)
    columns = torch.fft.rfftfreq(width, d=1.0 / width, dtype=torch.float64) * (side / width)
    ring = torch.hypot(rows[:, None], columns[None, :]).long().flatten()
    weight = hermitian_weight(height, width).flatten()
    total = torch.zeros(_ring_count(height, width), dtype=torch.float64)
    return ring, weight / total.index_add_(0, ring, weight)[ring]


def _ring_means(values: Tensor, height: int, width: int) -> Tensor:
    """Mean over every ring of half planes ``[B, C, H * (W // 2 + 1)]``: ``[B, C, R]``."""
    ring, share = (tensor.to(values.device) for tensor in _ring_shares(height, width))
    means = values.new_zeros(_ring_count(height, width), values.shape[0] * values.shape[1])
    means.index_add_(0, ring, (values * share).flatten(0, 1).T)
    rings: Tensor = means.T.unflatten(0, values.shape[:2])
    return rings


def _check(images: Tensor) -> None:
    if images.ndim != 4:
        raise DataError(f"images of shape {tuple(images.shape)}: expected [B, C, H, W]")


def ring_radius(height: int, width: int) -> Tensor:
    """Inner radius of each ring of :func:`radial_power` as a fraction of the Nyquist radius.

    Returns:
        float32 ``[R]``: ``k / (min(H, W) / 2)`` for ring k.
    """
    return torch.arange(_ring_count(height, width)) / (min(height, width) / 2)


def _power(images: Tensor) -> Tensor:
    _check(images)
    spectrum = torch.fft.rfft2(images.double(), norm="ortho")
    power: Tensor = spectrum.abs().square().flatten(-2)
    return power


def radial_power(images: Tensor) -> Tensor:
    """Mean power |F|^2 over each ring of the spectrum.

    Args:
        images: ``[B, C, H, W]``, any range.

    Returns:
        float64 ``[B, C, R]``; ring k holds the frequencies with
        ``floor(hypot(u - H//2, v - W//2)) == k`` (index units of the shorter side).
    """
    return _ring_means(_power(images), *images.shape[-2:])


def radial_log_power(images: Tensor, *, eps: float = 1e-12) -> Tensor:
    """Radial log power S(k): mean over ring k of ln(|F|^2 + eps), with the ortho-normalised FFT.

    Args:
        images: ``[B, C, H, W]``, any range.
        eps: Added to the power before the logarithm.

    Returns:
        float64 ``[B, C, R]``; natural logarithm, DC is ring 0.

    Raises:
        DataError: If ``images`` does not have four dimensions.
    """
    return _ring_means(torch.log(_power(images) + eps), *images.shape[-2:])
