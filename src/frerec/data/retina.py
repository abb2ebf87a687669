"""Cutting a colour fundus photograph to the square around the retina's disc.

Cameras write the retina as a bright disc on black, usually wider than high, often cut off at the
top and bottom. Margins are an accident of the camera: they take most of a small image, and their
edge is the strongest line in its spectrum. Photographs without dark corners, or with nothing that
could be the disc, are taken whole: sets of many cameras have a few that fill their frame. All
numbers here are [ours].
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from frerec.data.readers.policy import to_unit

_SEARCH_SIDE = 512
"""The search looks at every k-th pixel, so that the shorter side has 512 to 1023 of them."""

_CORNER = 1 / 32
"""Side of the four corner patches that show the background, of the shorter side."""

_BRIGHT_PERCENTILE = 95
_RELATIVE_LEVEL = 0.1
"""The disc is what exceeds the background by this part of the way to the bright level, so that its
dark rim still counts."""

_NOISE_LEVEL = 2.5
"""... but by at least this many times what the background's 90th percentile lies above its median
(three standard deviations of Gaussian noise), and at most half the way."""

_CONTACT = 1 / 4
"""A disc that the image cuts off meets the edge along this part of its diameter at least; where it
merely touches the edge, less."""

_LEAST_CONTRAST = 0.02
_LEAST_RATIO = 0.25
_LEAST_AREA = 0.05


class Box(NamedTuple):
    """A square in an image, in pixels; it may reach over the image's edges."""

    top: int
    left: int
    side: int


@dataclass(frozen=True)
class _Extent:
    """What the disc covers along one axis, and at which ends the image cuts it off."""

    start: int
    stop: int
    cut_low: bool
    cut_high: bool

    def square(self, size: int, side: int) -> int:
        """Where a square of this side begins on an axis of this size; may be negative."""
        if self.cut_low and not self.cut_high:
            return self.stop - side
        if self.cut_high and not self.cut_low:
            return self.start
        start = (self.start + self.stop - side) // 2
        return min(max(start, 0), size - side) if side <= size else start


def crop_to_retina(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """Cut a photograph to the square around the retina's disc; no pixel's value changes.

    Args:
        pixels: [H, W] or [H, W, 3], float32 in [0, 1], or uint8 or uint16 of full scale.

    Returns:
        [S, S] or [S, S, 3] of the same type, a copy, black (0) outside the image, and True; or,
        where no disc stands out, the image as it is, and False.

    Raises:
        ValueError: as `find_retina`.
    """
    box = find_retina(pixels)
    return (pixels, False) if box is None else (_cut(pixels, box), True)


def find_retina(pixels: np.ndarray) -> Box | None:
    """The square around the retina's disc, None where no disc stands out.

    A pixel is as bright as its brightest channel. The background is the median of the four
    corners' medians, the bright level the image's 95th percentile; the disc is the largest
    connected region that exceeds the background by a tenth of the way between them, after each
    pixel has followed the majority of its 3 x 3 neighbours (noise in the background is isolated
    dots), plus the bright pixels that touch it. The square's side is the longer side of its
    box.

    No disc stands out where corners and bright level are alike (a photograph that fills its frame),
    or where nothing bright covers a twentieth of the image.

    Where the region meets one edge of the image along a quarter of that side or more, and the
    opposite edge not, the image cuts the disc off there, and the square begins at the disc's other
    end. Else it is centred on the box, and kept inside the image where it fits.

    The box is found on every k-th pixel, k = shorter side // 512 or 1, and is right to within k
    pixels on each side.

    Args:
        pixels: as `crop_to_retina`.

    Raises:
        ValueError: another shape; all black.
    """
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise ValueError(f"shape {pixels.shape}, expected [H, W] or [H, W, 3]")
    height, width = pixels.shape[:2]
    step = max(1, min(height, width) // _SEARCH_SIDE)
    view = pixels[::step, ::step]
    level = to_unit(view.max(axis=2) if view.ndim == 3 else view)
    if level.max() < _LEAST_CONTRAST:
        raise ValueError(f"all black: no pixel reaches {_LEAST_CONTRAST:g}; there is no image")
    region = _largest_region(level)
    if region is None:
        return None
    rows, columns = (_extent(region, axis, step, pixels.shape[axis]) for axis in (0, 1))
    side = max(rows.stop - rows.start, columns.stop - columns.start)
    return Box(rows.square(height, side), columns.square(width, side), side)


def _extent(region: np.ndarray, axis: int, step: int, size: int) -> _Extent:
    """The extent along one axis of a region [h, w] that was found on every step-th pixel."""
    covered = [np.flatnonzero(region.any(axis=1 - a)) for a in (0, 1)]
    longer = max(int(c[-1] - c[0]) + 1 for c in covered)
    ends = np.take(region, [0, -1], axis=axis).sum(axis=1 - axis) >= _CONTACT * longer
    first, last = (int(covered[axis][end]) for end in (0, -1))
    return _Extent(
        start=max(0, (first - 1) * step + 1),
        stop=min(size, (last + 1) * step),
        cut_low=bool(ends[0]),
        cut_high=bool(ends[1]),
    )


def _largest_region(level: np.ndarray) -> np.ndarray | None:
    """The largest bright region of [h, w], bool [h, w]; None where there is none."""
    bright = _disc_mask(level)
    if bright is None:
        return None
    votes = ndimage.uniform_filter(bright.astype(np.float32), size=3, mode="nearest")
    labels, count = ndimage.label(votes > 0.5)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    if not count or areas.max() < _LEAST_AREA * level.size:
        return None
    region = labels == int(areas.argmax()) + 1
    around = ndimage.binary_dilation(region, np.ones((3, 3), dtype=bool))
    whole: np.ndarray = region | (bright & around)  # the disc's very ends lose the vote
    return whole


def _disc_mask(level: np.ndarray) -> np.ndarray | None:
    """Which pixels of [h, w] stand out from dark corners, bool; None where nothing does."""
    corner = max(2, round(min(level.shape) * _CORNER))
    ends = (slice(None, corner), slice(-corner, None))
    corners = [np.percentile(level[y, x], (50, 90)) for y in ends for x in ends]
    dark = float(np.median([median for median, _ in corners]))
    noise = float(np.median([tail - median for median, tail in corners]))
    contrast = float(np.percentile(level, _BRIGHT_PERCENTILE)) - dark
    if contrast < max(_LEAST_CONTRAST, _LEAST_RATIO * (dark + contrast)):
        return None
    threshold = dark + min(max(_RELATIVE_LEVEL * contrast, _NOISE_LEVEL * noise), contrast / 2)
    mask: np.ndarray = level > threshold
    return mask


def _cut(pixels: np.ndarray, box: Box) -> np.ndarray:
    """The square of pixels, black outside the image."""
    top, left, side = box
    square = np.zeros((side, side, *pixels.shape[2:]), dtype=pixels.dtype)
    inside = pixels[max(top, 0) : top + side, max(left, 0) : left + side]
    y, x = max(-top, 0), max(-left, 0)
    square[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return square
