"""Axial brain MRI slices with dark fluid (T1 to FLAIR weighting), with or without a lesion."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from frerec.data.phantoms.shapes import (
    Floats,
    choose,
    gauss,
    paint,
    posed,
    segment_distance,
    soft_step,
)
from frerec.data.phantoms.streams import Array, Draws
from frerec.data.phantoms.texture import blur, pixel_grid, tissue_texture, wave_field

CLASSES = ("no_lesion", "lesion")
CHANNELS = 1


@dataclass(frozen=True)
class _Head:
    """One batch of heads: depths below each surface (positive inside), `[B, H, W]`."""

    x: Array
    y: Array
    skin: Array  # depth below the skin
    brain: Array  # depth below the inner table of the skull
    scalp: Array  # thickness [B, 1, 1]
    half_width: Array  # [B, 1, 1]
    half_length: Array


def render(label: Array, patient: Draws, visit: Draws, size: int) -> tuple[Array, dict[str, Array]]:
    """Draw one chunk.

    Args:
        label: 0 or 1 for every image, `[B]`; 1 draws a lesion.
        patient: anatomy, equal for all images of a patient.
        visit: pose and noise of each image.
        size: image side in pixels.

    Returns:
        Images `[B, 1, size, size]` in [0, 1] and the drawn quantities `[B]`: `lesion_radius`
        (half image sides, 0 without a lesion) and `lesion_contrast` (display range, signed).
    """
    pixel = 2.0 / size
    x, y = posed(patient, visit, *pixel_grid(size), turn=5.0, shift=0.025, zoom=0.03)
    x, y, lesion, contrast, drawn = _lesion(label, patient, x, y)
    head = _head(patient, x, y)
    # 0: T1, white matter brightest; 1: FLAIR, grey brightest.
    weighting = patient.uniform(0.0, 0.25) + 0.75 * patient.chance(0.4)
    white = patient.normal(0.56, 0.02) - 0.13 * weighting
    grey = patient.normal(0.37, 0.02) + 0.16 * weighting
    fluid = patient.normal(0.13, 0.02)

    image = _skull(patient, head, fluid, pixel)
    image = paint(image, *_matter(patient, head, white, grey, fluid, pixel))
    ventricles = _ventricles(patient, head, pixel)
    image = paint(image, fluid, ventricles)
    inside = soft_step(head.brain, pixel)
    image = image + contrast * lesion * inside
    image = image + _small_spots(patient, head) * inside * (1 - ventricles)
    image = image * (1 + 0.055 * tissue_texture(patient, x, y, exponent=2.5))
    return _scan(image, patient, visit, x, y)[:, None], drawn


def _lesion(
    label: Array, patient: Draws, x: Array, y: Array
) -> tuple[Array, Array, Array, Array, dict[str, Array]]:
    """Coordinates pushed aside by the mass, its profile and its contrast.

    Everything is drawn for every patient and switched off by the label, so that the other
    anatomy does not depend on it.
    """
    present = label.reshape(-1, 1, 1)
    angle, reach = patient.uniform(0, 2 * np.pi), np.sqrt(patient.uniform(0.04, 1.0))
    cx, cy = 0.43 * reach * np.cos(angle), 0.52 * reach * np.sin(angle)
    radius = patient.log_uniform(0.07, 0.22)
    contrast = patient.log_uniform(0.19, 0.52) * choose(patient.chance(0.85) > 0, 1.0, -0.8)
    dx, dy = x - cx, y - cy
    stretch, turn = np.exp(patient.normal(0, 0.2)), patient.uniform(0, np.pi)
    along = (dx * np.cos(turn) + dy * np.sin(turn)) * stretch
    across = (dy * np.cos(turn) - dx * np.sin(turn)) / stretch
    ragged = 1 + 0.16 * wave_field(patient, x, y, wavelength=0.22)
    distance = np.hypot(along, across) * ragged / radius
    edge = patient.uniform(0.2, 0.6)
    profile = soft_step(1 - distance, edge)
    core = patient.uniform(0, 1.3) * patient.chance(0.4)  # necrosis leaves a rim
    profile = profile * (1 - core * soft_step(0.6 - distance, 0.35))
    halo = patient.uniform(-0.25, 0.20) * gauss(distance, 1.1)  # oedema
    push = present * patient.uniform(0.0, 0.45) * gauss(np.hypot(dx, dy), 1.6 * radius)
    drawn = {
        "lesion_radius": (present * radius).reshape(-1),
        "lesion_contrast": (present * contrast).reshape(-1),
    }
    pushed_x, pushed_y = (np.asarray(c, dtype=np.float32) for c in (x - push * dx, y - push * dy))
    return pushed_x, pushed_y, profile + halo, present * contrast, drawn


def _head(patient: Draws, x: Array, y: Array) -> _Head:
    half_width, half_length = patient.normal(0.73, 0.03), patient.normal(0.89, 0.025)
    taper = patient.uniform(0.03, 0.13)  # narrower towards the forehead
    u, v = x / (half_width * (1 + taper * y)), y / half_length
    squareness = patient.uniform(0.0, 0.05)
    radius = np.hypot(u, v)
    radius = radius * (1 - squareness * 4 * np.square(u * v) / (radius**4 + 1e-3))
    radius = radius + 0.008 * wave_field(patient, x, y, wavelength=0.9)
    skin = (1 - radius) * (half_width + half_length) / 2
    scalp = patient.uniform(0.025, 0.060)
    skull = patient.uniform(0.040, 0.065) * (1 + 0.18 * wave_field(patient, x, y, wavelength=0.7))
    return _Head(x, y, skin, skin - scalp - skull, scalp, half_width, half_length)


def _skull(patient: Draws, head: _Head, fluid: Array, pixel: float) -> Array:
    """Bright scalp fat, dark bone with a little marrow, then the fluid under it."""
    fat = patient.uniform(0.50, 0.90) * (
        1 + 0.10 * wave_field(patient, head.x, head.y, wavelength=0.3)
    )
    image = paint(np.zeros_like(head.x), fat, soft_step(head.skin, 0.8 * pixel))
    under = head.skin - head.scalp
    image = paint(image, 0.06, soft_step(under, 0.8 * pixel))
    marrow = patient.uniform(0.0, 0.4)
    middle = under + head.brain  # zero half-way through the bone
    image = image + marrow * gauss(middle, 0.022) * soft_step(under, pixel)
    return paint(image, fluid, soft_step(head.brain, 0.8 * pixel))


def _matter(
    patient: Draws, head: _Head, white: Floats, grey: Floats, fluid: Array, pixel: float
) -> tuple[Array, Array]:
    """Folded cortex over white matter, with the deep grey nuclei; the value and its cover.

    A fold is a line on which a phase that runs round the brain is a multiple of pi; the distance
    to the pial surface is the smaller of the depth and of the distance to the nearest fold that
    is deep enough. Fluid, grey ribbon and white matter follow from that one distance.
    """
    x, y = head.x, head.y
    folds = np.floor(patient.uniform(7, 11))
    phase = folds * np.arctan2(y, x) + 1.5 * wave_field(patient, x, y, wavelength=0.5)
    phase = phase + 0.35 * wave_field(patient, x, y, wavelength=0.22)
    to_fold = np.abs(phase / np.pi - np.round(phase / np.pi)) * np.pi / _slope(phase, pixel)
    depth = patient.uniform(0.11, 0.17) * (1 + 0.45 * wave_field(patient, x, y, wavelength=0.3))
    surface = np.minimum(head.brain, np.maximum(to_fold, head.brain - depth))

    midline = np.abs(x + 0.014 * wave_field(patient, x, y, wavelength=0.4))
    front = y + head.half_length * patient.uniform(0.42, 0.52)
    back = head.half_length * patient.uniform(0.45, 0.55) - y
    surface = np.minimum(surface, np.maximum(midline, np.minimum(front, back)))
    wy = y + 0.030 * wave_field(patient, x, y, wavelength=0.35)
    for side in (-1.0, 1.0):  # Sylvian fissures
        outer = (side * 0.72 * head.half_width, patient.normal(-0.06, 0.03))
        inner = (side * patient.uniform(0.42, 0.52) * head.half_width, patient.normal(-0.14, 0.03))
        surface = np.minimum(surface, segment_distance(x, wy, outer, inner)[0])

    atrophy = patient.uniform(0.004, 0.018)  # half the width of the fluid in a fold
    ribbon = patient.uniform(0.040, 0.056)
    value = paint(
        np.broadcast_to(grey, x.shape), white, soft_step(surface - atrophy - ribbon, 0.022)
    )
    nuclei = np.zeros_like(x)
    dx, dy = np.abs(x) - patient.normal(0.22, 0.015), y - patient.normal(0.0, 0.02)
    nuclei = np.maximum(nuclei, soft_step(0.055 - np.hypot(dx - 0.35 * dy, 0.42 * dy), 0.02))
    dx, dy = np.abs(x) - patient.normal(0.085, 0.01), y - patient.normal(0.10, 0.02)
    nuclei = np.maximum(nuclei, soft_step(0.065 - np.hypot(dx, 0.75 * dy), 0.02))
    value = paint(value, 0.75 * grey + 0.25 * white, 0.85 * nuclei)
    return paint(np.broadcast_to(fluid, x.shape), value, soft_step(surface - atrophy, 0.016)), (
        soft_step(head.brain, 0.8 * pixel)
    )


def _slope(phase: Array, pixel: float) -> Array:
    """Length of the gradient of a phase `[B, H, W]` that may jump by 2 pi, per unit length."""
    total = np.full_like(phase, 1.0)  # keeps the distance finite where the phase is flat
    for axis in (1, 2):
        step = np.diff(phase, axis=axis, append=np.take(phase, [-1], axis=axis))
        turns = np.round(step / (2 * np.pi))
        total += np.square((step - 2 * np.pi * turns) / pixel)
    return np.asarray(np.sqrt(total), dtype=np.float32)


def _ventricles(patient: Draws, head: _Head, pixel: float) -> Array:
    """Lateral ventricles (frontal horn, body, atrium on each side) and the third; cover."""
    age = patient.log_uniform(0.55, 1.7)
    spread = patient.normal(1.0, 0.12)
    tilt = patient.normal(0.0, 0.012)
    x = head.x + tilt + 0.008 * wave_field(patient, head.x, head.y, wavelength=0.3)
    lift = patient.normal(0.0, 0.03)
    y = head.y + lift
    across = np.abs(x)
    wide = (0.7 + 0.3 * age) * spread
    bend = [  # x, y, half thickness: horn tip, horn, body, atrium, tip
        (0.135, -0.28, 0.010),
        (0.085, -0.21, 0.045),
        (0.052, -0.08, 0.036),
        (0.070, 0.08, 0.034),
        (0.135, 0.21, 0.046),
        (0.185, 0.31, 0.012),
    ]
    depth = np.full_like(head.x, -1.0)
    asymmetry = 1 + patient.normal(0, 0.12) * np.sign(x)
    for (x0, y0, half0), (x1, y1, half1) in pairwise(bend):
        start, end = (x0 * wide, y0 + 0 * wide), (x1 * wide, y1 + 0 * wide)
        away, along = segment_distance(across, y, start, end)
        depth = np.maximum(depth, (half0 + (half1 - half0) * along) * age * asymmetry - away)
    flat = np.zeros_like(age)
    third, _ = segment_distance(x, y, (flat, flat + 0.02), (flat, flat + 0.18))
    return np.maximum(soft_step(depth, 0.018), soft_step(0.010 * age - third, 0.7 * pixel + 0.005))


def _small_spots(patient: Draws, head: _Head) -> Array:
    """Vessels, perivascular spaces and white matter spots: harmless, in either class; intensity."""
    spots = np.zeros_like(head.x)
    for _ in range(4):
        angle, reach = patient.uniform(0, 2 * np.pi), np.sqrt(patient.uniform(0.02, 1.0))
        dx = head.x - 0.48 * reach * np.cos(angle)
        dy = head.y - 0.60 * reach * np.sin(angle)
        strength = patient.normal(0.02, 0.10) * patient.chance(0.6)
        spots += strength * gauss(np.hypot(dx, dy), patient.log_uniform(0.015, 0.040))
    return spots


def _scan(image: Array, patient: Draws, visit: Draws, x: Array, y: Array) -> Array:
    """Coil shading, point spread, Rician noise (Gudbjartsson and Patz, 1995), display window."""
    shading = np.exp(0.08 * wave_field(patient, x, y, wavelength=2.2))
    size = image.shape[-1]
    image = blur(np.maximum(image, 0) * shading, visit.uniform(0.40, 0.70) * max(1.0, size / 128))
    noise = visit.log_uniform(0.012, 0.040)
    real, imaginary = visit.white(size, size), visit.white(size, size)
    image = np.hypot(image + noise * real, noise * imaginary)
    image = image * patient.uniform(0.85, 1.20) * visit.normal(1, 0.02)
    return np.asarray(np.clip(image, 0, 1), dtype=np.float32)
