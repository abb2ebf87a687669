"""SHR, against the equation written in NumPy."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures import textured_images
from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.calibration.statistics import HighBand
from frerec.errors import ConfigError, DataError
from frerec.spectral import high_frequency_mask

VARIANTS = [
    {"granularity": g, "representation": r, "sampling": s}
    for g in ("bin", "ring", "scalar")
    for r in ("complex", "amplitude", "log_amplitude")
    for s in ("gaussian", "mean")
]


def fitted(images: torch.Tensor, **arguments: object) -> StatisticalHighFrequencyReplacement:
    return StatisticalHighFrequencyReplacement(**arguments).fit(images).eval()  # type: ignore[arg-type]


def spectrum(images: torch.Tensor) -> np.ndarray:
    return np.fft.rfft2(images.double().numpy(), norm="ortho")


def full_spectrum(images: torch.Tensor) -> np.ndarray:
    return np.fft.fft2(images.double().numpy(), norm="ortho")


def encoded(spectrum: np.ndarray, representation: str) -> np.ndarray:
    if representation == "complex":
        return spectrum
    amplitude = np.abs(spectrum)
    return amplitude if representation == "amplitude" else np.log(amplitude + 1e-4)


def full_rings(height: int, width: int, granularity: str) -> np.ndarray:
    """Number of the ring of each frequency, one step of the shorter side wide."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    radius = np.hypot(rows, columns) * min(height, width)
    return np.zeros_like(radius) if granularity == "scalar" else np.floor(radius + 1e-9)


def full_mask(height: int, width: int, ratio: float) -> np.ndarray:
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    return np.hypot(rows, columns) >= ratio / 2


@pytest.mark.parametrize("representation", ["complex", "amplitude", "log_amplitude"])
@pytest.mark.parametrize("granularity", ["bin", "ring", "scalar"])
@pytest.mark.parametrize(
    ("channels", "height", "width", "clip"), [(1, 32, 32, None), (3, 17, 24, 1.5), (1, 15, 15, 1.5)]
)
def test_shr_follows_its_equation(
    representation: str,
    granularity: str,
    channels: int,
    height: int,
    width: int,
    clip: float | None,
) -> None:
    """F' = sigma_hat (F - mu) / sigma + mu_hat, on the full plane in NumPy."""
    shape = {"channels": channels, "height": height, "width": width}
    bank, image = textured_images(40, seed=1, **shape), textured_images(1, seed=2, **shape)
    shr = fitted(
        bank,
        neighbours=8,
        granularity=granularity,
        representation=representation,
        sampling="mean",
        clip=clip,
    )
    neighbours = shr.neighbour_indices(image)
    assert neighbours.shape == (1, 8)
    found = full_spectrum(shr.replace(image, neighbours))[0]

    mask, ring = full_mask(height, width, 0.5), full_rings(height, width, granularity)
    for channel in range(channels):
        expected = full_spectrum(image)[0, channel]
        high = expected[mask]
        x = encoded(high, representation)
        others = encoded(full_spectrum(bank[neighbours[0]])[:, channel][:, mask], representation)
        if granularity == "bin":
            mu_hat = others.mean(0)
            sigma_hat = np.sqrt((np.abs(others - mu_hat) ** 2).mean(0))
        else:  # means over the neighbours of each neighbour's own mean and deviation
            mu_hat, sigma_hat = np.zeros(len(x), dtype=x.dtype), np.zeros(len(x))
            for k in np.unique(ring[mask]):
                members = ring[mask] == k
                own = others[:, members].mean(1, keepdims=True)
                mu_hat[members] = own.mean()
                deviations = np.sqrt((np.abs(others[:, members] - own) ** 2).mean(1))
                sigma_hat[members] = deviations.mean()
        sigma = np.sqrt((np.abs(x - x.mean()) ** 2).mean())
        z = (x - x.mean()) / sigma
        if clip is not None:
            z = z * np.minimum(1, clip / np.maximum(np.abs(z), 1e-12))
        replaced = sigma_hat * z + mu_hat
        if representation != "complex":
            replaced = np.exp(replaced) - 1e-4 if representation == "log_amplitude" else replaced
            replaced = np.maximum(replaced, 0) * np.exp(1j * np.angle(high))
        expected[mask] = replaced
        error = np.abs(found[channel] - expected)
        assert error.max() < 2e-3 * max(1, np.abs(replaced).max())  # statistics in half precision
        assert error.mean() < 1e-4 * max(1, np.abs(replaced).max())


