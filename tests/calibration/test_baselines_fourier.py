"""The baselines of the Fourier plane, against their equations on NumPy's full plane."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import textured_images
from frerec.calibration.amplitude_mix import AmplitudeMix, mix_amplitude
from frerec.calibration.fda import FourierDomainAdaptation, swap_amplitude
from frerec.calibration.lowpass import LowPass
from frerec.calibration.noise import uniform_noise
from frerec.calibration.one_to_one import OneToOneReplacement
from frerec.calibration.partners import pick_allowed
from frerec.spectral.amplitude import amplitude, with_amplitude
from frerec.spectral.windows import swap_window

SIZES = [(32, 32), (17, 24), (24, 17), (15, 15)]


def pair(height: int, width: int, channels: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Images s and t, ``[2, C, H, W]`` each."""
    shape = {"channels": channels, "height": height, "width": width}
    return textured_images(2, seed=1, **shape), textured_images(2, seed=2, **shape)


def plane(images: torch.Tensor) -> np.ndarray:
    return np.fft.fft2(images.double().numpy())


def rho(height: int, width: int) -> np.ndarray:
    """Radius over the Nyquist radius on the full plane, DC in the corner."""
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]) / 0.5


def real(spectrum: np.ndarray) -> np.ndarray:
    pixels = np.fft.ifft2(spectrum)
    np.testing.assert_allclose(pixels.imag, 0, atol=1e-9)  # the reference itself is Hermitian
    return pixels.real


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_one_to_one_takes_the_high_band_of_the_most_similar_real_image(
    height: int, width: int, channels: int
) -> None:
    shape = {"channels": channels, "height": height, "width": width}
    bank, images = textured_images(8, seed=1, **shape), textured_images(2, seed=2, **shape)
    calibrator = OneToOneReplacement(ratio=0.4, retrieval="exact").fit(bank)
    nearest = calibrator.bank[calibrator.bank.search(images, 1, method="exact")[:, 0]]
    expected = real(np.where(rho(height, width) >= 0.4, plane(nearest), plane(images)))
    np.testing.assert_allclose(calibrator(images), np.clip(expected, 0, 1), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_lowpass_leaves_no_high_band(height: int, width: int) -> None:
    images, _ = pair(height, width)
    expected = real(np.where(rho(height, width) >= 0.5, 0, plane(images)))
    found = LowPass().fit(images)(images)
    np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-5)


def test_lowpass_is_idempotent_where_nothing_is_clamped() -> None:
    calibrator = LowPass()
    images = 0.4 + 0.2 * textured_images(3)
    once = calibrator(images)
    torch.testing.assert_close(calibrator(once), once, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("beta", [0.01, 0.05, 0.09, 0.3])
def test_fda_swaps_the_amplitude_of_the_window_of_the_authors_code(
    height: int, width: int, beta: float
) -> None:
    """The centred window of half-width floor(min(H, W) * beta) on the shifted plane."""
    source, target = pair(height, width, channels=3)
    window = np.zeros((height, width), dtype=bool)
    b, row, column = int(np.floor(min(height, width) * beta)), height // 2, width // 2
    window[row - b : row + b + 1, column - b : column + b + 1] = True
    window = np.fft.ifftshift(window)
    own, other = plane(source), plane(target)
    mixed = np.where(window, np.abs(other), np.abs(own)) * np.exp(1j * np.angle(own))
    found = swap_amplitude(source, target, swap_window(height, width, beta))
    np.testing.assert_allclose(found, np.fft.ifft2(mixed).real, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(height=st.integers(2, 40), width=st.integers(2, 40), beta=st.floats(0.01, 0.5))
def test_the_high_window_is_the_low_one_mirrored(height: int, width: int, beta: float) -> None:
    """|u| -> H // 2 - |u|, |v| -> W // 2 - |v|, and a frame where that is a window."""
    b = int(min(height, width) * beta)
    rows = np.abs(np.fft.fftfreq(height) * height).round()[:, None]
    columns = np.abs(np.fft.rfftfreq(width) * width).round()[None, :]
    low = (rows <= b) & (columns <= b)
    high = (height // 2 - rows <= b) | (width // 2 - columns <= b)
    np.testing.assert_array_equal(swap_window(height, width, beta), low)
    np.testing.assert_array_equal(swap_window(height, width, beta, band="high"), high)


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.09])
def test_the_papers_windows_lie_in_their_bands(beta: float) -> None:
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None, :]) / 0.5
    assert radius[swap_window(128, 128, beta).numpy()].max() < 0.5
    assert radius[swap_window(128, 128, beta, band="high").numpy()].min() >= 0.5


