"""The formulas of the noise process against NumPy, MONAI and a distribution known exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.schedulers.ddim import DDIMScheduler

from frerec.errors import ConfigError
from frerec.generators.ddpm_process import (
    PREDICTIONS,
    SCHEDULES,
    TIMESTEPS,
    NoiseProcess,
    sampling_times,
)

TIMES = torch.tensor([0, 20, 500, 999])


def alpha_bar(schedule: str) -> np.ndarray:
    """The papers' formulas, in double precision."""
    if schedule == "cosine":
        t = np.arange(1001) / 1000
        f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
        return np.cumprod(1 - np.clip(1 - f[1:] / f[:-1], 0, 0.999))
    root = np.linspace(1e-4**0.5, 0.02**0.5, 1000) ** 2
    betas = root if schedule == "scaled_linear" else np.linspace(1e-4, 0.02, 1000)
    return np.cumprod(1 - betas)


def drawn(seed: int = 0):
    stream = torch.Generator().manual_seed(seed)
    images = torch.rand(4, 3, 8, 8, generator=stream) * 2 - 1
    return images, torch.randn(4, 3, 8, 8, generator=stream)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_noising_is_the_closed_form(schedule):
    images, noise = drawn()
    process = NoiseProcess(schedule=schedule, prediction="epsilon")
    a = alpha_bar(schedule)[TIMES.numpy()][:, None, None, None]
    expected = np.sqrt(a) * images.numpy() + np.sqrt(1 - a) * noise.numpy()
    noisy = process.noised(images, noise, TIMES).numpy()
    np.testing.assert_allclose(noisy, expected, atol=2e-5)


def test_the_target_is_the_noise_or_the_velocity():
    images, noise = drawn()
    epsilon = NoiseProcess(schedule="linear", prediction="epsilon")
    assert torch.equal(epsilon.target(images, noise, TIMES), noise)
    velocity = NoiseProcess(schedule="linear", prediction="v_prediction")
    a = alpha_bar("linear")[TIMES.numpy()][:, None, None, None]
    expected = np.sqrt(a) * noise.numpy() - np.sqrt(1 - a) * images.numpy()
    np.testing.assert_allclose(velocity.target(images, noise, TIMES).numpy(), expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    schedule=st.sampled_from(list(SCHEDULES)),
    prediction=st.sampled_from(PREDICTIONS),
    time=st.integers(0, 900),
    seed=st.integers(0, 10),
)
def test_a_perfect_prediction_gives_image_and_noise_back(schedule, prediction, time, seed):
    images, noise = drawn(seed)
    process = NoiseProcess(schedule=schedule, prediction=prediction)
    times = torch.full((4,), time)
    noisy = process.noised(images, noise, times)
    got_images, got_noise = process.split(process.target(images, noise, times), noisy, times)
    torch.testing.assert_close(got_images, images, atol=1e-4, rtol=0)
    torch.testing.assert_close(got_noise, noise, atol=1e-4, rtol=0)


def test_min_snr_weights_are_those_of_the_paper():
    a = alpha_bar("cosine")[TIMES.numpy()]
    snr = a / (1 - a)
    for prediction, below in (("epsilon", snr), ("v_prediction", snr + 1)):
        process = NoiseProcess(schedule="cosine", prediction=prediction)
        expected = np.minimum(snr, 5.0) / below
        np.testing.assert_allclose(process.weights(TIMES, 5.0).numpy(), expected, rtol=2e-3)
        assert torch.equal(process.weights(TIMES, None), torch.ones(4))


