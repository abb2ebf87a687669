"""Scaling an image down, once, before anything looks at its frequencies."""

import torch.nn.functional as F
from torch import Tensor

FITS = ("pad", "crop", "stretch")
METHOD = "bicubic, anti-aliased"


def resize(image: Tensor, size: int, *, fit: str = "pad") -> Tensor:
    """Scale an image [C, H, W] to [C, size, size]: bicubic with anti-aliasing, clamped to [0, 1].

    `fit` [ours] says what becomes of an image that is not square: `pad` scales the longer side and
    adds black margins, `crop` scales the shorter side and cuts the longer one's ends, `stretch`
    scales both sides by themselves. An image that has the size already is returned untouched.
    """
    _, H, W = image.shape
    if size == H == W:
        return image
    if fit == "stretch":
        h = w = size
    else:
        scale = size / _governing_side(H, W, fit)
        h, w = max(1, round(H * scale)), max(1, round(W * scale))
    if (h, w) != (H, W):
        image = F.interpolate(
            image[None], size=(h, w), mode="bicubic", antialias=True, align_corners=False
        )[0].clamp(0, 1)
    if fit == "crop":
        top, left = (h - size) // 2, (w - size) // 2
        return image[:, top : top + size, left : left + size]
    top, left = (size - h) // 2, (size - w) // 2
    return F.pad(image, (left, size - w - left, top, size - h - top))


def scale_factor(height: int, width: int, size: int | None, fit: str) -> float:
    """The side after resizing over the side before; more than 1 enlarges, 1 touches no pixel.

    With `stretch`, the larger of the two sides' factors.
    """
    return 1.0 if size is None else size / _governing_side(height, width, fit)


def _governing_side(height: int, width: int, fit: str) -> int:
    return max(height, width) if fit == "pad" else min(height, width)
