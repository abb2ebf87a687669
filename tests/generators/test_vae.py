"""The VAE's formulas against distributions, and that it learns."""

import json
import math

import numpy as np
import pytest
import torch
from torch import distributions
from torch.utils.data import TensorDataset

from frerec.generators import ConditionalVAE, fit_generator
from frerec.generators.vae import kl_divergence


def discs(count: int, seed: int) -> TensorDataset:
    """Class 0: a bright disc on the left; class 1: on the right; height and size vary."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows, columns = np.mgrid[:32, :32]
    pixels = np.empty((count, 1, 32, 32), dtype=np.float32)
    for i, label in enumerate(labels):
        distance = np.hypot(rows - rng.uniform(10, 22), columns - (9 if label == 0 else 23))
        pixels[i, 0] = 0.1 + 0.8 / (1 + np.exp(distance - rng.uniform(4, 8)))
    return TensorDataset(torch.from_numpy(pixels), torch.from_numpy(labels))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("vae")
    generator = ConditionalVAE(
        num_classes=2, channels=1, image_size=32, latent_dim=8, width=8, learning_rate=3e-3
    )
    card = fit_generator(
        generator, discs(96, 0), directory=directory, steps=150, batch_size=16, seed=0,
        accelerator="cpu",
    )  # fmt: skip
    return generator, card, directory


def test_kl_divergence_is_that_of_two_gaussians():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior = distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = distributions.Normal(torch.zeros(3), torch.ones(3))
    expected = distributions.kl_divergence(posterior, prior).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


def test_the_loss_is_the_gaussian_likelihood_at_its_best_variance():
    generator = ConditionalVAE(
        num_classes=2, channels=1, image_size=32, latent_dim=4, width=4, beta=0.7, kl_warmup=0.0
    )
    images, labels = discs(6, 0)[:]
    torch.manual_seed(0)
    out = generator.training_step((images, labels), 0)
    # Independently: minus log N(x; mean, variance), minimised over the variance on a fine grid.
    mse, values = float(out["mse"]), 32 * 32
    variances = mse * np.exp(np.linspace(-2, 2, 20001))
    likelihood = 0.5 * (np.log(2 * math.pi * variances) + mse / variances)
    constant = 0.5 * (math.log(2 * math.pi) + 1)
    expected = likelihood.min() - constant + 0.7 * float(out["kl"]) / values
    assert float(out["loss"].detach()) == pytest.approx(expected, abs=1e-4)


def test_the_kl_weight_rises_over_the_warm_up():
    generator = ConditionalVAE(
        num_classes=2, channels=1, image_size=32, latent_dim=4, width=4, beta=2.0, kl_warmup=0.5
    )
    generator.total_steps = 20
    weights = []
    for _ in range(12):
        weights.append(generator._kl_weight())
        generator.averaged_steps += 1
    np.testing.assert_allclose(weights, np.minimum(np.arange(1, 13) / 10, 1))


def test_it_learns_to_reconstruct_images_that_it_has_not_seen(trained):
    generator, _, directory = trained
    lines = (directory / "log.jsonl").read_text().splitlines()
    assert len(lines) >= 10
    unseen, labels = discs(40, 1)[:]
    error = float((generator.reconstruct(unseen, labels) - unseen).square().mean())
    training, training_labels = discs(96, 0)[:]
    by_class = torch.stack([training[training_labels == c].mean(0) for c in (0, 1)])
    mean_error = float((by_class[labels] - unseen).square().mean())
    assert error < 0.5 * mean_error


def test_the_loss_falls(trained):
    _, card, directory = trained
    losses = [json.loads(x)["train/loss"] for x in (directory / "log.jsonl").open()]
    assert losses[-1] < losses[0] - 0.3
    assert card["final"]["train/loss"] == pytest.approx(losses[-1], rel=1e-4)


def test_samples_show_their_class(trained):
    generator = trained[0]
    for label in (0, 1):
        samples = generator.sample(torch.full((32,), label), seed=0)
        left, right = samples[..., :16].mean((1, 2, 3)), samples[..., 16:].mean((1, 2, 3))
        brighter = (left > right) if label == 0 else (right > left)
        assert float(brighter.float().mean()) > 0.9


def test_samples_vary_and_the_temperature_tames_them(trained):
    generator, _, directory = trained
    labels = torch.zeros(32, dtype=torch.int64)
    spread = float(generator.sample(labels, 0).std(0).mean())
    real = discs(96, 0).tensors[0][::2]
    assert spread > 0.3 * float(real.std(0).mean())
    calm = ConditionalVAE.load(directory)
    calm.temperature = 0.0
    still = calm.sample(labels, 0)
    torch.testing.assert_close(still, still[:1].expand_as(still), atol=1e-5, rtol=0)


def test_the_prior_of_a_class_is_the_moments_of_its_posteriors(trained):
    generator = trained[0]
    images, labels = discs(96, 0)[:]
    with torch.no_grad():
        mean, log_variance = generator.averaged.encode(images, labels)
    mean, variance = mean.double().numpy(), log_variance.exp().double().numpy()
    for label in (0, 1):
        rows = labels.numpy() == label
        covariance = np.cov(mean[rows].T, bias=True)
        keep = rows.sum() / (rows.sum() + 8)
        expected = keep * covariance + (1 - keep) * np.diag(np.diag(covariance))
        expected += np.diag(variance[rows].mean(0))
        factor = generator.prior_factor[label].double().numpy()
        np.testing.assert_allclose(factor @ factor.T, expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(generator.prior_mean[label], mean[rows].mean(0), atol=1e-4)


def test_upsampling_leaves_no_checkerboard():
    """An untrained decoder's response has no peak at the Nyquist frequency of its pixel grid."""
    generator = ConditionalVAE(num_classes=1, channels=1, image_size=64, latent_dim=8, width=8)
    images = generator.sample(torch.zeros(16, dtype=torch.int64), 0)[:, 0].numpy()
    inner = images[:, 8:-8, 8:-8]  # zero padding makes edges of its own
    power = (np.abs(np.fft.fft2(inner - inner.mean((1, 2), keepdims=True))) ** 2).mean(0)
    half = power.shape[0] // 2
    for spectrum in (power, power.T):  # a checkerboard is a peak of the Nyquist row
        assert spectrum[half].mean() < 2 * spectrum[half - 3].mean()
