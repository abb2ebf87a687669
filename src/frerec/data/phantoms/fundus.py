"""Colour fundus photographs, healthy or with diabetic retinopathy.

Positive eyes have microaneurysms (small red dots) and often hard exudates (small yellow spots,
in clusters near the macula). How many is log-uniform, so that mild disease is hard to see.
Healthy eyes may have a few drusen, pigment spots and specks of dust.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frerec.data.phantoms.shapes import choose, gauss, posed, soft_step
from frerec.data.phantoms.streams import Array, Draws
from frerec.data.phantoms.texture import blur, pixel_grid, tissue_texture, wave_field
from frerec.data.phantoms.vessels import scatter, vessel_layers

CLASSES = ("healthy", "retinopathy")
CHANNELS = 3

_DOTS = 40  # at most as many microaneurysms, and as many exudates


@dataclass(frozen=True)
class _Eye:
    """Coordinates `[B, H, W]` with the macula to the left of the disc, landmarks `[B, 1, 1]`."""

    x: Array
    y: Array
    disc_x: Array
    disc_y: Array
    disc_radius: Array
    macula_x: Array
    macula_y: Array


def render(label: Array, patient: Draws, visit: Draws, size: int) -> tuple[Array, dict[str, Array]]:
    """Draw one chunk.

    Args:
        label: 0 or 1 for every image, `[B]`; 1 draws the lesions of retinopathy.
        patient: anatomy, equal for all images of a patient.
        visit: pose, illumination and noise of each image.
        size: image side in pixels.

    Returns:
        RGB images `[B, 3, size, size]` in [0, 1] and the numbers `[B]` of `microaneurysms` and
        of `exudates`.
    """
    frame_x, frame_y = pixel_grid(size)
    mirror = patient.sign()  # right or left eye
    x, y = posed(patient, visit, frame_x * mirror, frame_y, turn=4.0, shift=0.03, zoom=0.03)
    eye = _eye(patient, x, y)
    colour = _retina(patient, eye)
    colour = _disc(patient, eye, colour)

    to_pixels = _Placement(x, y, size)
    arteries, veins = vessel_layers(patient, eye.disc_x, eye.disc_y, eye.macula_x, to_pixels)
    red, yellow, dark, pale, drawn = _lesions(label, patient, eye, to_pixels)
    depth = patient.normal(1.0, 0.15)
    away = np.hypot(eye.x - eye.macula_x, eye.y - eye.macula_y)
    avascular = 1 - 0.95 * gauss(away, 0.09)
    blood = depth * (0.80 * arteries + 1.15 * veins) * avascular + red
    # Blood absorbs green and blue much more than red (Beer-Lambert).
    colour = colour * np.exp(-blood[:, None] * _rgb(0.22, 0.85, 0.60))
    colour = colour * np.exp(-dark[:, None] * _rgb(0.45, 0.55, 0.50))
    colour = (
        colour + yellow[:, None] * _rgb(0.30, 0.40, 0.12) + pale[:, None] * _rgb(0.10, 0.11, 0.06)
    )
    return _photograph(colour, patient, visit, frame_x, frame_y), drawn


def _rgb(red: float, green: float, blue: float) -> Array:
    return np.array([red, green, blue], dtype=np.float32)[None, :, None, None]


class _Placement:
    """Turns points of the patient's frame into (fractional) pixel positions.

    The pose is a similarity, so it is read off three corners of the coordinate maps.
    """

    def __init__(self, x: Array, y: Array, size: int) -> None:
        self.size = size
        self.origin = x[:, 0, 0], y[:, 0, 0]
        self.right = x[:, 0, 1] - x[:, 0, 0], y[:, 0, 1] - y[:, 0, 0]
        self.down = x[:, 1, 0] - x[:, 0, 0], y[:, 1, 0] - y[:, 0, 0]

    def __call__(self, px: Array, py: Array) -> tuple[Array, Array]:
        """Columns and rows `[B, P]` of points `[B, P]`."""
        dx, dy = px - self.origin[0][:, None], py - self.origin[1][:, None]
        (a, c), (b, d) = self.right, self.down
        det = (a * d - b * c)[:, None]
        column = (d[:, None] * dx - b[:, None] * dy) / det
        row = (a[:, None] * dy - c[:, None] * dx) / det
        return column, row


def _eye(patient: Draws, x: Array, y: Array) -> _Eye:
    disc_x = patient.normal(0.50, 0.05)
    disc_y = patient.normal(-0.03, 0.04)
    return _Eye(
        x=x,
        y=y,
        disc_x=disc_x,
        disc_y=disc_y,
        disc_radius=patient.normal(0.125, 0.012),
        macula_x=disc_x - patient.normal(0.62, 0.03),
        macula_y=disc_y + patient.normal(0.07, 0.02),
    )


def _retina(patient: Draws, eye: _Eye) -> Array:
    """Background colour with choroidal mottling and the dark macula, `[B, 3, H, W]`."""
    pigment = patient.normal(0, 1)
    red = 0.78 - 0.07 * pigment + patient.normal(0, 0.03)
    green = 0.41 - 0.06 * pigment + patient.normal(0, 0.03)
    blue = 0.20 - 0.03 * pigment + patient.normal(0, 0.03)
    base = np.stack([np.broadcast_to(c, eye.x.shape) for c in (red, green, blue)], axis=1)
    mottle = tissue_texture(patient, eye.x, eye.y, exponent=2.6)
    choroid = 1 - np.abs(wave_field(patient, eye.x, eye.y, wavelength=0.16, waves=12))
    tessellation = patient.uniform(0.0, 0.035)
    variation = 0.060 * mottle + tessellation * choroid
    colour = base * (1 + variation[:, None] * _rgb(0.7, 1.0, 0.9))
    away = np.hypot(eye.x - eye.macula_x, (eye.y - eye.macula_y) * 1.1)
    dark = patient.uniform(0.25, 0.55) * gauss(away, 0.13) + 0.25 * gauss(away, 0.035)
    return np.asarray(colour * np.exp(-dark[:, None] * _rgb(0.55, 0.85, 0.65)), dtype=np.float32)


def _disc(patient: Draws, eye: _Eye, colour: Array) -> Array:
    """Optic disc with its paler cup, and the nerve fibre sheen around it."""
    dx, dy = eye.x - eye.disc_x, eye.y - eye.disc_y
    away = np.hypot(dx * patient.normal(1.08, 0.04), dy) * (
        1 + 0.02 * wave_field(patient, eye.x, eye.y, wavelength=0.2)
    )
    disc = soft_step(eye.disc_radius - away, 0.022)
    cup_radius = eye.disc_radius * patient.uniform(0.3, 0.6)
    cup = soft_step(cup_radius - np.hypot(dx + 0.01, dy), 0.035)
    sheen = patient.uniform(0.02, 0.10) * gauss(away, 0.24)
    colour = colour + sheen[:, None] * _rgb(0.7, 0.9, 0.6)
    rim = _rgb(0.93, 0.66, 0.38) * patient.normal(1.0, 0.04)[:, None]
    colour = colour + (rim - colour) * (0.88 * disc)[:, None]
    return colour + (_rgb(1.0, 0.90, 0.66) - colour) * (0.75 * cup)[:, None]


def _lesions(
    label: Array, patient: Draws, eye: _Eye, to_pixels: _Placement
) -> tuple[Array, Array, Array, Array, dict[str, Array]]:
    """Red dots, yellow spots, dark spots, pale spots as maps `[B, H, W]`, and the counts.

    Drawn for every patient; the label switches the first two on.
    """
    present = label[:, None]
    size = to_pixels.size
    half = size / 2  # pixels a unit
    order = np.arange(_DOTS, dtype=np.float32)[None]

    def spots(x: Array, y: Array, weight: Array, radius: float) -> Array:
        """Round spots of the given peak and radius; smaller than a pixel, they fade instead."""
        sigma = radius * half
        layer = scatter(*to_pixels(x, y), weight * (2 * np.pi * sigma**2), size)
        return blur(layer, sigma)

    def anywhere(reach: float) -> tuple[Array, Array]:
        angle = patient.uniform(0, 2 * np.pi, _DOTS)
        radius = reach * np.sqrt(patient.uniform(0.01, 1.0, _DOTS))
        return (radius * np.cos(angle)).astype(np.float32), (radius * np.sin(angle)).astype(
            np.float32
        )

    aneurysms = np.floor(patient.log_uniform(4, _DOTS + 0.99)[:, 0]) * present
    x, y = anywhere(0.62)
    x = x + 0.4 * eye.macula_x[:, 0]  # around the macula rather than the disc
    strength = patient.uniform(0.5, 1.1, _DOTS) * (order < aneurysms)
    large = patient.chance(0.25, _DOTS)
    red = spots(x, y, strength * (1 - large), 0.015) + spots(x, y, strength * large, 0.024)

    exudates = np.floor(patient.log_uniform(3, _DOTS + 0.99)[:, 0]) * present
    exudates = exudates * patient.chance(0.7)[:, 0]
    which = patient.uniform(0, 1, _DOTS) < 0.5  # two clusters
    angle = patient.uniform(0, 2 * np.pi, 2)
    reach = patient.uniform(0.12, 0.38, 2)
    centre_x = eye.macula_x[:, 0] + reach * np.cos(angle)
    centre_y = eye.macula_y[:, 0] + reach * np.sin(angle)
    x = np.where(which, centre_x[:, :1], centre_x[:, 1:]) + patient.normal(0, 0.08, _DOTS)
    y = np.where(which, centre_y[:, :1], centre_y[:, 1:]) + patient.normal(0, 0.08, _DOTS)
    strength = patient.uniform(0.4, 1.0, _DOTS) * (order < exudates)
    large = patient.chance(0.3, _DOTS)
    yellow = spots(x, y, strength * (1 - large), 0.013) + spots(x, y, strength * large, 0.024)

    x, y = anywhere(0.85)
    dark = spots(
        x, y, patient.uniform(0.1, 0.5, _DOTS) * (order < patient.uniform(0, 9)[:, 0]), 0.018
    )
    x, y = anywhere(0.70)
    pale = spots(
        x, y, patient.uniform(0.2, 1.0, _DOTS) * (order < patient.uniform(0, 12)[:, 0]), 0.018
    )
    drawn = {"microaneurysms": aneurysms[:, 0], "exudates": exudates[:, 0]}
    return red, yellow, dark, pale, drawn


def _photograph(colour: Array, patient: Draws, visit: Draws, x: Array, y: Array) -> Array:
    """Uneven flash, field stop, lens haze, white balance, point spread and sensor noise."""
    size = x.shape[-1]
    radius = np.hypot(x, y)
    centre = np.hypot(x - visit.normal(0, 0.12), y - visit.normal(0, 0.12))
    flash = patient.normal(1.02, 0.06) * (1 - visit.uniform(0.18, 0.45) * np.square(centre))
    flash = flash * (1 + 0.05 * wave_field(patient, x, y, wavelength=1.6))
    haze = visit.uniform(0.0, 0.05) + visit.uniform(0.0, 0.10) * gauss(radius - 0.95, 0.10)
    balance = np.exp(patient.normal(0, 0.06, 3, 1, 1))
    image = colour * flash[:, None] * balance + haze[:, None] * _rgb(0.6, 0.7, 1.0)
    stop = patient.normal(0.95, 0.015)
    flat = choose(patient.chance(0.35) > 0, patient.uniform(0.80, 0.9), 1.2)  # cut top and bottom
    field = soft_step(np.minimum(stop - radius, flat - np.abs(y)), 0.015 + 1.0 / size)
    image = np.clip(image, 0, None) * field[:, None]
    image = blur(image, (visit.uniform(0.35, 0.65) * max(1.0, size / 128))[:, None])
    noise = visit.log_uniform(0.006, 0.020)[:, None]
    grain = visit.white(3, size, size) * np.sqrt(np.clip(image, 0, 1) + 0.05)
    return np.asarray(np.clip(image + noise * grain, 0, 1), dtype=np.float32)
