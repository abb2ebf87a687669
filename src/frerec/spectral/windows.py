"""The square window of Fourier Domain Adaptation and its mirror image, on the half plane."""

from typing import Literal

import torch
from torch import Tensor

from frerec.errors import ConfigError

WindowBand = Literal["low", "high"]
WINDOW_BANDS: tuple[WindowBand, ...] = ("low", "high")


def half_width(height: int, width: int, beta: float) -> int:
    """Half the window's side less a half, b = floor(min(H, W) * beta), in frequency steps.

    Raises:
        ConfigError: If ``beta`` is outside (0, 0.5].
    """
    if not 0.0 < beta <= 0.5:
        raise ConfigError(f"beta={beta}: expected a fraction of the shorter side in (0, 0.5]")
    return int(min(height, width) * beta)


def swap_window(height: int, width: int, beta: float, *, band: WindowBand = "low") -> Tensor:
    """Which coefficients Fourier Domain Adaptation swaps (Yang and Soatto, CVPR 2020, M_beta).

    ``low`` are the frequencies (u, v), counted in steps from DC, with |u| <= b and |v| <= b.
    ``high`` is its mirror image, |u| -> H // 2 - |u| and |v| -> W // 2 - |v|, taken as a frame
    [ours]: |u| >= H // 2 - b or |v| >= W // 2 - b. The corners alone (*and* for *or*) would leave
    out the ends of the axes, where the artefacts of upsampling lie.

    Args:
        height: Image height in pixels.
        width: Image width in pixels.
        beta: The method's L, a fraction of the shorter side in (0, 0.5].
        band: ``low`` or ``high``.

    Returns:
        bool ``[H, W // 2 + 1]``.

    Raises:
        ConfigError: If an argument is outside its range.
    """
    if band not in WINDOW_BANDS:
        raise ConfigError(f"band={band}: expected one of {', '.join(WINDOW_BANDS)}")
    b = half_width(height, width, beta)
    numbers = torch.arange(height)
    rows = torch.minimum(numbers, height - numbers)[:, None]  # |u|
    columns = torch.arange(width // 2 + 1)[None, :]  # |v|
    if band == "low":
        return (rows <= b) & (columns <= b)
    return (rows >= height // 2 - b) | (columns >= width // 2 - b)
