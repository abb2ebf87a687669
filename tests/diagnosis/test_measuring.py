"""What is measured of images, against NumPy and against the functions for whole sets."""

import numpy as np
import pytest
import torch

from fixtures import textured_images
from frerec.diagnosis.comparing import distances, halves
from frerec.diagnosis.measuring import Spectra, SpectraMeter, log_power_plane
from frerec.spectral import log_spectral_distance, radial_log_power


def measured(images: torch.Tensor, batch: int = 7) -> Spectra:
    meter = SpectraMeter()
    for part in images.split(batch):
        meter.add(part)
    return meter.spectra()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 33)])
def test_the_plane_is_numpys_shifted_log_power(height: int, width: int) -> None:
    images = textured_images(2, channels=3, height=height, width=width)
    spectrum = np.fft.fft2(images.double().numpy(), norm="ortho")
    expected = np.fft.fftshift(np.log(np.abs(spectrum) ** 2 + 1e-12).mean(1), axes=(-2, -1))
    found = log_power_plane(images).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found.reshape(2, -1).argmax(1) == (height // 2) * width + width // 2).all()


def test_batches_give_what_all_images_give_at_once() -> None:
    images = textured_images(20, channels=3)
    parts, whole = measured(images, 3), measured(images, 20)
    for name in ("power", "features", "curves", "plane"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9)
    expected = radial_log_power(images)
    np.testing.assert_allclose(whole.features, expected.flatten(1).numpy())
    np.testing.assert_allclose(whole.curves, expected.mean(1).numpy() * 10 / np.log(10))


def test_distances_are_those_of_the_spectral_package() -> None:
    real, other = textured_images(12, seed=1), textured_images(9, seed=2) * 0.8
    found = distances(measured(real), measured(other), None)
    for name, radius in (("lsd_db", 0.0), ("lsd_high_db", 0.5)):
        expected = log_spectral_distance(real, other, minimum_radius=radius)
        assert found[name]["value"] == pytest.approx(expected)
        assert found[name]["low"] is None


def test_half_the_amplitude_is_six_decibels_less_power() -> None:
    images = textured_images(6)
    found = distances(measured(images), measured(images * 0.5), None)
    for name, sign in (("lsd_db", 1), ("lsd_high_db", 1), ("power_high_db", -1)):
        assert found[name]["value"] == pytest.approx(sign * 20 * np.log10(2), abs=1e-4)


def test_black_images_count_as_minus_120_decibels() -> None:
    found = distances(
        measured(torch.full((3, 1, 16, 16), 0.5)), measured(torch.zeros(3, 1, 16, 16)), None
    )
    assert found["lsd_high_db"]["value"] == pytest.approx(0, abs=1e-9)
    assert np.isfinite(found["lsd_db"]["value"])


def test_halves_differ_by_nothing_where_all_images_are_the_same() -> None:
    same = measured(textured_images(1).repeat(10, 1, 1, 1))
    assert halves(same, np.arange(10))["lsd_db"] == pytest.approx(0, abs=1e-9)
    varied = halves(measured(textured_images(10)), np.arange(10))
    assert varied["lsd_db"] > 0.01
    assert halves(same, np.zeros(10))["lsd_db"] is None


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="no images"):
        SpectraMeter().spectra()
