"""Frontal chest radiographs with a normal or an enlarged heart.

The label is decided by the class that the cardiothoracic ratio was drawn for: two overlapping
Gaussians on either side of 0.5, the usual radiological limit (Danzer, Am. J. Med. Sci. 157,
1919). Thorax width, inspiration, rotation, exposure and breast shadows vary independently.
"""

from __future__ import annotations

import numpy as np

from frerec.data.phantoms.shapes import choose, gauss, posed, soft_step
from frerec.data.phantoms.streams import Array, Draws
from frerec.data.phantoms.texture import blur, pixel_grid, tissue_texture, wave_field
from frerec.data.phantoms.thorax import Thorax, bones, chest_wall, draw_thorax

CLASSES = ("normal_heart", "enlarged_heart")
CHANNELS = 1

NORMAL_RATIO, ENLARGED_RATIO = (0.445, 0.035), (0.550, 0.045)  # mean and deviation


def render(label: Array, patient: Draws, visit: Draws, size: int) -> tuple[Array, dict[str, Array]]:
    """Draw one chunk.

    Args:
        label: 0 or 1 for every image, `[B]`; chooses the distribution of the heart's width.
        patient: anatomy, equal for all images of a patient.
        visit: pose, exposure and noise of each image.
        size: image side in pixels.

    Returns:
        Images `[B, 1, size, size]` in [0, 1] (dense tissue bright) and `cardiothoracic_ratio`
        `[B]`: width of the heart over the inner width of the thorax, both as drawn.
    """
    pixel = 2.0 / size
    x, y = posed(patient, visit, *pixel_grid(size), turn=2.0, shift=0.03, zoom=0.04)
    thorax = draw_thorax(patient, x, y)
    ratio = _ratio(label, patient)

    outline, soft = _body(patient, thorax, pixel)
    lungs = _lungs(patient, thorax)
    heart = _heart(patient, thorax, ratio, pixel)
    middle = _mediastinum(patient, thorax)
    air = lungs * (1 - np.maximum(heart, 0.92 * middle))
    aeration = patient.normal(0.50, 0.05)
    # Attenuation adds up along the ray, so structures are summed rather than painted over.
    density = soft - aeration * air + 0.07 * heart * lungs + 0.06 * middle
    density = density + bones(patient, thorax) + _lung_vessels(patient, thorax, air)
    density = density + _abdomen(patient, thorax) + _breasts(patient, thorax)
    density = density + 0.020 * tissue_texture(patient, x, y, exponent=3.0)
    density = density + 0.035 * air * tissue_texture(patient, x, y, exponent=2.4)
    image = _expose(density * outline, outline, patient, visit)
    return image[:, None], {"cardiothoracic_ratio": ratio.reshape(-1)}


def _ratio(label: Array, patient: Draws) -> Array:
    spread = patient.normal(0.0, 1.0)
    enlarged = label.reshape(-1, 1, 1) > 0
    means = choose(enlarged, ENLARGED_RATIO[0], NORMAL_RATIO[0])
    deviations = choose(enlarged, ENLARGED_RATIO[1], NORMAL_RATIO[1])
    return np.asarray(means + deviations * spread, dtype=np.float32)


def _body(patient: Draws, thorax: Thorax, pixel: float) -> tuple[Array, Array]:
    """Cover of the body against the air around it, and the density of its soft tissue."""
    x, y = thorax.x - thorax.middle, thorax.y
    bulk = patient.uniform(0.09, 0.24)
    slope = patient.uniform(0.25, 0.5)
    neck = patient.uniform(0.24, 0.32)
    flank = thorax.half_width + bulk
    across = np.abs(x)
    # Shoulders fall from the neck; the arms leave the picture at the sides.
    shoulder = y - (thorax.apex - 0.17 + slope * np.clip(across - neck, 0, None) ** 1.1)
    flare = 0.10 * np.exp(-np.clip(thorax.apex - 0.17 - y, 0, None) / 0.07)
    inside_neck = soft_step(neck + flare - across, 0.03 + 0.5 * pixel)
    trunk = soft_step(shoulder, 0.04)
    arm = soft_step(0.55 * (thorax.apex + 0.75 - y) + (across - flank) * 0.2, 0.12)
    side = np.maximum(soft_step(flank - across, 0.03 + pixel), arm)
    outline = np.maximum(trunk * side, inside_neck * soft_step(y + 1.6, 0.1))
    thickness = 0.70 + 0.10 * soft_step(y - 0.4, 0.5) - 0.10 * soft_step(across - 0.6, 0.4)
    return outline, thickness * patient.normal(1.0, 0.03)