def test_sampling_begins_at_the_noisiest_step_and_is_even():
    assert sampling_times(4) == [999, 749, 499, 249]
    assert sampling_times(1) == [999]
    assert sampling_times(TIMESTEPS) == list(range(999, -1, -1))
    for steps in (7, 30, 300, 999):
        times = sampling_times(steps)
        gaps = -np.diff([*times, -1])
        assert times[0] == 999
        assert len(times) == steps
        assert set(gaps) <= {1000 // steps, 1000 // steps + 1}


def test_quadratic_spacing_is_dense_where_there_is_little_noise():
    assert sampling_times(4, "quadratic") == [999, 561, 249, 61]
    assert sampling_times(1000, "quadratic")[-3:] == [2, 1, 0]  # each time once only


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_step_back_is_monais_where_monai_is_right(prediction):
    """MONAI takes steps of 1000 // steps; at our times those are the right ones."""
    process = NoiseProcess(schedule="linear", prediction=prediction)
    monai = DDIMScheduler(TIMESTEPS, "linear_beta", clip_sample=False, prediction_type=prediction)
    monai.set_timesteps(10)
    noise = drawn()[1]
    expected = noise
    for time in range(999, 0, -100):
        expected, _ = monai.step(0.9 * expected.tanh(), time, expected)
    got = process.reverse(lambda noisy, _: 0.9 * noisy.tanh(), noise, steps=10, clip=False)
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-3)


def exact(process: NoiseProcess, mean: float, deviation: float):
    """The best prediction where the images are N(mean, deviation squared), pixel by pixel."""

    def predict(noisy, times):
        signal, sigma = process.levels(times)
        variance = signal**2 * deviation**2 + sigma**2
        noise = sigma * (noisy - signal * mean) / variance
        images = mean + signal * deviation**2 * (noisy - signal * mean) / variance
        return process.target(images, noise, times)

    return predict


def quantiles() -> torch.Tensor:
    """Noise [1, 1, 32, 32] whose own moments are those of N(0, 1), without a sample's error."""
    parts = (torch.arange(1024, dtype=torch.float64) + 0.5) / 1024
    noise = torch.special.ndtri(parts).float()
    return (noise / noise.std()).view(1, 1, 32, 32)


# At the noisiest step 2.7 % of the image are left in scaled_linear, which moves the mean a little.
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("steps", "spacing", "loss"),
    [(1000, "even", 0.01), (300, "even", 0.03), (50, "even", 0.14), (50, "quadratic", 0.05)],
)
def test_sampling_recovers_a_gaussian_from_its_exact_score(
    schedule, prediction, steps, spacing, loss
):
    process = NoiseProcess(schedule=schedule, prediction=prediction)
    predict = exact(process, 0.4, 0.2)
    images = process.reverse(predict, quantiles(), steps=steps, spacing=spacing, clip=False)
    assert float(images.mean()) == pytest.approx(0.4, abs=0.003)
    assert 0.2 * (1 - loss) <= float(images.std()) <= 0.2


def test_quadratic_spacing_keeps_fine_structure_that_even_spacing_loses():
    process = NoiseProcess(schedule="cosine", prediction="v_prediction")
    predict = exact(process, 0.0, 0.02)
    kept = [
        float(process.reverse(predict, quantiles(), steps=50, spacing=spacing).std()) / 0.02
        for spacing in ("even", "quadratic")
    ]
    assert kept[0] < 0.5
    assert kept[1] > 0.85


def test_a_clipped_estimate_and_its_noise_still_add_up():
    process = NoiseProcess(schedule="cosine", prediction="epsilon")
    seen = []

    def predict(noisy, times):
        seen.append((noisy, times))
        return torch.zeros_like(noisy)  # the image would be x_t / 5e-5

    noise = drawn()[1]
    images = process.reverse(predict, noise, steps=2)
    assert float(images.abs().max()) <= 1.0
    now, then = process.levels(seen[0][1]), process.levels(seen[1][1])
    residue = (noise - now[0] * noise.sign()) / now[1]
    torch.testing.assert_close(seen[1][0], then[0] * noise.sign() + then[1] * residue)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "sine"}, "generator noise_schedule=sine: expected one of linear, scaled_"),
        ({"prediction": "x0"}, "generator prediction=x0: expected one of epsilon, v_prediction"),
    ],
)
def test_unknown_names_are_one_line_errors(changes, words):
    with pytest.raises(ConfigError) as caught:
        NoiseProcess(**({"schedule": "linear", "prediction": "epsilon"} | changes))
    assert words in str(caught.value)