def test_fda_of_an_image_with_itself_changes_nothing() -> None:
    images, _ = pair(17, 24)
    window = swap_window(17, 24, 0.5)
    torch.testing.assert_close(swap_amplitude(images, images, window), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_amplitude_mix_interpolates_amplitudes_and_keeps_the_phase(height: int, width: int) -> None:
    source, target = pair(height, width, channels=3)
    weight = torch.tensor([0.25, 0.8])
    share = weight.numpy()[:, None, None, None]
    own, other = plane(source), plane(target)
    mixed = ((1 - share) * np.abs(own) + share * np.abs(other)) * np.exp(1j * np.angle(own))
    found = mix_amplitude(source, target, weight)
    np.testing.assert_allclose(found, np.fft.ifft2(mixed).real, atol=1e-5)


def test_amplitude_mix_draws_its_weights_uniformly_up_to_eta() -> None:
    images = textured_images(400, height=12, width=12, seed=3)
    calibrator = AmplitudeMix(eta=0.5).fit(images[:4])
    weights = calibrator.weights(images)
    assert weights.min() >= 0
    assert weights.max() < 0.5
    ordered = weights.sort().values.numpy() / 0.5
    distance = np.abs(ordered - (np.arange(400) + 0.5) / 400).max()
    assert distance < 1.63 / 20  # Kolmogorov's 1 % bound for 400 draws
    alone = torch.cat([calibrator.weights(image) for image in images.split(1)])
    assert torch.equal(alone, weights)


def test_amplitude_mix_maps_as_its_equation_says() -> None:
    bank, images = textured_images(9, seed=1), textured_images(3, seed=2)
    calibrator = AmplitudeMix().fit(bank)
    partners = calibrator.bank[calibrator.partner_rows(images)]
    expected = mix_amplitude(images, partners, calibrator.weights(images)).clamp(0, 1)
    assert torch.equal(calibrator(images), expected)


def test_random_partners_are_spread_evenly_over_all_other_patients() -> None:
    bank = textured_images(5, height=12, width=12, seed=1)
    images = textured_images(500, height=12, width=12, seed=2)
    calibrator = FourierDomainAdaptation(partner="random").fit(bank, [0, 0, 1, 2, 3])
    counts = torch.bincount(calibrator.partner_rows(images), minlength=5)
    assert ((counts - 100).square() / 100).sum() < 18.5  # chi-squared of 4 degrees, 0.1 %
    assert set(calibrator.partner_rows(bank[:2]).tolist()) <= {2, 3, 4}


@settings(deadline=None, max_examples=40)
@given(
    allowed=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5),
    share=st.floats(0, 1, exclude_max=True),
)
def test_a_number_picks_its_place_among_the_allowed(
    allowed: list[list[bool]], share: float
) -> None:
    rows = [row for row in allowed if any(row)] or [[True] * 6]
    uniform = torch.full((len(rows),), share, dtype=torch.float64)
    for row, found in zip(rows, pick_allowed(uniform, torch.tensor(rows)), strict=True):
        places = [i for i, there in enumerate(row) if there]
        assert int(found) == places[min(int(share * len(places)), len(places) - 1)]


def test_draws_depend_on_key_seed_and_stream_and_fill_the_unit_interval() -> None:
    keys = torch.arange(-2000, 2000)
    base = uniform_noise(keys, seed=0, stream=1)
    assert base.dtype == torch.float64
    assert 0 <= base.min() < 0.01
    assert 0.99 < base.max() < 1
    for other in ({"seed": 1, "stream": 1}, {"seed": 0, "stream": 2}, {"seed": -1, "stream": 1}):
        draws = uniform_noise(keys, **other)
        assert abs(np.corrcoef(base, draws)[0, 1]) < 0.06
    assert abs(np.corrcoef(base[1:], base[:-1])[0, 1]) < 0.06  # neighbouring keys


def test_an_amplitude_of_zero_has_the_phase_zero() -> None:
    spectrum = torch.tensor([0j, 3 + 4j, -1e-25 + 0j, 1e-12j])
    torch.testing.assert_close(amplitude(spectrum)[1], torch.tensor(5.0))
    found = with_amplitude(spectrum, torch.full((4,), 2.0))
    torch.testing.assert_close(found, torch.tensor([2 + 0j, 1.2 + 1.6j, 2 + 0j, 2j]))
