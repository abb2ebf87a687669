"""The nearest training image of each image, by SSIM and by features, and how much nearer it is.

Both distances are of images reduced to 32 pixels [ours]: a copy whose high band the generator
damaged is a copy. All pairs are compared, in blocks, as matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from frerec.calibration.rows import ImageRows, chunks
from frerec.calibration.similarity import strided_scores
from frerec.evaluation.features import extract

SIDE = 32  # [ours] pixels of the shorter side that are compared
NEXT = 9  # [ours] the next nearest images, of other patients, that set the scale
EXACT = 1e-5  # a distance that rounding alone can explain: such a copy is flagged at any threshold
QUERIES, MEMBERS = 64, 128  # images and training images that are compared at once


@dataclass(frozen=True)
class Views:
    """Images as they are compared: views of N images, small pixels and features of unit length.

    Attributes:
        pixels: one ``[N, C, h, w]`` a view; the first is the image itself.
        features: one float64 ``[N, D]`` a view.
        mirrored: which views are mirrored.
    """

    pixels: list[Tensor]
    features: list[Tensor]
    mirrored: Tensor


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of N images: row, distance, ratio, and whether mirrored."""

    row: Tensor
    distance: Tensor
    ratio: Tensor
    mirrored: Tensor

    def below(self, threshold: float) -> Tensor:
        """Which are suspicious: of a ratio below the threshold, or equal but for rounding."""
        return (self.ratio < threshold) | (self.distance <= EXACT)


def compared_views(
    images: ImageRows,
    extractor: nn.Module,
    *,
    mirrored: bool,
    shift: int,
    progress: bool,
    what: str,
) -> Views:
    """Reduce images and take their features.

    Args:
        images: ``[N, C, H, W]`` in [0, 1].
        extractor: Maps images ``[B, C, H, W]`` to features ``[B, D]``.
        mirrored: Add the mirrored images as views.
        shift: Add views that are shifted by up to so many of the 32 pixels, edges repeated.
        progress: Show a progress bar.
        what: What the bar and messages call the images.
    """
    small = torch.cat([_reduced(part.float()) for part in chunks(images)])
    flips = [small, small.flip(-1)] if mirrored else [small]
    steps = sorted(range(-shift, shift + 1), key=abs)
    moves = sorted(((dy, dx) for dy in steps for dx in steps), key=lambda m: m != (0, 0))
    pixels = [_shifted(flip, dy, dx) for flip in flips for dy, dx in moves]
    size = (int(images.shape[-2]), int(images.shape[-1]))
    features = []
    for number, view in enumerate(pixels, 1):
        name = f"{what} ({number} of {len(pixels)})" if len(pixels) > 1 else what
        found = extract(_Enlarged(view, size), extractor, progress=progress, what=name).double()
        features.append(F.normalize(found, dim=1))
    return Views(pixels, features, torch.arange(len(pixels)) >= len(moves))


class _Enlarged:
    """Reduced images at the size of the originals, without their high band: an `ImageRows`."""

    def __init__(self, images: Tensor, size: tuple[int, int]) -> None:
        self.images, self.shape = images, (*images.shape[:2], *size)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Any) -> Tensor:
        return F.interpolate(self.images[rows], self.shape[-2:], mode="bilinear").clamp(0, 1)


def _reduced(images: Tensor) -> Tensor:
    """Images whose shorter side has 32 pixels; smaller ones as they are."""
    height, width = images.shape[-2:]
    factor = SIDE / min(height, width)
    if factor >= 1:
        return images
    size = (round(height * factor), round(width * factor))
    return F.interpolate(images, size, mode="bilinear", antialias=True).clamp(0, 1)


def _shifted(images: Tensor, down: int, right: int) -> Tensor:
    if (down, right) == (0, 0):
        return images
    height, width = images.shape[-2:]
    most = max(abs(down), abs(right))
    padded = F.pad(images, (most,) * 4, mode="replicate")
    return padded[..., most - down : most - down + height, most - right : most - right + width]


def nearest_members(
    queries: Views,
    members: Views,
    groups: Tensor,
    own: Tensor | None,
    *,
    what: str,
    progress: bool,
) -> dict[str, Nearest]:
    """By ``ssim`` and ``features``, the nearest members of all queries, never of their own group.

    Args:
        queries: Of Q images.
        members: Of N images, compared in their first view.
        groups: int64 ``[N]``, of the members.
        own: int64 ``[Q]``, of the queries; None where they are of no group.
        what: Name of the progress bar.
        progress: Show it.
    """
    blocks: dict[str, list[Nearest]] = {"ssim": [], "features": []}
    starts = range(0, len(queries.pixels[0]), QUERIES)
    for start in tqdm(starts, desc=what, unit="batch", disable=not progress):
        rows = slice(start, start + QUERIES)
        same = None if own is None else own[rows, None] == groups[None]
        for key, distances in _distances(queries, members, rows):
            nearest, view = distances.min(0)
            if same is not None:
                nearest = nearest.masked_fill(same, torch.inf)
            blocks[key].append(_nearest(nearest, queries.mirrored[view], groups))
    return {
        key: Nearest(*(torch.cat([vars(b)[name] for b in parts]) for name in vars(parts[0])))
        for key, parts in blocks.items()
    }


def _distances(queries: Views, members: Views, rows: slice) -> Iterator[tuple[str, Tensor]]:
    """By ``ssim`` and by ``features``, float64 ``[views, q, N]``, not negative."""
    bank = members.pixels[0].split(MEMBERS)
    by_ssim = [
        torch.cat([strided_scores(v[rows], part, stride=1, data_range=1.0) for part in bank], 1)
        for v in queries.pixels
    ]
    yield "ssim", (1 - torch.stack(by_ssim).double()).clamp_min(0)
    exact = "donot_use_mm_for_euclid_dist"  # near zero the product's rounding would show
    by_features = [
        torch.cdist(f[rows], members.features[0], compute_mode=exact) for f in queries.features
    ]
    yield "features", torch.stack(by_features)


def _nearest(distances: Tensor, mirrored: Tensor, groups: Tensor) -> Nearest:
    """The nearest of each row of distances ``[q, N]``, and how much nearer it is than the next."""
    distance, row = distances.min(1)
    others = distances.masked_fill(groups[row, None] == groups[None], torch.inf)
    following = others.topk(min(NEXT, others.shape[1]), largest=False).values
    there = following.isfinite()
    scale = following.where(there, 0).sum(1) / there.sum(1)
    ratio = distance / scale.clamp_min(1e-12)
    return Nearest(row, distance, ratio, mirrored.gather(1, row[:, None])[:, 0])
