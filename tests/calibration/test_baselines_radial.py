"""The radial gain, against its formula in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fixtures import textured_images
from frerec.calibration.radial import RadialGain
from frerec.spectral import log_spectral_distance
from frerec.spectral.gain import gain_curve, gain_map


def rings(height: int, width: int) -> np.ndarray:
    """Radius of each frequency in steps of the shorter side."""
    side = min(height, width)
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]) * side


def mean_power(images: Tensor) -> np.ndarray:
    """Mean power of every ring, ``[C, R]``, over the full plane."""
    power = np.abs(np.fft.fft2(images.double().numpy(), norm="ortho")) ** 2
    ring = rings(*images.shape[-2:]).astype(int)
    columns = [power[..., ring == k].mean(axis=(0, 2)) for k in range(ring.max() + 1)]
    return np.stack(columns, axis=1)


def damped(images: Tensor, factor: float) -> Tensor:
    """The images with the amplitudes of their high band times a factor, not clamped."""
    height, width = images.shape[-2:]
    side = min(height, width)
    high = rings(height, width)[:, : width // 2 + 1] / (side / 2) >= 0.5
    spectrum = torch.fft.rfft2(images) * torch.from_numpy(np.where(high, factor, 1.0)).float()
    return torch.fft.irfft2(spectrum, s=(height, width))


@pytest.mark.parametrize(("height", "width", "channels"), [(32, 32, 1), (21, 26, 3), (26, 21, 1)])
def test_the_gain_follows_the_formula(height: int, width: int, channels: int) -> None:
    shape = {"channels": channels, "height": height, "width": width}
    real, made = textured_images(40, seed=1, **shape), textured_images(35, seed=2, **shape)
    made = (0.3 + 0.5 * made).clamp(0, 1)
    calibrator = RadialGain(smoothing=0.8, ratio=0.4).fit(real, synthetic=made)
    target, source = mean_power(real), mean_power(made)
    np.testing.assert_allclose(calibrator.real_power, target, rtol=1e-6)
    np.testing.assert_allclose(calibrator.synthetic_power, source, rtol=1e-6)

    logarithm = 0.5 * np.log((target + 1e-12) / (source + 1e-12))
    number = np.arange(logarithm.shape[1])
    kernel = np.exp(-((number[:, None] - number) ** 2) / (2 * 0.8**2))
    smooth = logarithm @ (kernel / kernel.sum(0))
    gain = np.clip(np.exp(smooth), 0.25, 4)
    np.testing.assert_allclose(calibrator.gain, gain, rtol=1e-6)

    radius = rings(height, width)
    images = textured_images(3, seed=3, **shape)
    spectrum = np.fft.fft2(images.double().numpy())
    for channel in range(channels):
        curve = np.interp(radius, number + 0.5, gain[channel])
        spectrum[:, channel] *= np.where(radius / (min(height, width) / 2) >= 0.4, curve, 1)
    expected = np.clip(np.fft.ifft2(spectrum).real, 0, 1)
    np.testing.assert_allclose(calibrator(images), expected, atol=1e-5)


def test_it_gives_damped_images_the_high_frequencies_of_real_ones() -> None:
    real = 0.3 + 0.4 * textured_images(60, seed=1)
    made = damped(0.3 + 0.4 * textured_images(60, seed=2), 0.4)
    calibrator = RadialGain().fit(real, synthetic=made)
    before = log_spectral_distance(real, made, minimum_radius=0.5)
    repaired = calibrator.transform(made)
    after = log_spectral_distance(real, repaired, minimum_radius=0.5)
    assert before > 6
    assert after < before / 8  # the smooth curve rounds the step at rho = 0.5 off
    assert log_spectral_distance(real, repaired, minimum_radius=0.65) < 0.2
    assert calibrator.report["mean_power_distance_db_before"] == pytest.approx(before, abs=1e-6)
    assert calibrator.report["mean_power_distance_db_after"] == pytest.approx(after, abs=0.2)


@pytest.mark.parametrize(("factor", "limit"), [(0.01, 4.0), (100.0, 0.25)])
def test_the_gain_stays_within_its_limits(factor: float, limit: float) -> None:
    made = 0.4 + 0.002 * textured_images(20, seed=2)
    calibrator = RadialGain(smoothing=0).fit(made, synthetic=damped(made, factor).clamp(0, 1))
    high = calibrator.gain[0, 10:]  # rho >= 0.6
    torch.testing.assert_close(high, torch.full_like(high, limit))


def test_equal_sets_have_a_gain_of_one_and_change_nothing() -> None:
    images = textured_images(20, channels=3)
    calibrator = RadialGain().fit(images, synthetic=images)
    torch.testing.assert_close(calibrator.gain, torch.ones_like(calibrator.gain))
    torch.testing.assert_close(calibrator(images), images, atol=1e-6, rtol=0)


def test_black_sets_have_a_gain_of_one() -> None:
    black = torch.zeros(3, 1, 16, 16)
    assert torch.equal(RadialGain().fit(black, synthetic=black).gain, torch.ones(1, 12).double())


class Counted:
    """Image rows that note how many were asked for at once."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.largest = images, 0
        self.shape = images.shape

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> Tensor:
        self.largest = max(self.largest, len(self.images[rows]))
        return self.images[rows]


def test_the_fit_streams_and_does_not_depend_on_how_images_are_handed_out() -> None:
    real, made = (
        textured_images(300, height=12, width=12),
        textured_images(270, seed=2, height=12, width=12),
    )
    whole, streamed = RadialGain().fit(real, synthetic=made), (Counted(real), Counted(made))
    calibrator = RadialGain()
    calibrator._fit(streamed[0], torch.arange(300), synthetic=streamed[1])
    assert torch.equal(calibrator.gain, whole.gain)
    assert max(rows.largest for rows in streamed) <= 32


@settings(deadline=None, max_examples=40)
@given(
    powers=st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=20),
    smoothing=st.floats(0, 5),
)
def test_curves_are_finite_within_limits_and_inverse_for_exchanged_sets(
    powers: list[tuple[float, float]], smoothing: float
) -> None:
    target, source = torch.tensor(powers, dtype=torch.float64).T[:, None, :]
    curve = gain_curve(target, source, smoothing=smoothing, smallest=0.25, largest=4)
    assert torch.isfinite(curve).all()
    assert (curve >= 0.25).all()
    assert (curve <= 4).all()
    inverse = gain_curve(source, target, smoothing=smoothing, smallest=0.25, largest=4)
    torch.testing.assert_close(curve * inverse, torch.ones_like(curve))


def test_the_low_band_is_untouched() -> None:
    curve = torch.full((2, 30), 3.0)
    gain = gain_map(curve, 20, 33, ratio=0.5)
    high = rings(20, 33)[:, :17] / 10 >= 0.5
    np.testing.assert_array_equal(
        gain.numpy(), np.broadcast_to(np.where(high, 3.0, 1.0), (2, 20, 17))
    )
