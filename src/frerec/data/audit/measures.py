"""Three numbers of an image that say how its spectrum came about."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from frerec.spectral.bands import hermitian_weight, high_frequency_mask

HIGH_BAND = 0.5
"""Radius from which a frequency is high, as a fraction of the Nyquist radius; as for SHR."""

SPECK_STEP = 128
"""Grey levels of 255 by more than which a speck differs from the median of its 3 x 3 pixels."""

_BLOCK = 8


def high_share(images: Tensor) -> np.ndarray:
    """Power at high frequencies over all power but that of the mean, float64 [B].

    Args:
        images: [B, C, H, W] in [0, 1]; the channels' powers are added.

    Returns:
        0 to 1; NaN where an image is constant.
    """
    H, W = images.shape[-2:]
    power = torch.fft.rfft2(images.double(), norm="ortho").abs().square().sum(dim=1)
    power = power * hermitian_weight(H, W)
    power[:, 0, 0] = 0
    high = (power * high_frequency_mask(H, W, HIGH_BAND)).sum(dim=(-2, -1))
    total = power.sum(dim=(-2, -1))
    constant = total <= 1e-9 * H * W
    share: np.ndarray = torch.where(constant, torch.nan, high / total).numpy()
    return share


def specks(images: Tensor) -> np.ndarray:
    """Pixels that differ from the median of their 3 x 3 pixels by more than 128 levels, int64 [B].

    Edges are repeated, colour is averaged. The median, the fifth of nine, is more than t below a
    pixel exactly where five or more of the nine are: so pixels are counted, and none is sorted.

    Args:
        images: [B, C, H, W] in [0, 1].
    """
    levels = images.mean(dim=1) * 255
    H, W = levels.shape[-2:]
    padded = F.pad(levels[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    step = SPECK_STEP + 0.01  # a step of exactly 128 levels is none, whatever the rounding
    below, above = (torch.zeros(levels.shape, dtype=torch.uint8) for _ in range(2))
    for top in range(3):
        for left in range(3):
            shifted = padded[:, top : top + H, left : left + W]
            below += shifted < levels - step
            above += shifted > levels + step
    found: np.ndarray = ((below >= 5) | (above >= 5)).sum(dim=(-2, -1)).numpy()
    return found


def blockiness(images: Tensor) -> np.ndarray:
    """Mean step across the borders of 8 x 8 blocks over the mean step elsewhere, float64 [B].

    About 1 where there are no blocks; means something only where the pixels lie as the JPEG had
    them. NaN where there is no step elsewhere, or the image is smaller than two blocks.

    Args:
        images: [B, C, H, W] in [0, 1]; colour is averaged.
    """
    grey = images.double().mean(dim=1)
    H, W = grey.shape[-2:]
    if min(H, W) < 2 * _BLOCK:
        return np.full(len(images), np.nan)
    at_border, elsewhere = [], []
    for dim, side in ((-2, H), (-1, W)):
        steps = grey.diff(dim=dim).abs().mean(dim=-1 if dim == -2 else -2)
        border = torch.arange(side - 1) % _BLOCK == _BLOCK - 1
        at_border.append(steps[:, border].mean(dim=-1))
        elsewhere.append(steps[:, ~border].mean(dim=-1))
    ratio = (at_border[0] + at_border[1]) / (elsewhere[0] + elsewhere[1])
    found: np.ndarray = torch.where(torch.isfinite(ratio), ratio, torch.nan).numpy()
    return found
