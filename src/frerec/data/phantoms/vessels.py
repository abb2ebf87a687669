"""Retinal vessel trees: curves grown by curvature, drawn as points and blurred to their calibre."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.ndimage import gaussian_filter1d

from frerec.data.phantoms.streams import Array, Draws
from frerec.data.phantoms.texture import blur

_CALIBRES = (0.020, 0.0125, 0.008, 0.005)  # half widths of the layers of blur


class ToPixels(Protocol):
    """Where points of the patient's frame lie on the pixel grid."""

    size: int

    def __call__(self, px: Array, py: Array) -> tuple[Array, Array]:
        """Columns and rows `[B, P]` of points `[B, P]`."""
        ...


def scatter(column: Array, row: Array, weight: Array, size: int) -> Array:
    """Add points `[B, P]` to maps `[B, size, size]`, each shared between its four pixels."""
    batch = len(column)
    left, top = np.floor(column).astype(np.int64), np.floor(row).astype(np.int64)
    u, v = column - left, row - top
    image = np.arange(batch)[:, None] * size * size
    total = np.zeros(batch * size * size)
    for dj, share_x in ((0, 1 - u), (1, u)):
        for di, share_y in ((0, 1 - v), (1, v)):
            j, i = left + dj, top + di
            seen = (j >= 0) & (j < size) & (i >= 0) & (i < size)
            total += np.bincount(
                (image + i * size + j)[seen],
                weights=(weight * share_x * share_y)[seen],
                minlength=len(total),
            )
    return total.reshape(batch, size, size).astype(np.float32)


def vessel_layers(
    patient: Draws, disc_x: Array, disc_y: Array, macula_x: Array, to_pixels: ToPixels
) -> tuple[Array, Array]:
    """Optical depth of arteries and of veins, `[B, H, W]` each, about 1 in a wide trunk.

    Four trunks leave the disc in each of the two trees: two temporal arcades, which bend round
    the macula, and two nasal ones. Each carries branches, and each branch twigs.

    Args:
        patient: where the shapes come from.
        disc_x: centre of the optic disc, `[B, 1, 1]`; the macula lies at smaller x.
        disc_y: as `disc_x`.
        macula_x: centre of the macula, `[B, 1, 1]`.
        to_pixels: from points `[B, P]` of the patient's frame to columns and rows; has `size`.
    """
    arteries = _tree(patient, disc_x, disc_y, macula_x, to_pixels, offset=0.10, calibre=0.75)
    veins = _tree(patient, disc_x, disc_y, macula_x, to_pixels, offset=-0.10, calibre=1.0)
    return arteries, veins


def _tree(
    patient: Draws,
    disc_x: Array,
    disc_y: Array,
    macula_x: Array,
    to_pixels: ToPixels,
    *,
    offset: float,
    calibre: float,
) -> Array:
    reach = (disc_x - macula_x)[:, 0] / 0.62
    # Trunks: superior and inferior temporal, superior and inferior nasal. Angles turn from the
    # macula's side (pi) upwards; y points down.
    sign = np.array([1, -1, 1, -1], dtype=np.float32)
    temporal = np.array([1, 1, 0, 0], dtype=np.float32)
    start = np.deg2rad(118 - 36 * temporal) + offset + patient.normal(0, 0.13, 4)
    turn = np.deg2rad(50 - 138 * temporal) * patient.normal(1.0, 0.12, 4)
    length = ((0.80 + 0.65 * temporal) * reach * np.exp(patient.normal(0, 0.06, 4))).astype(
        np.float32
    )
    s = np.linspace(0, 1, 112, dtype=np.float32)
    course = start[..., None] + turn[..., None] * (1 - np.exp(-2.4 * s))
    origin_x = disc_x[:, 0] + patient.normal(0, 0.012, 4)
    origin_y = disc_y[:, 0] + patient.normal(0, 0.012, 4)
    width = calibre * 0.019 * (0.72 + 0.28 * temporal) * np.exp(patient.normal(0, 0.1, 4))
    trunks = _grow(patient, origin_x, origin_y, course, sign, length, width, taper=0.62)
    branches = _sprout(patient, trunks, each=6, points=56, share=(0.28, 0.62), first=0.14)
    twigs = _sprout(patient, branches, each=3, points=28, share=(0.35, 0.75), first=0.2)
    return _ink((trunks, branches, twigs), to_pixels)


