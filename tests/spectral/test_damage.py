"""Known damage of the high band, against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import textured_images
from frerec.errors import ConfigError
from frerec.spectral import high_frequency_mask
from frerec.spectral.damage import attenuate, checkerboard, damage, noise_floor


def quiet(count: int = 2, height: int = 32, width: int = 32) -> torch.Tensor:
    """Images far enough from 0 and 1 for nothing to be clamped."""
    return 0.3 + 0.4 * textured_images(count, seed=3, height=height, width=width)


def full_mask(height: int, width: int, ratio: float) -> np.ndarray:
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    return np.hypot(rows, columns) >= ratio / 2


def test_attenuation_scales_the_high_band() -> None:
    images = quiet()
    spectrum = np.fft.fft2(images.double().numpy())
    spectrum[..., full_mask(32, 32, 0.5)] *= 0.25
    expected = np.fft.ifft2(spectrum).real
    np.testing.assert_allclose(attenuate(images, 0.75).numpy(), expected, atol=1e-6)


def test_the_checkerboard_is_the_image_shifted_by_the_nyquist_frequency() -> None:
    images = quiet()
    spectrum = np.fft.fft2(images.double().numpy())
    shifted = np.roll(spectrum, (16, 16), axis=(-2, -1)) * 0.2 * 0.5
    shifted[..., ~full_mask(32, 32, 0.5)] = 0
    expected = np.fft.ifft2(spectrum + shifted).real
    np.testing.assert_allclose(checkerboard(images, 0.5).numpy(), expected, atol=1e-6)


def test_a_full_dose_of_noise_is_as_strong_as_the_image() -> None:
    images = quiet(1, 128, 128)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    extra = np.fft.rfft2((noise_floor(images, 1.0, noise) - images).double().numpy())
    own = np.fft.rfft2(images.double().numpy())
    mask = high_frequency_mask(128, 128).numpy()
    ratio = (np.abs(extra[..., mask]) ** 2).mean() / (np.abs(own[..., mask]) ** 2).mean()
    assert ratio == pytest.approx(1, rel=0.05)


@settings(deadline=None, max_examples=20)
@given(
    kind=st.sampled_from(["attenuation", "checkerboard", "noise"]),
    dose=st.floats(0, 1),
    height=st.integers(8, 20),
    width=st.integers(8, 20),
)
def test_the_low_band_is_untouched_and_a_dose_of_nothing_does_nothing(
    kind: str, dose: float, height: int, width: int
) -> None:
    images = 0.45 + 0.1 * textured_images(2, seed=3, height=height, width=width)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    out = damage(images, kind, dose, noise=noise)  # type: ignore[arg-type]
    low = ~high_frequency_mask(height, width).numpy()
    before, after = (np.fft.rfft2(x.double().numpy())[..., low] for x in (images, out))
    np.testing.assert_allclose(after, before, atol=1e-4)
    untouched = damage(images, kind, 0.0, noise=noise)  # type: ignore[arg-type]
    torch.testing.assert_close(untouched, images, atol=1e-6, rtol=0)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="dose"):
        damage(quiet(), "noise", 1.5, noise=quiet())
    with pytest.raises(ConfigError, match="attenuation, checkerboard, noise"):
        damage(quiet(), "fog", 0.5, noise=quiet())  # type: ignore[arg-type]
