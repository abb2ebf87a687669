"""A class-conditional diffusion model on MONAI's UNet (Ho et al., NeurIPS 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from frerec.errors import ConfigError, DataError
from frerec.generators.ddpm_network import PatchedUNet
from frerec.generators.ddpm_process import TIMESTEPS, NoiseProcess, sampling_times
from frerec.generators.learned import LearnedGenerator

DECAYS = ("cosine", "constant")


class ConditionalDDPM(LearnedGenerator):
    """Diffusion with classifier-free guidance (Ho and Salimans, 2022) and DDIM sampling.

    A latent is the noise that a sampling begins with, one number a pixel and channel; nothing
    random comes in later. The network learns the classes and, as one label more, none of them.

    Args:
        num_classes: Number of classes.
        channels: 1 or 3.
        image_size: In pixels; a multiple of ``patch`` times 2 to the number of halvings.
        widths: Channels of the UNet at each resolution, the finest first.
        attention: For each resolution, whether it attends to itself; the middle always does.
        res_blocks: Residual blocks a resolution.
        head_channels: Channels of an attention head.
        norm_groups: Groups of the normalisation; a divisor of every width.
        patch: Side of the squares of pixels folded into channels before the UNet: 1, 2 or 4.
        noise_schedule: "linear", "scaled_linear" or "cosine"; see :class:`NoiseProcess`.
        prediction: "epsilon" or "v_prediction".
        min_snr: Gamma of the min-SNR weights of the loss, or None for equal weights.
        label_dropout: Probability of training an image under the empty label, in [0, 1).
        guidance: Weight w of eps_u + w (eps_c - eps_u), above 0; 1: no guidance, half the cost.
        sampling_steps: Evaluations of the network for an image, 1 to 1000.
        sampling_spacing: "even" or "quadratic"; see :func:`sampling_times`.
        learning_rate: Of AdamW.
        warmup: Steps over which the learning rate rises to its full value.
        decay: "cosine", to a twentieth at the last step, or "constant".
        ema_decay: Of the averaged weights that make the samples.
        seed: Of the initial weights.

    Raises:
        ConfigError: If an argument is out of range; the message names it.
    """

    sampling_arguments = ("guidance", "sampling_steps", "sampling_spacing")
    batch_size = 16  # [ours] a request for a few images draws no more than 15 in vain

    network: PatchedUNet
    averaged: PatchedUNet

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int,
        image_size: int,
        widths: Sequence[int] = (32, 64, 128),
        attention: Sequence[bool] = (False, False, True),
        res_blocks: int = 1,
        head_channels: int = 32,
        norm_groups: int = 8,
        patch: int = 1,
        noise_schedule: str = "cosine",
        prediction: str = "v_prediction",
        min_snr: float | None = None,
        label_dropout: float = 0.1,
        guidance: float = 1.0,
        sampling_steps: int = 50,
        sampling_spacing: str = "quadratic",
        learning_rate: float = 1e-3,
        warmup: int = 100,
        decay: str = "cosine",
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        widths, attention = list(widths), list(attention)
        super().__init__(
            num_classes=num_classes,
            channels=channels,
            image_size=image_size,
            latent_dim=max(channels * image_size**2, 1),
            ema_decay=ema_decay,
        )
        if min_snr is not None and min_snr <= 0.0:
            raise ConfigError(f"generator min_snr={min_snr}: expected null or a number above 0")
        if not 0.0 <= label_dropout < 1.0:
            raise ConfigError(
                f"generator label_dropout={label_dropout}: expected a number in [0, 1)"
            )
        if warmup < 0:
            raise ConfigError(f"generator warmup={warmup}: expected a number of steps, 0 or more")
        if learning_rate <= 0.0:
            raise ConfigError(f"generator learning_rate={learning_rate}: expected a number above 0")
        if decay not in DECAYS:
            raise ConfigError(f"generator decay={decay}: expected one of {', '.join(DECAYS)}")
        check_sampling(guidance, sampling_steps, sampling_spacing, label_dropout)
        self.save_hyperparameters()
        self.process = NoiseProcess(schedule=noise_schedule, prediction=prediction)
        self.min_snr, self.label_dropout = min_snr, label_dropout
        self.guidance = guidance
        self.sampling_steps, self.sampling_spacing = sampling_steps, sampling_spacing
        self.learning_rate, self.warmup, self.decay = learning_rate, warmup, decay
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = PatchedUNet(
                channels=channels,
                num_labels=num_classes + 1,
                image_size=image_size,
                widths=widths,
                attention=attention,
                res_blocks=res_blocks,
                head_channels=head_channels,
                norm_groups=norm_groups,
                patch=patch,
            )
        # What a GPU's half precision prefers; no slower on a CPU.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.track_average()

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_idx: int) -> dict[str, Tensor]:
        """Weighted mean squared error of the prediction at random times, and unweighted."""
        images, labels = batch
        clean, noise = 2.0 * images.float() - 1.0, torch.randn_like(images, dtype=torch.float32)
        times = spread_times(len(images), images.device)
        told = self.drop_labels(labels)
        noisy = self.process.noised(clean, noise, times)
        output = self.network(noisy.to(images.dtype), times, told).float()
        error = (output - self.process.target(clean, noise, times)).square().mean((1, 2, 3))
        loss = (self.process.weights(times, self.min_snr) * error).mean()
        return {"loss": loss, "mse": error.mean().detach()}

    def drop_labels(self, labels: Tensor) -> Tensor:
        """Labels int64 [n] with ``label_dropout`` of them replaced by the empty one."""
        dropped = torch.rand(len(labels), device=labels.device) < self.label_dropout
        return labels.masked_fill(dropped, self.num_classes)

    def configure_optimizers(self) -> Any:
        """AdamW with a linear warm-up, then as ``decay`` says over ``total_steps``."""
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def rate(self, step: int) -> float:
        """Factor of the learning rate at a step counted from 0."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup > 0 else 1.0
        if self.decay == "constant":
            return warm
        done = min(step / max(self.total_steps, 1), 1.0)
        return warm * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * done)))

    def conclude(self, images: Dataset[tuple[Tensor, int]], *, batch_size: int) -> None:  # noqa: ARG002
        """See that every label was there to be learned.

        Raises:
            DataError: If a class has no image.
        """
        seen = {int(images[row][1]) for row in range(len(images))}  # type: ignore[arg-type]
        for index in range(self.num_classes):
            if index not in seen:
                raise DataError(
                    f"class number {index} has no training image; a conditional generator needs"
                    " images of every class"
                )

    def set_sampling(self, **settings: Any) -> None:
        """Take another ``guidance``, ``sampling_steps`` or ``sampling_spacing``.

        No weight changes, but the fingerprint does.

        Raises:
            ConfigError: If a value is out of range.
        """
        super().set_sampling(**settings)
        guidance = settings.get("guidance", self.guidance)
        steps = settings.get("sampling_steps", self.sampling_steps)
        spacing = settings.get("sampling_spacing", self.sampling_spacing)
        check_sampling(guidance, steps, spacing, self.label_dropout)
        self.guidance, self.sampling_steps, self.sampling_spacing = guidance, steps, spacing
        self.hparams.update(guidance=guidance, sampling_steps=steps, sampling_spacing=spacing)

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Noise [n, C * H * W] through ``sampling_steps`` of the averaged network."""
        noise = latents.view(-1, self.channels, self.image_size, self.image_size)

        def predict(noisy: Tensor, times: Tensor) -> Tensor:
            return self.guided(noisy, times, labels)

        images = self.process.reverse(
            predict, noise, steps=self.sampling_steps, spacing=self.sampling_spacing
        )
        return 0.5 + 0.5 * images

    def guided(self, noisy: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """The averaged network's prediction [n, C, H, W] of x_t, guided towards the labels.

        Ho and Salimans, 2022, eq. 6 with w their 1 + w. As v is a linear function of the noise
        for a given x_t, the formula is the same for both.
        """
        output: Tensor
        if self.guidance == 1.0:
            output = self.averaged(noisy, times, labels)
            return output
        both = torch.cat([labels, torch.full_like(labels, self.num_classes)])
        output = self.averaged(noisy.repeat(2, 1, 1, 1), times.repeat(2), both)
        told, untold = output.chunk(2)
        return untold + self.guidance * (told - untold)


def spread_times(count: int, device: torch.device) -> Tensor:
    """Uniform times int64 [count], one in each of ``count`` equal parts, in random order.

    Spreading them makes the loss less noisy (Kingma et al., NeurIPS 2021, appendix I.1).
    """
    parts = torch.randperm(count, device=device)
    fractions = (parts + torch.rand(1, device=device)) / count
    return (fractions * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)


def check_sampling(guidance: float, steps: int, spacing: str, label_dropout: float) -> None:
    """Refuse what cannot be sampled with.

    Raises:
        ConfigError: Names the argument.
    """
    if guidance <= 0.0:
        raise ConfigError(f"generator guidance={guidance}: expected a number above 0 (1: none)")
    if guidance != 1.0 and label_dropout == 0.0:
        raise ConfigError(
            f"generator guidance={guidance}: needs the prediction without a label; train with"
            " label_dropout=0.1, or set guidance=1"
        )
    if not 1 <= steps <= TIMESTEPS:
        raise ConfigError(
            f"generator sampling_steps={steps}: expected an integer from 1 to {TIMESTEPS}"
        )
    sampling_times(steps, spacing)
