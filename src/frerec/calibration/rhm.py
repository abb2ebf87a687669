"""Reconstructive High-frequency Mapping (RHM), FreRec's second stage (arXiv 2511.12301).

A denoising autoencoder A learns, on real images only, to undo the damage of SHR:
``A(SHR(x)) -> x``. At use it maps SHR(synthetic image) onto the high frequencies of real images.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from frerec.calibration.losses import SPECTRAL_TERMS, LossName, reconstruction_loss
from frerec.errors import ConfigError
from frerec.networks import FETRestormer


class ReconstructiveHighFrequencyMapping(pl.LightningModule):
    """RHM as a LightningModule over :class:`frerec.networks.FETRestormer`.

    A training batch is ``(SHR(x), x)``, both ``[B, C, H, W]`` in [0, 1].

    Args:
        channels: 1 or 3.
        network: ``base`` (the paper's) or ``lite`` (for a CPU [ours]).
        frequency_branch: False leaves FESA out (the paper's ablation).
        loss: ``paper``, ``amplitude``, ``log_amplitude`` or ``focal``, see
            :mod:`frerec.calibration.losses`.
        spectral_weight: Weight of the spectral term.
        learning_rate: Of AdamW [ours].
        final_learning_rate: The end of the cosine schedule [ours].
        weight_decay: Of AdamW [ours].

    Raises:
        ConfigError: If an argument is outside its range.
    """

    total_steps: int = 1  # the length of the schedule; set by the training loop

    def __init__(
        self,
        *,
        channels: int = 1,
        network: str = "lite",
        frequency_branch: bool = True,
        loss: LossName = "paper",
        spectral_weight: float = 1.0,
        learning_rate: float = 3e-4,
        final_learning_rate: float = 1e-6,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__()
        if loss not in SPECTRAL_TERMS:
            raise ConfigError(f"loss={loss}: expected one of {', '.join(SPECTRAL_TERMS)}")
        if learning_rate <= 0 or not 0 <= final_learning_rate <= learning_rate:
            raise ConfigError(
                f"learning_rate={learning_rate}, final_learning_rate={final_learning_rate}: "
                "expected 0 <= final_learning_rate <= learning_rate, and learning_rate > 0"
            )
        self.save_hyperparameters()
        self.spectral_weight, self.weight_decay = spectral_weight, weight_decay
        self.network = FETRestormer.preset(network, channels, frequency_branch=frequency_branch)

    def forward(self, images: Tensor) -> Tensor:
        """A(images) clamped to [0, 1]; ``[B, C, H, W]``, any size.

        In evaluation on a CPU the images pass one by one: it costs nothing there, and an image
        gives the same pixels in every batch.
        """
        if self.training or images.device.type != "cpu" or len(images) <= 1:
            mapped: Tensor = self.network(images).clamp(0, 1)
            return mapped
        return torch.cat([self.network(image.clone()).clamp(0, 1) for image in images.split(1)])

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> dict[str, Tensor]:
        """Reconstruction loss of one batch."""
        degraded, target = batch
        loss = reconstruction_loss(
            self.network(degraded),
            target,
            loss=self.hparams["loss"],
            spectral_weight=self.spectral_weight,
        )
        return {"loss": loss}

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """PSNR in dB of the input and of the output against the clean image."""
        degraded, target = batch
        for name, images in (("input", degraded), ("", self(degraded))):
            mse = (images - target).square().mean(dim=(1, 2, 3)).clamp_min(1e-12)
            psnr = (-10 * torch.log10(mse)).mean()
            key = f"val/{name}_psnr" if name else "val/psnr"
            self.log(key, psnr, on_epoch=True, batch_size=len(target))

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine schedule over ``total_steps``."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.hparams["learning_rate"],
            weight_decay=self.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=self.total_steps, eta_min=self.hparams["final_learning_rate"]
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
