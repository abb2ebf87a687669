"""Differentiable augmentation of what a discriminator sees (Zhao et al., NeurIPS 2020).

Real and generated images are changed alike, so the discriminator cannot learn few images by heart,
and gradients flow through the changes to the generator, so it does not learn to make changed
images. Strengths are the paper's. Random numbers come from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from frerec.errors import ConfigError

TRANSLATION = 1 / 8  # largest shift, as a share of the side
CUTOUT = 1 / 2  # side of the square that is blanked, as a share of the image's


def brightness(images: Tensor) -> Tensor:
    """Add a number of U(-0.5, 0.5) to each image [B, C, H, W] in [-1, 1]."""
    return images + (_uniform(images) - 0.5)


def saturation(images: Tensor) -> Tensor:
    """Scale the colours' distance from grey by U(0, 2); does nothing to grey images."""
    if images.shape[1] == 1:
        return images
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * (2.0 * _uniform(images))


def contrast(images: Tensor) -> Tensor:
    """Scale each image's distance from its own mean by U(0.5, 1.5)."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + _uniform(images))


def translation(images: Tensor) -> Tensor:
    """Shift each image by up to an eighth of its sides, by whole pixels; 0 (mid-grey) moves in."""
    count, _, height, width = images.shape
    rows = _shifted(count, height, images.device)
    columns = _shifted(count, width, images.device)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))  # the borders are what moves in
    first = torch.arange(count, device=images.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[first, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)  # in channels-last memory, as the networks are


def cutout(images: Tensor) -> Tensor:
    """Blank a square of half the side to 0 (mid-grey) at a random place, cut at the borders."""
    count, _, height, width = images.shape
    rows = _covered(count, height, images.device)
    columns = _covered(count, width, images.device)
    kept = ~(rows[:, :, None] & columns[:, None, :])
    return images * kept[:, None].to(images.dtype)


POLICIES: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}


def diff_augment(images: Tensor, policy: Sequence[str]) -> Tensor:
    """Change every image by draws of its own.

    Args:
        images: Floats [B, C, H, W] in [-1, 1].
        policy: Names of :data:`POLICIES`, applied in this order; none leaves the images alone.

    Returns:
        The same shape; values may leave [-1, 1], as in the paper.
    """
    for name in policy:
        for change in POLICIES[name]:
            images = change(images)
    return images


def check_policy(policy: Sequence[str]) -> None:
    """Refuse a policy that is not a list of known names.

    Raises:
        ConfigError: Names the unknown entry.
    """
    if isinstance(policy, str):
        raise ConfigError(f"generator augment={policy}: expected a list, as [{policy}]")
    for name in policy:
        if name not in POLICIES:
            raise ConfigError(
                f"generator augment: {name} is unknown; expected a list of {', '.join(POLICIES)}"
            )


def _uniform(images: Tensor) -> Tensor:
    """U(0, 1), one number an image, [B, 1, 1, 1]."""
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)


def _shifted(count: int, side: int, device: torch.device) -> Tensor:
    """For each image and target pixel its source in an axis padded by 1, int64 [count, side]."""
    largest = int(side * TRANSLATION + 0.5)
    shift = torch.randint(-largest, largest + 1, (count, 1), device=device)
    return (torch.arange(side, device=device) + shift + 1).clamp(0, side + 1)


def _covered(count: int, side: int, device: torch.device) -> Tensor:
    """Which pixels of an axis a segment of half its length covers, bool [count, side].

    Its middle is uniform over the pixels, so it may reach over the border.
    """
    length = int(side * CUTOUT + 0.5)
    first = torch.randint(0, side + (1 - length % 2), (count, 1), device=device) - length // 2
    pixels = torch.arange(side, device=device)
    return (pixels >= first) & (pixels < first + length)
