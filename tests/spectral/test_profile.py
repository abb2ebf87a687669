"""Radial spectra, against a plain NumPy loop over the full, shifted plane."""

import numpy as np
import pytest
import torch

from fixtures import textured_images
from frerec.errors import DataError
from frerec.spectral import radial_log_power, radial_power, ring_radius


def numpy_profile(image: np.ndarray, *, log: bool) -> np.ndarray:
    """S(k) by definition: ring index from hypot(u - H//2, v - W//2)."""
    size = image.shape[0]
    power = np.abs(np.fft.fftshift(np.fft.fft2(image, norm="ortho"))) ** 2
    u, v = np.indices(image.shape)
    ring = np.hypot(u - size // 2, v - size // 2).astype(int)
    values = np.log(power + 1e-12) if log else power
    return np.array([values[ring == k].mean() for k in range(ring.max() + 1)])


@pytest.mark.parametrize("size", [16, 33, 64])
@pytest.mark.parametrize("log", [True, False])
def test_square_profiles_equal_the_definition(size: int, log: bool) -> None:
    images = textured_images(3, channels=3, height=size, width=size)
    found = (radial_log_power if log else radial_power)(images)
    for b in range(3):
        for c in range(3):
            expected = numpy_profile(images[b, c].double().numpy(), log=log)
            np.testing.assert_allclose(found[b, c], expected, rtol=1e-9)


def test_ring_zero_is_dc_alone() -> None:
    image = torch.full((1, 1, 16, 16), 0.5)
    power = radial_power(image)[0, 0]
    assert power[0] == pytest.approx(0.25 * 256)  # ortho: (sum x)^2 / N
    assert power[1:].abs().max() < 1e-12


@pytest.mark.parametrize("frequency", [3, 9])
def test_a_grating_sits_in_its_ring_whatever_the_aspect_ratio(frequency: int) -> None:
    height, width = 32, 64
    x = torch.arange(width) / width
    image = (0.5 + 0.4 * torch.cos(2 * torch.pi * 2 * frequency * x)).expand(1, 1, height, width)
    power = radial_power(image)[0, 0]
    # 2f periods in 64 pixels are f periods in 32: ring f of the shorter side.
    assert int(power[1:].argmax()) + 1 == frequency
    assert ring_radius(height, width)[frequency] == pytest.approx(frequency / 16)


def test_a_tensor_without_batch_is_refused() -> None:
    with pytest.raises(DataError, match=r"\[B, C, H, W\]"):
        radial_log_power(torch.zeros(16, 16))