@pytest.mark.parametrize("granularity", ["ring", "scalar"])
def test_shared_statistics_are_means_of_the_neighbours_own(granularity: str) -> None:
    bank, image = textured_images(40, seed=1), textured_images(1, seed=2)
    shr = fitted(bank, neighbours=8, granularity=granularity, sampling="mean")
    indices = shr.neighbour_indices(image)
    statistics = shr.statistics(indices)
    mask = full_mask(32, 32, 0.5)
    amplitude = np.abs(full_spectrum(bank[indices[0]]))[:, 0][:, mask]
    radius = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None, :])[mask] * 32
    ring = np.floor(radius + 1e-9) if granularity == "ring" else np.zeros_like(radius)
    for number, k in enumerate(np.unique(ring)):
        own_mean = amplitude[:, ring == k].mean(1)
        own_deviation = amplitude[:, ring == k].std(1)
        for name, values in (("mean", own_mean), ("deviation", own_deviation)):
            found = float(getattr(statistics, name)[0, 0, number])
            assert found == pytest.approx(values.mean(), abs=1e-5)
            spread = float(getattr(statistics, f"{name}_spread")[0, 0, number])
            assert spread == pytest.approx(values.std(), abs=2e-4)


@pytest.mark.parametrize("representation", ["complex", "amplitude"])
def test_statistics_of_bins_vary_as_those_of_k_draws(representation: str) -> None:
    """mu_hat varies by the neighbours' deviation s, sigma_hat as the deviation of K draws does."""
    bank, image = textured_images(60, seed=1), textured_images(1, seed=2)
    shr = fitted(bank, neighbours=12, representation=representation)
    statistics, band = shr.statistics(shr.neighbour_indices(image)), shr.band()
    noise = torch.randn(3000, 3, 1, band.sets, generator=torch.Generator().manual_seed(0))
    mu, sigma = statistics.sample(noise, band, scale=1.0)
    deviation = statistics.deviation[0, 0]
    found = (mu - mu.mean(0)).abs().square().mean(0)[0].sqrt()
    torch.testing.assert_close(found, deviation, rtol=0.08, atol=0)
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((200_000, 12))
    if representation == "complex":
        draws = (draws + 1j * generator.standard_normal((200_000, 12))) / 2**0.5
    spread = np.sqrt((np.abs(draws) ** 2).mean(1)).std()  # of the deviation of 12 draws, for s = 1
    general = band.sign != 0
    expected = deviation[general] * spread
    torch.testing.assert_close(sigma.std(0)[0][general], expected, rtol=0.12, atol=0)


@pytest.mark.parametrize("representation", ["complex", "amplitude"])
def test_the_high_band_has_the_mean_and_deviation_that_were_sampled(representation: str) -> None:
    bank, images = textured_images(60, seed=1), textured_images(3, seed=2)
    shr = fitted(bank, granularity="scalar", representation=representation, sampling="mean")
    shr.clip = None
    indices = shr.neighbour_indices(images)
    statistics = shr.statistics(indices)
    out = full_spectrum(shr.replace(images, indices))[:, 0][:, full_mask(32, 32, 0.5)]
    values = out if representation == "complex" else np.abs(out)
    mean = values.mean(1)
    deviation = np.sqrt((np.abs(values - mean[:, None]) ** 2).mean(1))
    # A negative amplitude cannot be; the few bins where one was asked for are set to 0.
    tolerance = 1e-5 if representation == "complex" else 5e-3
    np.testing.assert_allclose(mean, statistics.mean[:, 0, 0], atol=tolerance)
    np.testing.assert_allclose(deviation, statistics.deviation[:, 0, 0], atol=tolerance)


