"""Textures, smooth random fields, blur and noise.

The power of natural images falls about as 1/f^2 (Field, J. Opt. Soc. Am. A 4, 1987) and that of
radiographic tissue about as 1/f^3 (Burgess, Jacobson and Judy, Med. Phys. 28, 2001, on
mammograms), so phantom tissue carries fields of exponent 2 to 3. [ours] The exponents and
amplitudes of each tissue are set in its modality's file.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from frerec.data.phantoms.streams import Array, Draws

_MAP_SIDE = 128


def pixel_grid(size: int) -> tuple[Array, Array]:
    """Pixel centres x (to the right) and y (downwards), each `[1, size, size]` in (-1, 1)."""
    axis = ((np.arange(size) + 0.5) * 2.0 / size - 1.0).astype(np.float32)
    return axis[None, None, :] + 0 * axis[None, :, None], axis[None, :, None] + 0 * axis[None, None]


def power_law_field(white: Array, exponent: float) -> Array:
    """Filter white noise `[..., H, W]` to power 1/f^exponent, mean 0 and deviation 1, periodic."""
    height, width = white.shape[-2:]
    fy, fx = fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1.0
    gain = (frequency ** (-exponent / 2)).astype(np.float32)
    gain[0, 0] = 0.0
    field = fft.irfft2(fft.rfft2(white) * gain, s=(height, width))
    deviation = field.std(axis=(-2, -1), keepdims=True)
    return np.asarray(field / deviation, dtype=np.float32)


def tissue_texture(draws: Draws, x: Array, y: Array, *, exponent: float) -> Array:
    """1/f^exponent texture fixed to the anatomy, `[B, H, W]`, mean 0 and deviation about 1.

    A periodic map over [-1, 1]^2 is read at the coordinates `x`, `y` `[B, H, W]` (bilinear), so
    that the texture moves with the patient's pose.
    """
    side = max(_MAP_SIDE, x.shape[-1])
    field = power_law_field(draws.white(side, side), exponent)
    column, row = (x + 1) * (side / 2) - 0.5, (y + 1) * (side / 2) - 0.5
    left, top = np.floor(column), np.floor(row)
    u, v = column - left, row - top
    j0, i0 = left.astype(np.int64) % side, top.astype(np.int64) % side
    j1, i1 = (j0 + 1) % side, (i0 + 1) % side
    n = np.arange(len(field))[:, None, None]
    upper = field[n, i0, j0] * (1 - u) + field[n, i0, j1] * u
    lower = field[n, i1, j0] * (1 - u) + field[n, i1, j1] * u
    return np.asarray(upper * (1 - v) + lower * v, dtype=np.float32)


def wave_field(draws: Draws, x: Array, y: Array, *, wavelength: float, waves: int = 10) -> Array:
    """A smooth random field of one scale, mean 0 and deviation 1, as a sum of plane waves.

    Args:
        draws: where directions, phases and wavelengths (half to one and a half octaves around
            `wavelength`) come from.
        x: coordinates `[B, H, W]`; being evaluated at coordinates, the field follows the pose and
            is the same at every image size.
        y: as `x`.
        wavelength: in units of half the image side.
        waves: how many are summed.
    """
    angle = draws.uniform(0, 2 * np.pi, waves)
    phase = draws.uniform(0, 2 * np.pi, waves)
    wavenumber = 2 * np.pi / (wavelength * draws.log_uniform(0.7, 1.4, waves))
    kx, ky = wavenumber * np.cos(angle), wavenumber * np.sin(angle)
    total = np.zeros(np.broadcast_shapes(x.shape, (len(draws), 1, 1)), dtype=np.float32)
    for n in range(waves):
        k = (slice(None), slice(n, n + 1), None)
        total += np.cos(kx[k] * x + ky[k] * y + phase[k])
    return total * np.float32(np.sqrt(2.0 / waves))


def blur(images: Array, sigma: Array | float) -> Array:
    """Gaussian blur of `[..., H, W]` by `sigma` pixels (broadcast to `[..., 1, 1]`).

    Done in the frequency domain on a mirrored margin of a quarter of the image, so that nothing
    wraps round the edges as long as `sigma` is below a sixteenth of the image side.
    """
    height, width = images.shape[-2:]
    margin = min(height, width) // 4
    pad = [(0, 0)] * (images.ndim - 2) + [(margin, margin)] * 2
    padded = np.pad(images, pad, mode="symmetric")
    shape = padded.shape[-2:]
    squared = fft.fftfreq(shape[0])[:, None] ** 2 + fft.rfftfreq(shape[1])[None, :] ** 2
    gain = np.exp(squared.astype(np.float32) * (-2 * np.pi**2 * np.square(sigma, dtype=np.float32)))
    blurred = fft.irfft2(fft.rfft2(padded) * gain, s=shape)
    inner = slice(margin, margin + height), slice(margin, margin + width)
    return np.asarray(blurred[(..., *inner)], dtype=np.float32)