class _Curves:
    """Curves `[B, n, P]`: points, heading (before the sign), half width; step `[B, n, 1]`."""

    def __init__(
        self, x: Array, y: Array, heading: Array, sign: Array, half: Array, step: Array
    ) -> None:
        self.x, self.y, self.heading, self.sign, self.half, self.step = (
            x,
            y,
            heading,
            sign,
            half,
            step,
        )


def _grow(
    patient: Draws,
    x: Array,
    y: Array,
    course: Array,
    sign: Array,
    length: Array,
    width: Array,
    *,
    taper: float,
) -> _Curves:
    """Follow a course of headings `[B, n, P]` with some meander from `x`, `y` `[B, n]`."""
    points = course.shape[-1]
    meander = patient.normal(0, 1, *course.shape[1:])
    heading = course + 0.9 * gaussian_filter1d(meander, 3.0, axis=-1, mode="nearest")
    step = (length / points)[..., None]
    px = x[..., None] - np.cumsum(np.cos(heading), axis=-1) * step
    py = y[..., None] - np.cumsum(np.sin(heading), axis=-1) * step * sign[..., None]
    along = np.linspace(0, 1, points, dtype=np.float32)
    half = width[..., None] * (1 - taper * along)
    return _Curves(px, py, heading, sign, half, np.broadcast_to(step, px.shape))


def _sprout(
    patient: Draws,
    parent: _Curves,
    *,
    each: int,
    points: int,
    share: tuple[float, float],
    first: float,
) -> _Curves:
    """Let every curve carry `each` branches, on alternating sides, at Murray-like angles."""
    batch, n, parent_points = parent.x.shape
    order = np.arange(each, dtype=np.float32)
    slots = (order + 0.5) / each * (0.95 - first) + first
    place = slots + patient.normal(0, 0.25 / each, n, each)
    at = np.clip(np.round(place * parent_points), 0, parent_points - 1).astype(np.int64)

    def here(values: Array) -> Array:
        return np.take_along_axis(values, at, axis=-1).reshape(batch, n * each)

    side = patient.sign(n, 1) * (2 * (order % 2) - 1)
    side = side.reshape(batch, n * each).astype(np.float32)
    angle = np.deg2rad(patient.uniform(24, 58, n * each)) * side
    back = np.deg2rad(patient.uniform(-15, 35, n * each)) * side  # most swing back along the parent
    s = np.linspace(0, 1, points, dtype=np.float32)
    course = (here(parent.heading) + angle)[..., None] - back[..., None] * s
    whole = parent.step[..., :1] * parent_points
    length = np.repeat(whole[..., 0], each, axis=-1) * patient.uniform(*share, n * each)
    length *= 1 - 0.35 * place.reshape(batch, n * each)
    sign = np.broadcast_to(parent.sign, (batch, n))
    width = here(parent.half) * patient.uniform(0.45, 0.75, n * each)
    return _grow(
        patient,
        here(parent.x),
        here(parent.y),
        course,
        np.repeat(sign, each, axis=-1),
        length,
        width,
        taper=0.55,
    )


def _ink(levels: tuple[_Curves, ...], to_pixels: ToPixels) -> Array:
    """Draw curves as lines of a Gaussian profile; a vessel's depth is as its calibre.

    A line of points blurred by sigma peaks at (weight a unit length) / (sigma sqrt(2 pi)). Points
    are shared between the two layers of blur whose calibres enclose their own.
    """
    batch = len(levels[0].x)
    x, y, half, step = (
        np.concatenate([getattr(c, name).reshape(batch, -1) for c in levels], axis=1)
        for name in ("x", "y", "half", "step")
    )
    size: int = to_pixels.size
    column, row = to_pixels(x, y)
    logs = np.log(np.asarray(_CALIBRES, dtype=np.float32))
    position = np.clip(
        (logs[0] - np.log(np.maximum(half, 1e-4))) / (logs[0] - logs[-1]) * (len(logs) - 1),
        0,
        len(logs) - 1,
    )
    depth = np.minimum(half / _CALIBRES[0], 1.2) ** 0.7
    total = np.zeros((batch, size, size), dtype=np.float32)
    for n, calibre in enumerate(_CALIBRES):
        sigma = calibre / 1.4 * size / 2
        share = np.clip(1 - np.abs(position - n), 0, 1)
        weight = share * depth * step * (size / 2) * sigma * np.sqrt(2 * np.pi)
        total += blur(scatter(column, row, weight, size), sigma)
    return total