def test_a_second_pass_with_the_same_statistics_changes_nothing_for_one_band() -> None:
    """Re-normalising what has the asked mean and deviation gives it again."""
    bank, image = textured_images(60, seed=1), textured_images(1, seed=2)
    arguments = {"granularity": "scalar", "representation": "complex", "sampling": "mean"}
    shr = fitted(bank, clip=None, **arguments)
    indices = shr.neighbour_indices(image)
    once = shr.replace(image, indices)
    torch.testing.assert_close(shr.replace(once, indices), once, atol=2e-6, rtol=0)
    assert (once - image).abs().max() > 1e-3


@pytest.mark.parametrize(("height", "width"), [(16, 16), (15, 18), (17, 13)])
@pytest.mark.parametrize("representation", ["complex", "amplitude", "log_amplitude"])
def test_what_is_drawn_is_the_spectrum_of_a_real_image(
    representation: str, height: int, width: int
) -> None:
    """Where the half plane holds u and -u, noise is drawn for both at once: none is lost."""
    bank = textured_images(40, seed=1, height=height, width=width)
    shr = fitted(bank, representation=representation, deviation_scale=1.0)
    band = shr.band()
    noise = torch.randn(2, 3, 1, band.sets, generator=torch.Generator().manual_seed(0))
    indices = shr.neighbour_indices(bank[:2])
    for drawn in shr.statistics(indices).sample(noise, band, scale=1.0):
        half = torch.zeros(2, 1, height, width // 2 + 1, dtype=torch.complex64)
        half[..., band.mask] = drawn.to(torch.complex64)
        real = torch.fft.irfft2(half, s=(height, width), norm="ortho")
        back = torch.fft.rfft2(real, norm="ortho")
        # Own conjugates (u = -u) must be real; neighbours' means there are real by nature.
        torch.testing.assert_close(back, half, atol=1e-5, rtol=1e-4)


def test_half_precision_keeps_the_statistics_within_one_percent() -> None:
    bank, images = textured_images(200, seed=1), textured_images(2, seed=2)
    for representation in ("complex", "amplitude", "log_amplitude"):
        shr = fitted(bank, representation=representation, neighbours=40)
        indices = shr.neighbour_indices(images)
        statistics = shr.statistics(indices)
        spectra = spectrum(bank[indices.flatten()])[:, 0][:, shr.band().mask.numpy()]
        values = spectra.reshape(2, 40, -1)
        if representation != "complex":
            values = np.abs(values)
        if representation == "log_amplitude":
            values = np.log(values + 1e-4)
        np.testing.assert_allclose(statistics.deviation[:, 0], values.std(1), rtol=0.01)
        error = np.abs(statistics.mean[:, 0].numpy() - values.mean(1))
        assert (error / values.std(1)).max() < 0.01


def test_sampled_statistics_have_the_gaussians_mean_and_deviation() -> None:
    bank, image = textured_images(60, seed=1), textured_images(1, seed=2)
    shr = fitted(bank, neighbours=12, clip=None, deviation_scale=1.0)
    indices = shr.neighbour_indices(image)
    statistics = shr.statistics(indices)
    generator = torch.Generator().manual_seed(0)
    amplitude = torch.fft.rfft2(image, norm="ortho")[..., high_frequency_mask(32, 32)].abs()
    z = HighBand(high_frequency_mask(32, 32), 32, "bin").normalise(amplitude, clip=None)[0, 0]
    flat = int(z.abs().argmin())  # a bin with z about 0 shows mu_hat alone
    draws = []
    for _ in range(600):
        out = shr.replace(image, indices, generator=generator)
        high = torch.fft.rfft2(out, norm="ortho")[..., high_frequency_mask(32, 32)].abs()[0, 0]
        draws.append(high[flat])
    draws_tensor = torch.stack(draws)
    mean = float(statistics.mean[0, 0, flat] + z[flat] * statistics.deviation[0, 0, flat])
    spread = float(statistics.mean_spread[0, 0, flat])
    # Amplitudes cannot fall below 0: compare with the clamped Gaussian's own moments.
    normal = np.maximum(np.random.default_rng(0).normal(mean, spread, 200_000), 0)
    assert float(draws_tensor.mean()) == pytest.approx(normal.mean(), abs=4 * spread / 600**0.5)
    assert float(draws_tensor.std()) == pytest.approx(normal.std(), rel=0.12)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    variant=st.sampled_from(VARIANTS),
    channels=st.sampled_from([1, 3]),
    height=st.integers(12, 25),
    width=st.integers(12, 25),
    ratio=st.floats(0.1, 0.95),
    mask=st.sampled_from(["circle", "square"]),
)
def test_low_band_is_untouched_and_the_output_real_and_finite(
    variant: dict[str, str], channels: int, height: int, width: int, ratio: float, mask: str
) -> None:
    shape = {"channels": channels, "height": height, "width": width}
    bank, images = textured_images(20, seed=1, **shape), textured_images(3, seed=2, **shape)
    shr = fitted(bank, ratio=ratio, mask=mask, **variant)
    out = shr.replace(images, shr.neighbour_indices(images))
    assert out.shape == images.shape
    assert torch.isfinite(out).all()
    low = ~high_frequency_mask(height, width, ratio, shape=mask).numpy()  # type: ignore[arg-type]
    np.testing.assert_allclose(spectrum(out)[..., low], spectrum(images)[..., low], atol=1e-5)


