"""Frequency grids and masks on the half plane of ``torch.fft.rfft2``.

Everything here lives on ``[H, W // 2 + 1]`` with the DC coefficient at index (0, 0): there is
nothing to shift, and a real image's Hermitian symmetry cannot be broken by a mask.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from frerec.errors import ConfigError

MaskShape = Literal["circle", "square"]
MASK_SHAPES: tuple[MaskShape, ...] = ("circle", "square")
NYQUIST = 0.5  # cycles per pixel


def frequency_radius(height: int, width: int, *, norm: MaskShape = "circle") -> Tensor:
    """Distance of every half-plane frequency from DC, as a fraction of the Nyquist radius.

    Args:
        height: Image height in pixels.
        width: Image width in pixels.
        norm: ``circle`` for the Euclidean norm, ``square`` for the maximum norm.

    Returns:
        float64 ``[H, W // 2 + 1]``; 0 at DC, 1 at the Nyquist frequency of an axis, about 1.41
        in the corner (``circle``).

    Raises:
        ConfigError: If a size is below 1 or the norm is unknown.
    """
    if height < 1 or width < 1:
        raise ConfigError(f"image size {height} x {width}: both sides have to be at least 1 pixel")
    rows = torch.fft.fftfreq(height, dtype=torch.float64)[:, None] / NYQUIST
    columns = torch.fft.rfftfreq(width, dtype=torch.float64)[None, :] / NYQUIST
    if norm == "circle":
        return torch.hypot(rows, columns)
    if norm == "square":
        return torch.maximum(rows.abs(), columns.abs())
    raise ConfigError(f"mask={norm}: expected one of {', '.join(MASK_SHAPES)}")


@lru_cache(maxsize=32)
def _mask(height: int, width: int, ratio: float, shape: MaskShape) -> Tensor:
    return frequency_radius(height, width, norm=shape) >= ratio


def high_frequency_mask(
    height: int, width: int, ratio: float = 0.5, *, shape: MaskShape = "circle"
) -> Tensor:
    """Binary mask that splits a half-plane spectrum into low and high (FreRec, section SHR).

    Args:
        height: Image height in pixels.
        width: Image width in pixels.
        ratio: Radius of the low band as a fraction of the Nyquist radius [ours], in (0, 1];
            the paper says r = 0.5 without naming its unit.
        shape: ``circle`` (Euclidean radius) or ``square`` (maximum norm).

    Returns:
        bool ``[H, W // 2 + 1]``; True where the frequency belongs to the high band
        (radius >= ratio). DC is always low.

    Raises:
        ConfigError: If ``ratio`` is outside (0, 1], or ``shape`` is unknown.
    """
    if not 0.0 < ratio <= 1.0:
        raise ConfigError(f"ratio={ratio}: expected a fraction of the Nyquist radius in (0, 1]")
    return _mask(height, width, float(ratio), shape).clone()


@lru_cache(maxsize=64)
def _rings(height: int, width: int, rings: int) -> Tensor:
    radius = frequency_radius(height, width)
    corner = frequency_radius(2, 2).max()  # sqrt(2): the corner of any even-sized plane
    return (radius / corner * rings).long().clamp_(max=rings - 1)


def ring_index(height: int, width: int, rings: int) -> Tensor:
    """Number of the equal-width ring, from DC to the corner, of every half-plane frequency.

    Returns:
        int64 ``[H, W // 2 + 1]`` with values in [0, rings).

    Raises:
        ConfigError: If ``rings`` is below 1.
    """
    if rings < 1:
        raise ConfigError(f"rings={rings}: expected at least 1")
    return _rings(height, width, rings).clone()


def hermitian_weight(height: int, width: int) -> Tensor:
    """How many coefficients of the full plane each half-plane coefficient stands for (1 or 2).

    Returns:
        float64 ``[H, W // 2 + 1]`` that sums to ``H * W``.
    """
    weight = torch.full((height, width // 2 + 1), 2.0, dtype=torch.float64)
    weight[:, 0] = 1.0
    if width % 2 == 0:
        weight[:, -1] = 1.0
    return weight


def mirror_index(mask: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Which masked bins of the half plane are each other's conjugates.

    F(-u) = conj F(u) for a real image. The half plane keeps both in its first column and, for an
    even width, in its last; whatever is drawn for a bin there has to be drawn for both at once.

    Args:
        mask: bool ``[H, W // 2 + 1]``, symmetric in the sign of the row frequency.
        width: Image width in pixels.

    Returns:
        Over the M masked bins: the number of the bin to copy from, int64 ``[M]`` (the bin itself,
        except for the second of a pair), and the sign of the imaginary part, float32 ``[M]``: 1,
        -1 for the second of a pair, 0 for a bin that is its own conjugate.
    """
    height, half = mask.shape
    number = torch.full(mask.shape, -1, dtype=torch.long)
    number[mask] = torch.arange(int(mask.sum()))
    source, sign = number.clone(), torch.ones(mask.shape)
    rows = torch.arange(height)
    mirrored = -rows % height
    columns = [0, half - 1] if width % 2 == 0 else [0]
    for column in columns:
        second, own = rows > mirrored, rows == mirrored
        source[second, column] = number[mirrored[second], column]
        sign[second, column] = -1.0
        sign[own, column] = 0.0
    return source[mask], sign[mask]
