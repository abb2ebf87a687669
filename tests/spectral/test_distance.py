"""Log-spectral distance in decibels."""

import numpy as np
import pytest
import torch

from fixtures import textured_images
from frerec.errors import DataError
from frerec.spectral import log_spectral_distance, radial_power


def test_equal_sets_are_at_distance_zero() -> None:
    images = textured_images(4)
    assert log_spectral_distance(images, images) == 0


def test_half_the_contrast_is_six_decibels_everywhere() -> None:
    images = textured_images(4)
    assert log_spectral_distance(images, images / 2) == pytest.approx(20 * np.log10(2))


@pytest.mark.parametrize("minimum", [0.0, 0.5])
def test_the_distance_is_the_formula(minimum: float) -> None:
    real, synthetic = textured_images(5, seed=1), textured_images(7, seed=2)
    means = [10 * np.log10(radial_power(x).numpy().mean((0, 1))) for x in (real, synthetic)]
    rho = np.arange(len(means[0])) / 16
    expected = np.sqrt(np.mean((means[0] - means[1])[rho >= minimum] ** 2))
    found = log_spectral_distance(real, synthetic, minimum_radius=minimum)
    assert found == pytest.approx(expected)


def test_a_change_of_the_low_band_does_not_reach_the_high_band() -> None:
    real = textured_images(4)
    shifted = real + 0.1  # only DC changes
    assert log_spectral_distance(real, shifted) > 0.1
    assert log_spectral_distance(real, shifted, minimum_radius=0.5) < 1e-3


def test_sets_of_different_size_are_refused() -> None:
    with pytest.raises(DataError, match="same"):
        log_spectral_distance(torch.rand(2, 1, 16, 16), torch.rand(2, 1, 32, 32))


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(DataError, match="at least one"):
        log_spectral_distance(torch.rand(2, 1, 16, 16), torch.rand(0, 1, 16, 16))