def test_statistics_move_towards_the_neighbours() -> None:
    """An image without high frequencies gets those of real images."""
    bank = textured_images(60, seed=1)
    image = textured_images(4, seed=2)
    mask = high_frequency_mask(32, 32)
    blurred = torch.fft.irfft2(torch.fft.rfft2(image) * ~mask, s=(32, 32)).clamp(0, 1)

    def high_power(x: torch.Tensor) -> float:
        return float(torch.fft.rfft2(x, norm="ortho")[..., mask].abs().square().mean())

    real, before = high_power(bank), high_power(blurred)
    after = high_power(fitted(bank)(blurred))
    assert before < 0.05 * real
    assert 0.5 * real < after < 1.5 * real


def test_alone_or_in_any_batch_gives_the_same_pixels() -> None:
    bank, images = textured_images(60, seed=1), textured_images(9, seed=2)
    for arguments in ({}, {"representation": "complex"}, {"granularity": "ring"}):
        shr = fitted(bank, **arguments)
        together = shr(images)
        assert torch.equal(together, shr(images))
        for i in (0, 4, 8):
            assert torch.equal(shr(images[i : i + 1])[0], together[i])
        assert torch.equal(shr(images.flip(0)), together.flip(0))


def test_noise_is_new_at_every_training_call_and_fixed_by_the_content_at_inference() -> None:
    bank, images = textured_images(60, seed=1), textured_images(2, seed=2)
    shr = fitted(bank)
    shr.train()
    assert not torch.equal(shr(images), shr(images))
    shr.eval()
    twins = torch.cat([images, images])
    assert torch.equal(shr(twins)[:2], shr(twins)[2:])
    other_seed = fitted(bank, seed=1)
    assert not torch.equal(shr(images), other_seed(images))


def test_a_fitted_image_never_finds_itself_or_its_patient() -> None:
    images = textured_images(40, seed=1)
    groups = torch.arange(40) // 4
    shr = StatisticalHighFrequencyReplacement(neighbours=8).fit(images, groups)
    indices = shr.neighbour_indices(images)
    assert (groups[indices] != groups[:, None]).all()


def test_a_changed_copy_of_a_fitted_image_is_not_mistaken_for_it() -> None:
    images = textured_images(40, seed=1)
    shr = StatisticalHighFrequencyReplacement(neighbours=8).fit(images)
    nudged = (images[:1] + 2 / 255).clamp(0, 1)
    assert 0 in shr.neighbour_indices(nudged)[0]
    assert 0 not in shr.neighbour_indices(images[:1])[0]


def test_images_left_out_of_a_small_bank_still_exclude_their_patient() -> None:
    images = textured_images(60, seed=1)
    groups = torch.arange(60) // 2
    shr = StatisticalHighFrequencyReplacement(neighbours=4, bank_size=30).fit(images, groups)
    assert len(shr.bank) == 30
    indices = shr.neighbour_indices(images)
    assert (shr.bank.groups[indices] != groups[:, None]).all()


def test_fewer_images_than_neighbours_ask_for_reduces_k_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        shr = fitted(textured_images(40), neighbours=200)
    assert shr.effective_neighbours == 8
    assert "reduced to 8" in caplog.text