def _lungs(patient: Draws, thorax: Thorax) -> Array:
    """Depth of air along the ray, 0 to 1: both lungs, down to the domes of the diaphragm."""
    x, y = thorax.x - thorax.middle, thorax.y
    wall = chest_wall(thorax) + 0.008 * wave_field(patient, thorax.x, y, wavelength=0.4)
    across = np.abs(x)
    left = x > 0  # the patient's left is on the right of the picture
    lower = choose(left, patient.normal(0.045, 0.02), 0.0)  # the liver lifts the right dome
    peak, width = 0.42 * thorax.half_width, 0.62 * thorax.half_width
    curve = patient.uniform(0.16, 0.30)
    u = (across - peak) / width
    floor = thorax.dome + lower + curve * np.square(u) * (1 + 0.9 * np.clip(u, 0, None))
    floor = floor + 0.010 * wave_field(patient, x, y, wavelength=0.5)
    medial = 0.055 + 0.03 * soft_step(y - 0.1, 0.4)
    lateral = wall - across
    inside = (
        soft_step(lateral, 0.035) * soft_step(floor - y, 0.030) * soft_step(across - medial, 0.05)
    )
    inside = inside * soft_step(y - thorax.apex, 0.05)
    # The lung is thin at its rim, so the ray meets less air there.
    rim = np.sqrt(np.clip(lateral / 0.22, 0.0, 1.0))
    top = np.clip((y - thorax.apex) / 0.35, 0.0, 1.0)
    return np.asarray(inside * (0.45 + 0.55 * rim) * (0.68 + 0.32 * top), dtype=np.float32)


def _heart(patient: Draws, thorax: Thorax, ratio: Array, pixel: float) -> Array:
    """Cover of the heart, whose largest width is `ratio` times that of the thorax."""
    x, y = thorax.x - thorax.middle, thorax.y
    width = 2 * thorax.half_width * ratio
    share = patient.normal(0.31, 0.035)  # of the width that lies right of the spine
    top = patient.normal(-0.12, 0.04) + 0.35 * (thorax.dome - 0.42)
    bottom = thorax.dome + patient.normal(0.10, 0.03)
    t = np.clip((y - top) / (bottom - top), -1.0, 1.6)
    # Left border: aortic knob, pulmonary bay, then the ventricle swings out to its widest.
    apex = patient.normal(0.72, 0.04)
    bulge = patient.uniform(1.1, 1.7)
    rising = np.clip(t / apex, 0.0, 1.0)
    left = choose(t < apex, np.sin(np.pi / 2 * rising) ** bulge, 1.0)
    left = choose(t > apex, np.sqrt(np.clip(1 - ((t - apex) / 0.52) ** 2, 0, 1)), left)
    right = np.sqrt(np.clip(1 - np.square((t - 0.60) / 0.72), 0, 1))
    waviness = 1 + 0.02 * wave_field(patient, x, y, wavelength=0.5)
    edge = choose(x > 0, (1 - share) * left, share * right) * width * waviness
    beat = patient.uniform(0.018, 0.040)  # motion blurs the border
    return soft_step(edge - np.abs(x), beat + 0.5 * pixel) * soft_step(t + 0.1, 0.3)


def _mediastinum(patient: Draws, thorax: Thorax) -> Array:
    """Great vessels, aortic knob and hila around the midline; cover, with the trachea cut out."""
    x, y = thorax.x - thorax.middle, thorax.y
    half = (
        patient.normal(0.105, 0.015)
        + 0.03 * np.square(y + 0.35)
        + 0.006 * wave_field(patient, x, y, wavelength=0.3)
    )
    band = soft_step(half - np.abs(x), 0.030)
    knob_y = thorax.apex + patient.normal(0.40, 0.03)
    knob = np.hypot(x - 0.085, (y - knob_y) * 0.9)
    band = np.maximum(band, 0.9 * soft_step(patient.normal(0.070, 0.012) - knob, 0.025))
    for side in (-1.0, 1.0):
        hilum_y = thorax.apex + patient.normal(0.62, 0.03) - 0.02 * side
        hilum = np.hypot((x - side * 0.16) / 0.9, (y - hilum_y) / 1.6)
        ragged = 1 + 0.25 * wave_field(patient, x, y, wavelength=0.15)
        band = np.maximum(band, patient.uniform(0.35, 0.7) * gauss(hilum * ragged, 0.055))
    trachea = gauss(x - patient.normal(0.0, 0.01), 0.030) * soft_step(thorax.apex + 0.5 - y, 0.12)
    return np.asarray(band * (1 - 0.55 * trachea), dtype=np.float32)


