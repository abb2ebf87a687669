"""A small class-conditional variational autoencoder (Kingma and Welling 2014; Sohn et al. 2015).

Its samples are blurred: plain low-pass spectra, which is the misalignment that FreRec repairs.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from frerec.errors import ConfigError, DataError
from frerec.generators.learned import LearnedGenerator

DOWNSAMPLING = 16  # four halvings between the image and the latent grid


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)) + class bias)))), [B, C, H, W] to the same."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        groups = math.gcd(8, channels)
        self.norm1, self.norm2 = nn.GroupNorm(groups, channels), nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.condition = nn.Linear(embedding, channels)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        """X [B, C, H, W] and class embeddings [B, embedding] to [B, C, H, W]."""
        h = self.conv1(F.silu(self.norm1(x))) + self.condition(embedded)[:, :, None, None]
        out: Tensor = x + self.conv2(F.silu(self.norm2(h)))
        return out


class VAENetwork(nn.Module):
    """Encoder and decoder, both told the class.

    Args:
        channels: 1 or 3.
        num_classes: Number of classes.
        image_size: A multiple of 16.
        latent_dim: Size of the latent vector.
        width: Channels at half resolution; they double at every further halving.
    """

    def __init__(
        self, *, channels: int, num_classes: int, image_size: int, latent_dim: int, width: int
    ) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.grid = image_size // DOWNSAMPLING
        self.deepest = widths[-1]
        embedding = 32
        self.embed = nn.Embedding(num_classes, embedding)
        steps_in = [channels, *widths[:-1]]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in zip(steps_in, widths, strict=True)
        )
        # At half resolution a block would cost as much as all the others together.
        self.encode_blocks = nn.ModuleList(ResidualBlock(w, embedding) for w in widths[1:])
        flat = self.deepest * self.grid**2
        self.to_latent = nn.Linear(flat + embedding, 2 * latent_dim)
        self.from_latent = nn.Linear(latent_dim + embedding, flat)
        back = widths[::-1]
        self.decode_blocks = nn.ModuleList(ResidualBlock(w, embedding) for w in back[:-1])
        # Nearest-neighbour upsampling before a convolution leaves no checkerboard
        # (Odena et al., 2016), which a transposed convolution would.
        self.up = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(back))
        # Full resolution is the dearest: one convolution there, from few channels.
        self.narrow = nn.Conv2d(width, max(width // 2, 4), 3, padding=1)
        self.out = nn.Conv2d(max(width // 2, 4), channels, 3, padding=1)

    def encode(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance [B, latent_dim] of the posterior of images in [0, 1]."""
        embedded, h = self.embed(labels), 2.0 * images - 1.0
        h = F.silu(self.down[0](h))
        for down, block in zip(self.down[1:], self.encode_blocks, strict=True):
            h = block(down(h), embedded)
        mean, log_variance = self.to_latent(torch.cat([h.flatten(1), embedded], 1)).chunk(2, 1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images [B, C, H, W] of latents; not clamped."""
        embedded = self.embed(labels)
        h = self.from_latent(torch.cat([latents, embedded], 1))
        h = h.view(-1, self.deepest, self.grid, self.grid)
        for block, up in zip(self.decode_blocks, self.up, strict=True):
            h = F.silu(up(F.interpolate(block(h, embedded), scale_factor=2.0)))
        h = F.silu(self.narrow(h))
        images: Tensor = 0.5 + 0.5 * self.out(F.interpolate(h, scale_factor=2.0))
        return images


class ConditionalVAE(LearnedGenerator):
    """Class-conditional VAE with the optimal decoder variance and a fitted class prior [ours].

    The loss of an image with D values is ``D/2 ln(mse) + beta KL``: the Gaussian likelihood with
    its variance at the optimum, the batch's mean squared error (sigma-VAE, Rybkin et al., ICML
    2021), so that no weight has to be tuned per data set. Sampling draws from a Gaussian fitted
    per class to the posteriors of the training images (as in two-stage VAEs, Dai and Wipf, ICLR
    2019), because a small VAE's posteriors do not fill N(0, I).

    Args:
        num_classes: Number of classes.
        channels: 1 or 3.
        image_size: A multiple of 16, in pixels.
        latent_dim: Size of the latent vector.
        width: Channels at half resolution.
        beta: Weight of the KL divergence.
        kl_warmup: Fraction of the steps over which the KL weight rises from 0 to ``beta``.
        temperature: Factor of the prior's standard deviation when sampling.
        learning_rate: Of AdamW; falls to a twentieth by a cosine.
        ema_decay: Of the averaged weights that make the samples.
        seed: Of the initial weights.

    Raises:
        ConfigError: If an argument is out of range; the message names it.
    """

    sampling_arguments = ("temperature",)
    prior_mean: Tensor
    prior_factor: Tensor
    network: VAENetwork
    averaged: VAENetwork

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int,
        image_size: int,
        latent_dim: int = 64,
        width: int = 16,
        beta: float = 1.0,
        kl_warmup: float = 0.1,
        temperature: float = 1.0,
        learning_rate: float = 1e-3,
        ema_decay: float = 0.99,
        seed: int = 0,
    ) -> None:
        if image_size < DOWNSAMPLING or image_size % DOWNSAMPLING:
            raise ConfigError(
                f"generator image_size={image_size}: the VAE needs a multiple of {DOWNSAMPLING};"
                f" set data.image_size={max(round(image_size / DOWNSAMPLING), 1) * DOWNSAMPLING}"
            )
        for key, value, least in (
            ("width", width, 1),
            ("beta", beta, 0.0),
            ("kl_warmup", kl_warmup, 0.0),
            ("temperature", temperature, 0.0),
        ):
            if value < least:
                raise ConfigError(f"generator {key}={value}: expected at least {least}")
        super().__init__(
            num_classes=num_classes,
            channels=channels,
            image_size=image_size,
            latent_dim=latent_dim,
            ema_decay=ema_decay,
        )
        self.save_hyperparameters()
        self.beta, self.kl_warmup, self.temperature = beta, kl_warmup, temperature
        self.learning_rate = learning_rate
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = VAENetwork(
                channels=channels,
                num_classes=num_classes,
                image_size=image_size,
                latent_dim=latent_dim,
                width=width,
            )
        # A quarter faster on a CPU at 128 px, and what a GPU's half precision prefers.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.track_average()
        self.register_buffer("prior_mean", torch.zeros(num_classes, latent_dim))
        self.register_buffer("prior_factor", torch.eye(latent_dim).repeat(num_classes, 1, 1))

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_idx: int) -> dict[str, Tensor]:
        """Negative ELBO per image value, with its two parts."""
        images, labels = batch
        mean, log_variance = self.network.encode(images, labels)
        latents = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        error = F.mse_loss(self.network.decode(latents, labels).float(), images)
        divergence = kl_divergence(mean, log_variance).mean()
        values = images[0].numel()
        weight = self.beta * self._kl_weight()
        loss = 0.5 * (error + 1e-6).log() + weight * divergence / values
        return {"loss": loss, "mse": error.detach(), "kl": divergence.detach()}

    def _kl_weight(self) -> float:
        warm = self.kl_warmup * self.total_steps
        return min(1.0, (1 + int(self.averaged_steps)) / warm) if warm > 0 else 1.0

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine from ``learning_rate`` to a twentieth over ``total_steps``."""
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, max(self.total_steps, 1), eta_min=self.learning_rate / 20
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    @torch.no_grad()
    def conclude(self, images: Dataset[tuple[Tensor, int]], *, batch_size: int) -> None:
        """Fit the prior of each class: mean and covariance of its aggregated posterior.

        The covariance is that of the posterior means plus the mean posterior variance, the former
        shrunk to its diagonal where a class has few images for ``latent_dim`` numbers [ours].

        Raises:
            DataError: If a class has no image.
        """
        means, variances, labels = [], [], []
        for batch, label in DataLoader(images, batch_size=batch_size):
            mean, log_variance = self.averaged.encode(batch.to(self.device), label.to(self.device))
            means.append(mean.double().cpu())
            variances.append(log_variance.exp().double().cpu())
            labels.append(label)
        mu, var, label = torch.cat(means), torch.cat(variances), torch.cat(labels)
        for index in range(self.num_classes):
            rows = label == index
            count = int(rows.sum())
            if count == 0:
                raise DataError(
                    f"class number {index} has no training image; a conditional generator needs"
                    " images of every class"
                )
            centre = mu[rows].mean(0)
            deviations = mu[rows] - centre
            covariance = deviations.T @ deviations / count
            keep = count / (count + self.latent_dim)
            diagonal = torch.diag(covariance.diagonal())
            covariance = keep * covariance + (1 - keep) * diagonal + torch.diag(var[rows].mean(0))
            self.prior_mean[index] = centre.to(self.prior_mean)
            self.prior_factor[index] = torch.linalg.cholesky(covariance).to(self.prior_factor)

    def set_sampling(self, **settings: Any) -> None:
        """Take another ``temperature``, at least 0."""
        super().set_sampling(**settings)
        temperature = settings.get("temperature", self.temperature)
        if temperature < 0:
            raise ConfigError(f"generator temperature={temperature}: expected at least 0.0")
        self.temperature = temperature
        self.hparams.update(temperature=temperature)

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Standard normal latents through the class prior and the averaged decoder."""
        factor = self.temperature * self.prior_factor[labels]
        drawn = self.prior_mean[labels] + torch.einsum("nij,nj->ni", factor, latents)
        return self.averaged.decode(drawn, labels)

    @torch.inference_mode()
    def reconstruct(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images [n, C, H, W] in [0, 1] through the averaged network at the posterior mean."""
        mean, _ = self.averaged.encode(images, labels)
        return self.averaged.decode(mean, labels).clamp(0.0, 1.0)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in nats, [B, d] to [B]."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).sum(1)