def test_a_constant_image_stays_finite() -> None:
    shr = fitted(textured_images(40))
    out = shr(torch.full((1, 1, 32, 32), 0.5))
    assert torch.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1


def test_a_constant_bank_gives_a_constant_high_band() -> None:
    flat = torch.linspace(0.2, 0.8, 20)[:, None, None, None].expand(20, 1, 32, 32).contiguous()
    image = textured_images(1)
    shr = fitted(flat)
    out = shr.replace(image, shr.neighbour_indices(image))
    mask = high_frequency_mask(32, 32)
    assert torch.fft.rfft2(out, norm="ortho")[..., mask].abs().max() < 1e-4


@pytest.mark.parametrize("representation", ["complex", "amplitude", "log_amplitude"])
@pytest.mark.parametrize("level", [None, 0.0, 0.5])
def test_gradients_reach_the_image_and_are_finite(representation: str, level: float | None) -> None:
    """Of a constant image too, whose high band has no deviation."""
    shr = fitted(textured_images(40), representation=representation)
    image = textured_images(1, seed=2) if level is None else torch.full((1, 1, 32, 32), level)
    image.requires_grad_()
    shr.replace(image, shr.neighbour_indices(image.detach())).square().sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().max() > 0


def test_what_was_made_in_inference_mode_serves_in_training() -> None:
    shr = fitted(textured_images(40))
    image = textured_images(1, seed=2)
    with torch.inference_mode():
        expected = shr(image)
    image.requires_grad_()
    found = shr.replace(image, shr.neighbour_indices(image.detach())).clamp(0, 1)
    found.sum().backward()
    assert torch.equal(found.detach(), expected)


def test_save_and_load_give_the_same_pixels(tmp_path: object) -> None:
    bank, images = textured_images(40, channels=3), textured_images(3, channels=3, seed=2)
    shr = fitted(bank, neighbours=5, ratio=0.4)
    shr.save(tmp_path)  # type: ignore[arg-type]
    loaded = StatisticalHighFrequencyReplacement.load(tmp_path)  # type: ignore[arg-type]
    assert loaded.config() == shr.config()
    # 8- and 16-bit banks differ from float32 by rounding only, at the fit as after loading.
    assert torch.equal(loaded(images), shr(images))


@pytest.mark.parametrize(
    ("images", "what"),
    [
        (torch.full((1, 1, 32, 32), float("nan")), "NaN"),
        (torch.full((1, 1, 32, 32), 1.5), "1.5"),
        (torch.zeros(1, 2, 32, 32), "1 or 3"),
        (torch.zeros(1, 1, 32, 32, dtype=torch.uint8), "uint8"),
        (torch.zeros(1, 32, 32), "expected"),
        (torch.zeros(1, 1, 16, 16), "fitted on"),
        (torch.zeros(1, 3, 32, 32), "fitted on"),
    ],
)
def test_images_that_do_not_fit_are_refused(images: torch.Tensor, what: str) -> None:
    with pytest.raises(DataError, match=what):
        fitted(textured_images(20))(images)


def test_an_unfitted_calibrator_says_so() -> None:
    with pytest.raises(ConfigError, match="not fitted"):
        StatisticalHighFrequencyReplacement()(textured_images(1))


@pytest.mark.parametrize(
    "arguments",
    [
        {"ratio": 0.0},
        {"neighbours": 0},
        {"granularity": "pixel"},
        {"representation": "phase"},
        {"sampling": "median"},
        {"similarity": "psnr"},
        {"retrieval": "slow"},
        {"clip": 0.0},
        {"deviation_scale": -1.0},
        {"mask": "diamond"},
        {"bank_size": 0},
    ],
)
def test_arguments_outside_their_range_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        StatisticalHighFrequencyReplacement(**arguments)  # type: ignore[arg-type]


def test_too_few_images_for_one_neighbour() -> None:
    with pytest.raises(ConfigError, match="at least 10"):
        StatisticalHighFrequencyReplacement().fit(textured_images(9))


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(ConfigError, match="groups"):
        StatisticalHighFrequencyReplacement().fit(textured_images(20), [1, 2])
