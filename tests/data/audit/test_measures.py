"""measures: against NumPy's full plane, SciPy's median filter, and real JPEGs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, median_filter

from fixtures import textured_images
from frerec.data.audit.measures import blockiness, high_share, specks

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    globals()["RNG"] = np.random.default_rng(0)


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 32, 32), (3, 24, 31), (1, 17, 40)])
def test_high_share_is_that_of_the_whole_plane(channels: int, height: int, width: int) -> None:
    images = textured_images(3, channels=channels, height=height, width=width)
    power = np.abs(np.fft.fft2(images.double().numpy())) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]) / 0.5
    power[..., 0, 0] = 0
    expected = [image[..., radius >= 0.5].sum() / image.sum() for image in power]
    np.testing.assert_allclose(high_share(images), expected, rtol=1e-9)


def test_high_share_falls_with_blurring_and_does_not_see_brightness() -> None:
    image = textured_images(1)
    blurred = torch.from_numpy(gaussian_filter(image.numpy(), (0, 0, 1, 1)))
    assert high_share(blurred)[0] < 0.5 * high_share(image)[0]
    assert high_share(image * 0.5 + 0.2)[0] == pytest.approx(high_share(image)[0], rel=1e-4)
    assert np.isnan(high_share(torch.full((1, 3, 16, 16), 0.3))[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_specks_are_those_of_the_median_filter(channels: int) -> None:
    levels = RNG.integers(0, 256, (6, 1, 20, 27)).repeat(channels, axis=1)
    levels[3:] = levels[3:] // 8 + 100
    for image in levels[3:]:
        rows, columns = RNG.integers(0, 20, 9), RNG.integers(0, 27, 9)
        image[:, rows, columns] = RNG.choice([0, 255], 9)
    expected = [
        (np.abs(image[0] - median_filter(image[0], 3, mode="nearest")) > 128).sum()
        for image in levels
    ]
    assert min(expected) > 0
    found = specks(torch.from_numpy(levels).float() / 255)
    assert found.tolist() == expected


def test_a_step_of_exactly_128_levels_is_no_speck() -> None:
    image = torch.full((1, 1, 9, 9), 60 / 255)
    image[..., 4, 4] = 188 / 255
    assert specks(image)[0] == 0
    image[..., 4, 4] = 189 / 255
    assert specks(image)[0] == 1


def test_edges_and_lines_of_two_pixels_are_no_specks() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[..., 12:] = 1
    image[..., :, 5:7] = 1
    assert specks(image)[0] == 0


def test_blockiness_is_the_ratio_of_mean_steps() -> None:
    image = textured_images(1, channels=3, height=40, width=24)
    grey = image[0].double().numpy().mean(axis=0)
    at_border, elsewhere = [], []
    for steps in (
        np.abs(np.diff(grey, axis=0)).mean(axis=1),
        np.abs(np.diff(grey.T, axis=0)).mean(axis=1),
    ):
        at_border.append(np.mean([s for k, s in enumerate(steps) if (k + 1) % 8 == 0]))
        elsewhere.append(np.mean([s for k, s in enumerate(steps) if (k + 1) % 8]))
    assert blockiness(image)[0] == pytest.approx(sum(at_border) / sum(elsewhere))


def test_blockiness_tells_a_strong_jpeg_from_its_original(tmp_path: Path) -> None:
    original = textured_images(1, height=96, width=96)
    levels = (original[0, 0] * 255).round().byte().numpy()
    Image.fromarray(levels).save(tmp_path / "a.jpg", quality=10)
    jpeg = torch.from_numpy(np.asarray(Image.open(tmp_path / "a.jpg")).copy())[None, None] / 255
    assert 0.9 < blockiness(original)[0] < 1.1
    assert blockiness(jpeg)[0] > 1.3
    assert blockiness(jpeg.roll(4, -1).roll(4, -2))[0] < 1.1


def test_blockiness_of_flat_or_tiny_images_is_not_a_number() -> None:
    assert np.isnan(blockiness(torch.zeros(2, 1, 32, 32))).all()
    assert np.isnan(blockiness(textured_images(2, height=15, width=32))).all()
