"""Histogram matching, against scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.exposure import match_histograms

from fixtures import textured_images
from frerec.calibration.histogram import HistogramMatching
from frerec.calibration.quantiles import match_quantiles


def by_scikit_image(images: torch.Tensor, references: torch.Tensor) -> np.ndarray:
    pairs = zip(images.numpy(), references.numpy(), strict=True)
    return np.stack([match_histograms(a, b, channel_axis=0) for a, b in pairs])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (17, 24)])
@pytest.mark.parametrize("levels", [None, 255, 7])
def test_matching_is_scikit_images(
    channels: int, height: int, width: int, levels: int | None
) -> None:
    """Floats with few ties, 8-bit levels with many, and hardly any levels at all."""
    shape = {"channels": channels, "height": height, "width": width}
    images, references = textured_images(4, seed=1, **shape), textured_images(4, seed=2, **shape)
    references = (references * 0.6 + 0.2).square()
    if levels is not None:
        images, references = ((x * levels).round() / levels for x in (images, references))
    found = match_quantiles(images, references)
    np.testing.assert_allclose(found, by_scikit_image(images, references), atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), size=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_matching_is_scikit_images_on_any_values(
    data: st.DataObject, size: tuple[int, int]
) -> None:
    values = st.sampled_from([0.0, 0.125, 0.5, 0.75, 1.0])
    image, reference = (
        torch.from_numpy(data.draw(arrays.arrays(np.float32, (1, 1, *size), elements=values)))
        for _ in range(2)
    )
    found = match_quantiles(image, reference)
    np.testing.assert_allclose(found, by_scikit_image(image, reference), atol=1e-6)


def test_grey_images_without_a_channel_axis_are_matched_alike() -> None:
    image, reference = textured_images(1, seed=1), textured_images(1, seed=2)
    expected = match_histograms(image[0, 0].numpy(), reference[0, 0].numpy())
    np.testing.assert_allclose(match_quantiles(image, reference)[0, 0], expected, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_gets_the_histogram_of_its_most_similar_real_image(channels: int) -> None:
    bank = textured_images(10, channels=channels, seed=1)
    images = textured_images(3, channels=channels, seed=2).square()
    calibrator = HistogramMatching(retrieval="exact").fit(bank)
    nearest = calibrator.bank[calibrator.bank.search(images, 1, method="exact")[:, 0]]
    np.testing.assert_allclose(calibrator(images), by_scikit_image(images, nearest), atol=1e-6)


def test_an_image_matched_to_itself_is_unchanged() -> None:
    images = textured_images(2, channels=3)
    assert torch.equal(match_quantiles(images, images), images)


def test_order_is_kept_and_a_constant_reference_makes_a_constant_image() -> None:
    image, reference = textured_images(1, seed=1), textured_images(1, seed=2)
    order = image.flatten().argsort()
    assert (match_quantiles(image, reference).flatten()[order].diff() >= 0).all()
    flat = torch.full_like(image, 0.3)
    assert torch.equal(match_quantiles(image, flat), flat)
