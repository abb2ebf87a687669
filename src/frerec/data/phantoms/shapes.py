"""Soft geometry on coordinate maps: everything is a signed distance and a smooth step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from frerec.data.phantoms.streams import Array, Draws

Floats = NDArray[np.floating[Any]]  # what the stubs make of float32 maps and Python numbers


def soft_step(distance: Floats, width: Floats | float) -> Array:
    """0 outside (negative distance), 1 inside, with a smooth edge of total width `2 * width`."""
    t = np.clip(distance / (2 * width) + 0.5, 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def paint(image: Array, value: Array | float, cover: Array) -> Array:
    """Lay `value` over `image` where `cover` is 1; mix in between."""
    return np.asarray(image + (value - image) * cover, dtype=np.float32)


def choose(condition: NDArray[np.bool_], then: Array | float, otherwise: Array | float) -> Array:
    """`numpy.where`, kept at single precision."""
    return np.asarray(np.where(condition, then, otherwise), dtype=np.float32)


def gauss(distance: Floats, width: Floats | float) -> Array:
    """`exp(-distance^2 / (2 width^2))`: a soft ridge or spot."""
    return np.asarray(np.exp(-0.5 * np.square(distance / width)), dtype=np.float32)


def segment_distance(
    x: Array, y: Array, start: tuple[Array, Array], end: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Distance of the points of the maps `[B, H, W]` to a segment with ends `[B, 1, 1]`.

    Also where along the segment the nearest point lies, 0 at its start and 1 at its end.
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    px, py = x - start[0], y - start[1]
    along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy + 1e-9), 0.0, 1.0)
    away = np.hypot(px - along * dx, py - along * dy)
    return away.astype(np.float32), along.astype(np.float32)


def posed(
    patient: Draws, visit: Draws, x: Array, y: Array, *, turn: float, shift: float, zoom: float
) -> tuple[Array, Array]:
    """Coordinates in the patient's own frame, `[B, H, W]` each.

    A patient lies in a habitual pose (deviations `turn` in degrees, `shift`, and relative
    `zoom`); a visit departs from it by a quarter as much.
    """

    def pose(deviation: float) -> Array:
        return patient.normal(0, deviation) + visit.normal(0, deviation / 4)

    angle, scale = np.deg2rad(pose(turn)), np.exp(pose(zoom))
    right, down = pose(shift), pose(shift)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    u, v = x - right, y - down
    return (u * cos + v * sin).astype(np.float32), (v * cos - u * sin).astype(np.float32)
