"""FastGAN (Liu et al., ICLR 2021), class-conditional: sharp samples from few images, cheaply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from frerec.errors import ConfigError, DataError
from frerec.generators.diff_augment import check_policy, diff_augment
from frerec.generators.fastgan_losses import (
    RECONSTRUCTION,
    hinge_discriminator,
    hinge_generator,
)
from frerec.generators.fastgan_networks import (
    SIDES,
    DiscriminatorNetwork,
    GeneratorNetwork,
    Images,
    both_sizes,
    crop_quadrant,
)
from frerec.generators.learned import LearnedGenerator
from frerec.training_tools import derive_seed

STATISTICS = 12  # stream of derive_seed for the latents that batch statistics are measured on
BATCHES, BATCH = 8, 64  # of these latents


class ConditionalFastGAN(LearnedGenerator):
    """A GAN with skip-layer excitation and a discriminator that also reconstructs real images.

    One step trains the discriminator once, by the hinge loss and by how well small decoders of its
    features reconstruct the real images (whole, one random quadrant, and the small size), then the
    generator once on the same generated images. Both see images through DiffAugment. The paper
    measures reconstructions by LPIPS, which needs a pretrained network; here it is a loss without
    weights [ours], ``pyramid`` or ``l1``. Classes, which the paper has not, come in by an
    embedding beside the latents and by a projection discriminator [ours]; generated images get
    the labels of the batch, shuffled, so that both sides have the same classes.

    Args:
        num_classes: Number of classes.
        channels: 1 or 3.
        image_size: 64, 128 or 256 pixels.
        latent_dim: Numbers of a latent vector.
        width: Of the generator: its channels at 128 px.
        discriminator_width: Of the discriminator: its channels at 64 px.
        augment: What DiffAugment does: some of color, translation, cutout.
        reconstruction: ``pyramid`` or ``l1``.
        reconstruction_weight: Of the reconstruction beside the hinge loss, at least 0.
        learning_rate: Of the generator's Adam.
        discriminator_learning_rate: Of the discriminator's Adam.
        beta1: Of both Adams, in [0, 1).
        ema_decay: Of the averaged weights that make the samples.
        seed: Of the initial weights.

    Raises:
        ConfigError: If an argument is out of range; the message names it.
    """

    network: GeneratorNetwork
    averaged: GeneratorNetwork
    class_counts: Tensor
    gradient_clip: float | None = None  # set by fit_generator
    helpers = ("discriminator", "class_counts")

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int,
        image_size: int,
        latent_dim: int = 256,
        width: int = 64,
        discriminator_width: int = 64,
        augment: Sequence[str] = ("color", "translation"),
        reconstruction: str = "pyramid",
        reconstruction_weight: float = 1.0,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        beta1: float = 0.5,
        ema_decay: float = 0.999,
        seed: int = 0,
    ) -> None:
        if image_size not in SIDES:
            nearest = min(SIDES, key=lambda side: abs(side - image_size))
            raise ConfigError(
                f"generator image_size={image_size}: FastGAN makes images of"
                f" {', '.join(map(str, SIDES))} pixels; set data.image_size={nearest}"
            )
        for key, value, least in (
            ("width", width, 4),
            ("discriminator_width", discriminator_width, 4),
            ("reconstruction_weight", reconstruction_weight, 0.0),
            ("learning_rate", learning_rate, 0.0),
            ("discriminator_learning_rate", discriminator_learning_rate, 0.0),
        ):
            if value < least:
                raise ConfigError(f"generator {key}={value}: expected at least {least}")
        if not 0.0 <= beta1 < 1.0:
            raise ConfigError(f"generator beta1={beta1}: expected a number in [0, 1)")
        if reconstruction not in RECONSTRUCTION:
            raise ConfigError(
                f"generator reconstruction={reconstruction}: expected one of"
                f" {', '.join(RECONSTRUCTION)}"
            )
        check_policy(augment)
        augment = list(augment)  # what the config file of a saved generator holds
        super().__init__(
            num_classes=num_classes,
            channels=channels,
            image_size=image_size,
            latent_dim=latent_dim,
            ema_decay=ema_decay,
        )
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.augment, self.reconstruction_weight = augment, reconstruction_weight
        self.reconstruction_loss = RECONSTRUCTION[reconstruction]
        self.rates, self.beta1 = (discriminator_learning_rate, learning_rate), beta1
        shared = {"channels": channels, "num_classes": num_classes, "image_size": image_size}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = GeneratorNetwork(**shared, latent_dim=latent_dim, width=width)
            self.discriminator = DiscriminatorNetwork(**shared, width=discriminator_width)
        for module in (self.network, self.discriminator):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.track_average()
        self.register_buffer("class_counts", torch.zeros(num_classes, dtype=torch.int64))
        self._stale = False  # whether the average moved on since its statistics were measured

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_idx: int) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator."""
        images, labels = batch
        images = images.contiguous(memory_format=torch.channels_last)
        self.class_counts += torch.bincount(labels, minlength=self.num_classes)
        optimizers: Any = self.optimizers()
        discriminator_optimizer, generator_optimizer = optimizers
        count = len(images)
        latents = torch.randn(count, self.latent_dim, device=images.device)
        fake_labels = labels[torch.randperm(count, device=labels.device)]
        made = self.network(latents, fake_labels)
        fake = Images(diff_augment(made.full, self.augment), diff_augment(made.half, self.augment))
        real = both_sizes(diff_augment(2.0 * images - 1.0, self.augment))

        self.discriminator.requires_grad_(True)
        adversarial, reconstruction = self.discriminator_loss(
            real, labels, Images(fake.full.detach(), fake.half.detach()), fake_labels
        )
        total = adversarial + self.reconstruction_weight * reconstruction
        discriminator_optimizer.zero_grad()
        self.manual_backward(total)
        discriminator_optimizer.step()

        self.discriminator.requires_grad_(False)  # only the generator learns from here on
        wanted = hinge_generator(self.discriminator(fake, fake_labels).scores)
        generator_optimizer.zero_grad()
        self.manual_backward(wanted)
        generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        parts = {"d_loss": adversarial, "g_loss": wanted, "reconstruction": reconstruction}
        detached = {name: value.detach() for name, value in parts.items()}
        return {"loss": total.detach() + detached["g_loss"], **detached}

    def discriminator_loss(
        self, real: Images, labels: Tensor, fake: Images, fake_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Hinge loss, and mean error of three reconstructions of the real images; two scalars."""
        # Each in a batch of its own, as in the public code: batch norm does not mix them.
        verdict = self.discriminator(real, labels)
        fake_scores = self.discriminator(fake, fake_labels).scores
        quadrant = int(torch.randint(4, ()))
        whole, part, half = self.discriminator.reconstruct(verdict, quadrant)
        reconstruction = (
            self.reconstruction_loss(whole, real.half)
            + self.reconstruction_loss(part, crop_quadrant(real.full, quadrant))
            + self.reconstruction_loss(half, real.half)
        ) / 3.0
        return hinge_discriminator(verdict.scores, fake_scores), reconstruction

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient; Lightning calls this when a 16-bit gradient is unscaled already."""
        if self.gradient_clip is not None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.gradient_clip)

    def configure_optimizers(self) -> Any:
        """Two Adams of constant rates: the discriminator's, the generator's."""
        return [
            torch.optim.Adam(module.parameters(), lr=rate, betas=(self.beta1, 0.999))
            for module, rate in zip((self.discriminator, self.network), self.rates, strict=True)
        ]

    def on_train_batch_end(self, *args: Any) -> None:
        """Move the average on; its batch statistics are now those of other weights."""
        super().on_train_batch_end(*args)
        self._stale = True

    def conclude(self, images: Dataset[tuple[Tensor, int]], *, batch_size: int) -> None:
        """Measure the batch statistics of the averaged network, at the images' class frequencies.

        Raises:
            DataError: If a class has no image.
        """
        counts = torch.zeros_like(self.class_counts)
        for _, labels in DataLoader(images, batch_size=batch_size):
            counts += torch.bincount(labels, minlength=self.num_classes).to(counts)
        for index in range(self.num_classes):
            if not counts[index]:
                raise DataError(
                    f"class number {index} has no training image; a conditional generator needs"
                    " images of every class"
                )
        self.class_counts.copy_(counts)
        self.measure_statistics()

    @torch.no_grad()
    def measure_statistics(self) -> None:
        """Give the averaged network's batch norms the statistics of its own activations.

        Those copied from the network in training fit other weights. They are measured on fixed
        latents, with labels as frequent as in training, so the result depends on the weights only.
        """
        norms = [m for m in self.averaged.modules() if isinstance(m, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        stream = torch.Generator().manual_seed(derive_seed(0, STATISTICS))
        frequencies = self.class_counts.cpu().double()
        if not frequencies.any():
            frequencies = torch.ones_like(frequencies)
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
            norm.train()
        for _ in range(BATCHES):
            latents = torch.randn(BATCH, self.latent_dim, generator=stream)
            labels = torch.multinomial(frequencies, BATCH, replacement=True, generator=stream)
            self.averaged(latents.to(self.device), labels.to(self.device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
        self._stale = False

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images of latents by the averaged network."""
        if self._stale:  # a grid in the course of a training
            self.measure_statistics()
        images: Tensor = 0.5 + 0.5 * self.averaged(latents, labels).full
        return images
