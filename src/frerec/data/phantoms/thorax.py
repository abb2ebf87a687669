"""The rib cage of a chest phantom: landmarks, the inner chest wall, and the bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frerec.data.phantoms.shapes import gauss, segment_distance, soft_step
from frerec.data.phantoms.streams import Array, Draws


@dataclass(frozen=True)
class Thorax:
    """Coordinates `[B, H, W]` in the patient's frame and landmarks `[B, 1, 1]`."""

    x: Array
    y: Array
    half_width: Array  # inner half width at the level of the diaphragm
    apex: Array  # y of the lung tips
    dome: Array  # y of the right hemidiaphragm
    middle: Array  # x of the spine


def draw_thorax(patient: Draws, x: Array, y: Array) -> Thorax:
    """Draw the landmarks; width, inspiration and scoliosis vary independently of the heart."""
    inspiration = patient.normal(0.0, 0.10)  # how far the diaphragm comes down
    return Thorax(
        x=x,
        y=y,
        half_width=patient.normal(0.68, 0.05) * (1 + 0.15 * inspiration),
        apex=patient.normal(-0.72, 0.04),
        dome=patient.normal(0.42, 0.04) + inspiration,
        middle=patient.normal(0.0, 0.015) + 0.012 * patient.normal(0, 1) * np.square(y),
    )


def chest_wall(thorax: Thorax) -> Array:
    """Inner half width of the rib cage at each height: a bullet, widest near the diaphragm."""
    t = np.clip((thorax.y - thorax.apex) / (thorax.dome + 0.15 - thorax.apex), 1e-4, 1.3)
    rise = np.sqrt(np.clip(1 - np.square(1 - np.minimum(t, 1.0)) ** 1.15, 1e-6, 1))
    return np.asarray(thorax.half_width * (0.93 * rise + 0.07 * t), dtype=np.float32)


def bones(patient: Draws, thorax: Thorax) -> Array:
    """Ribs (posterior and anterior), spine and clavicles; added density."""
    x, y = thorax.x - thorax.middle, thorax.y
    across = np.abs(x)
    wall = chest_wall(thorax)
    cage = soft_step(wall + 0.05 - across, 0.04) * soft_step(y - thorax.apex - 0.03, 0.06)
    cage = cage * soft_step(thorax.dome + 0.40 - y, 0.25)
    u = across / thorax.half_width
    spacing = patient.normal(0.150, 0.010)
    origin = patient.uniform(0, 0.15)
    drop = patient.normal(0.26, 0.05)
    posterior = (y - origin + 0.10 * u - (drop + 0.10) * u**2.6 - 0.05 * y * u) / spacing
    anterior = (y - origin - 0.07 + (drop + 0.18) * u - 0.30 * u**2) / (1.08 * spacing)
    strength = patient.uniform(0.055, 0.11)
    ribs = strength * _rib(posterior, 0.24) * soft_step(across - 0.08, 0.06)
    ribs = ribs + 0.55 * strength * _rib(anterior, 0.27) * soft_step(u - 0.42, 0.15)
    # Seen on edge at the wall, a rib is denser.
    ribs = ribs * cage * (1 + 0.6 * gauss(wall - across, 0.06))

    vertebra = np.abs(np.mod(y / patient.normal(0.135, 0.008), 1.0) - 0.5)
    spine = soft_step(0.065 - across, 0.025) * (0.8 + 0.35 * soft_step(0.40 - vertebra, 0.10))
    density = ribs + patient.uniform(0.05, 0.11) * spine
    height, rise = thorax.apex + patient.normal(0.17, 0.035), patient.normal(0.10, 0.035)
    for side in (-1.0, 1.0):
        tilt = patient.normal(0, 0.015)
        inner = (side * 0.09 + thorax.middle * 0, height + 0.05 + tilt)
        knee = (side * 0.34 + thorax.middle * 0, height - 0.2 * rise)
        outer = (side * 0.78 + thorax.middle * 0, height - rise)
        away = np.minimum(
            segment_distance(x, y, inner, knee)[0], segment_distance(x, y, knee, outer)[0]
        )
        density = (
            density + 0.10 * soft_step(0.030 - away, 0.016) + 0.05 * gauss(away - 0.026, 0.010)
        )
        head = np.hypot(x - side * 0.93, y - height - 0.10)  # of the humerus
        density = density + 0.10 * soft_step(0.15 - head, 0.04)
        blade, _ = segment_distance(
            x,
            y,
            (side * 0.66 + 0 * height, height + 0.08),
            (side * 0.72 + 0 * height, height + 0.48),
        )
        density = density + 0.035 * soft_step(0.08 - blade, 0.03)
    return np.asarray(density, dtype=np.float32)


def _rib(phase: Array, half: float) -> Array:
    """Profile of ribs that repeat with period 1: a plate with dense cortical edges."""
    distance = np.abs(np.mod(phase, 1.0) - 0.5)
    plate = soft_step(half - distance, 0.10)
    return np.asarray(0.65 * plate + 0.5 * gauss(distance - half + 0.03, 0.055), dtype=np.float32)
