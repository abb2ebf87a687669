"""Frequency grids and masks, against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frerec.errors import ConfigError
from frerec.spectral import frequency_radius, high_frequency_mask, ring_index
from frerec.spectral.bands import hermitian_weight

sizes = st.integers(2, 40)
ratios = st.floats(0.05, 1.0)


def numpy_radius(height: int, width: int) -> np.ndarray:
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]) / 0.5


@given(sizes, sizes, ratios)
def test_circle_mask_is_radius_at_or_beyond_the_ratio(h: int, w: int, ratio: float) -> None:
    expected = numpy_radius(h, w)
    near = np.isclose(expected, ratio, atol=1e-12)
    found = high_frequency_mask(h, w, ratio).numpy()
    assert (found == (expected >= ratio))[~near].all()


@given(sizes, sizes, ratios)
def test_square_mask_is_the_maximum_norm(h: int, w: int, ratio: float) -> None:
    rows = np.abs(np.fft.fftfreq(h))[:, None] / 0.5
    columns = np.abs(np.fft.rfftfreq(w))[None, :] / 0.5
    expected = np.maximum(rows, columns)
    near = np.isclose(expected, ratio, atol=1e-12)
    found = high_frequency_mask(h, w, ratio, shape="square").numpy()
    assert (found == (expected >= ratio))[~near].all()


@given(sizes, sizes, ratios, st.sampled_from(["circle", "square"]))
def test_dc_is_low_and_the_mask_is_hermitian(h: int, w: int, ratio: float, shape: str) -> None:
    mask = high_frequency_mask(h, w, ratio, shape=shape)
    assert not mask[0, 0]
    # In the columns that are their own mirror, u and -u belong to the same band.
    mirrored = torch.roll(mask.flip(0), 1, 0)
    assert torch.equal(mask[:, 0], mirrored[:, 0])
    if w % 2 == 0:
        assert torch.equal(mask[:, -1], mirrored[:, -1])


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.1, float("nan")])
def test_a_ratio_outside_its_range_is_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match="ratio="):
        high_frequency_mask(8, 8, ratio)


def test_an_unknown_mask_shape_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="circle, square"):
        high_frequency_mask(8, 8, 0.5, shape="diamond")  # type: ignore[arg-type]


def test_a_mask_can_be_changed_without_spoiling_the_next_one() -> None:
    high_frequency_mask(8, 8).fill_(True)
    assert not high_frequency_mask(8, 8)[0, 0]


@given(sizes, sizes, st.integers(1, 20))
def test_rings_are_equal_steps_of_radius_up_to_the_corner(h: int, w: int, rings: int) -> None:
    position = numpy_radius(h, w) / np.sqrt(2) * rings
    expected = np.minimum(np.floor(position), rings - 1)
    near = np.isclose(position, np.round(position), atol=1e-9)
    found = ring_index(h, w, rings).numpy()
    assert (found == expected)[~near].all()
    assert found.min() == 0
    assert found.max() <= rings - 1


@given(sizes, sizes)
def test_hermitian_weights_count_the_full_plane(h: int, w: int) -> None:
    image = np.random.default_rng(0).standard_normal((h, w))
    half = np.abs(np.fft.rfft2(image)) ** 2
    full = np.abs(np.fft.fft2(image)) ** 2
    assert (half * hermitian_weight(h, w).numpy()).sum() == pytest.approx(full.sum())


def test_radius_is_one_at_an_axis_nyquist_frequency() -> None:
    radius = frequency_radius(8, 8)
    assert radius[0, -1] == 1
    assert radius[4, 0] == 1
    assert float(radius[4, -1]) == pytest.approx(2**0.5)