def _lung_vessels(patient: Draws, thorax: Thorax, air: Array) -> Array:
    """Vessels that fan out of the hila and fade towards the periphery; added density."""
    x, y = thorax.x - thorax.middle, thorax.y
    across = np.abs(x) - 0.10
    down = y - thorax.apex - 0.62
    radius = np.hypot(across, down) + 1e-3
    angle = np.arctan2(down, np.abs(across) + 0.02)
    total = np.zeros_like(x)
    for branches, reach in ((7.0, 0.30), (13.0, 0.48)):
        fan = branches * angle + 1.6 * wave_field(patient, x, y, wavelength=0.35)
        away = np.abs(fan / np.pi - np.round(fan / np.pi)) * np.pi * radius / branches
        calibre = 0.020 * np.exp(-radius / 0.5)
        total += gauss(away, calibre + 0.006) * np.exp(-radius / reach)
    return np.asarray(patient.uniform(0.08, 0.17) * air * total, dtype=np.float32)


def _abdomen(patient: Draws, thorax: Thorax) -> Array:
    """Liver side denser; some have air in the stomach under the left dome; added density."""
    x, y = thorax.x - thorax.middle, thorax.y
    below = soft_step(y - thorax.dome - 0.10, 0.12)
    density = 0.05 * below * soft_step(-x + 0.1, 0.3)
    bx, by = patient.uniform(0.22, 0.42), thorax.dome + patient.uniform(0.22, 0.34)
    bubble = np.hypot((x - bx) / patient.uniform(1.1, 1.8), y - by)
    bubble = bubble * (1 + 0.12 * wave_field(patient, x, y, wavelength=0.3))
    gas = patient.uniform(0.08, 0.26) * patient.chance(0.6)
    return density - gas * soft_step(patient.uniform(0.06, 0.11) - bubble, 0.03)


def _breasts(patient: Draws, thorax: Thorax) -> Array:
    """Breast shadows over the lower lungs in half of the patients; added density."""
    x, y = thorax.x - thorax.middle, thorax.y
    amount = patient.uniform(0.03, 0.12) * patient.chance(0.5)
    size, level = patient.uniform(0.26, 0.36), thorax.dome - patient.uniform(0.05, 0.20)
    away = np.hypot(np.abs(x) - 0.44, (y - level) * choose(y > level, 1.15, 0.7))
    return np.asarray(
        amount * soft_step(size - away, choose(y < level, 0.15, 0.05)), dtype=np.float32
    )


def _expose(density: Array, outline: Array, patient: Draws, visit: Draws) -> Array:
    """Scatter, detector blur, quantum noise (more where fewer photons arrive), display curve."""
    size = density.shape[-1]
    scatter = blur(density, size / 18)
    density = 0.88 * density + 0.12 * scatter
    density = blur(density, visit.uniform(0.35, 0.60) * max(1.0, size / 128))
    dose = visit.log_uniform(0.010, 0.030)
    noise = dose * np.exp(0.55 * density) * visit.white(size, size)
    noise = noise + 0.004 * visit.white(size, size)
    image = density + noise * (0.3 + 0.7 * outline)
    # Exposure and processing differ between machines, and hide how much dense tissue there is.
    level, window = patient.normal(0.47, 0.06), patient.normal(1.00, 0.12)
    image = 0.5 + (image - level) / window + visit.normal(0, 0.015)
    image = image * (0.10 + 0.90 * outline)
    gamma = np.exp(patient.normal(0, 0.14))
    return np.asarray(np.clip(image, 0, 1) ** gamma, dtype=np.float32)
