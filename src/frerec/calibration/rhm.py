"""Reconstructive High-frequency Mapping (RHM), FreRec's second stage (arXiv 2511.12301).

A denoising autoencoder A learns, on real images only, to undo the damage of SHR:
``A(SHR(x)) -> x``. At use it maps SHR(synthetic image) onto the high frequencies of real images.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from frerec.calibration.averaging import WeightAverage, check_decay
from frerec.calibration.losses import SPECTRAL_TERMS, LossName, reconstruction_loss
from frerec.calibration.reconstruction import ReconstructionQuality
from frerec.errors import ConfigError
from frerec.networks import FETRestormer

INFERENCE = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
# Larger is better for PSNR and SSIM, smaller for the distances.
MONITORS = {"val/psnr": 1, "val/ssim": 1, "val/lsd_db": -1, "val/lsd_high_db": -1}
SCORE = "val/score"  # what the training loop maximises
# Pixels that pass the network together on a GPU in evaluation: 32 images of 256 x 256 [ours].
PIXELS_AT_ONCE = 32 * 256 * 256


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
        ema_decay: Of the moving average of the weights, which is what is validated and kept
            [ours]; None keeps the weights themselves. See
            :class:`frerec.calibration.averaging.WeightAverage`.
        channels_last: See :class:`frerec.networks.FETRestormer`.
        checkpoint_gradients: See :class:`frerec.networks.FETRestormer`.
        compile: True or a mode of ``torch.compile`` compiles the network at its first call; the
            state dict keeps its names.
        inference_precision: Of the network in evaluation mode: ``32-true``, or ``bf16-mixed`` or
            ``16-mixed`` where the processor has fast units for it. FFTs stay in float32. It has
            no part in a fit: validation, which chooses the best weights, and the figures of the
            fit's report are always in float32.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    total_steps: int = 1  # the length of the schedule; set by the training loop
    monitor: str = "val/psnr"  # which of MONITORS chooses the best weights

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
        ema_decay: float | None = 0.999,
        channels_last: bool = True,
        checkpoint_gradients: bool = False,
        compile: bool | str = False,
        inference_precision: str = "32-true",
    ) -> None:
        super().__init__()
        if loss not in SPECTRAL_TERMS:
            raise ConfigError(f"loss={loss}: expected one of {', '.join(SPECTRAL_TERMS)}")
        if learning_rate <= 0 or not 0 <= final_learning_rate <= learning_rate:
            raise ConfigError(
                f"learning_rate={learning_rate}, final_learning_rate={final_learning_rate}: "
                "expected 0 <= final_learning_rate <= learning_rate, and learning_rate > 0"
            )
        if ema_decay is not None:
            check_decay(ema_decay)
        if not isinstance(compile, bool) and compile not in COMPILE_MODES:
            modes = ", ".join(COMPILE_MODES)
            raise ConfigError(f"compile={compile}: expected true, false or one of {modes}")
        check_precision(inference_precision)
        self.save_hyperparameters()
        self.spectral_weight, self.weight_decay = spectral_weight, weight_decay
        self.compiling = compile
        self.network = FETRestormer.preset(
            network,
            channels,
            frequency_branch=frequency_branch,
            channels_last=channels_last,
            checkpoint_gradients=checkpoint_gradients,
        )
        self._compile(self.network)
        self.average: WeightAverage | None = None
        self._quality: dict[str, ReconstructionQuality] = {}

    def forward(self, images: Tensor) -> Tensor:
        """A(images) clamped to [0, 1]; float32 ``[B, C, H, W]``, any size.

        In evaluation on a CPU the images pass one by one: it costs nothing there, and an image
        gives the same pixels in every batch. On a GPU they pass a bounded number of pixels at a
        time, so that the network's memory does not grow with the batch.
        """
        images = images.float()
        at_once = len(images) if self.training else images_at_once(images)
        if len(images) <= at_once:
            return self._mapped(images)
        return torch.cat([self._mapped(part.clone()) for part in images.split(at_once)])

    def _mapped(self, images: Tensor) -> Tensor:
        network = self.network if self.training or self.average is None else self.average
        dtype = None if self.training else INFERENCE[self.hparams["inference_precision"]]
        if dtype is None:
            mapped: Tensor = network(images)
        else:
            with torch.autocast(images.device.type, dtype=dtype):
                mapped = network(images)
        return mapped.float().clamp(0, 1)

    def use_precision(self, inference_precision: str) -> None:
        """Change the precision of the network in evaluation mode."""
        check_precision(inference_precision)
        self.hparams["inference_precision"] = inference_precision

    def start_averaging(self) -> None:
        """Keep a moving average of the weights from now on, where one is wanted."""
        if self.hparams["ema_decay"] is not None:
            self.average = WeightAverage(self.network, self.hparams["ema_decay"])
            self._compile(self.average.network)

    def finish_averaging(self) -> None:
        """Take the average for the weights, and forget it."""
        if self.average is not None:
            self.network.load_state_dict(self.average.network.state_dict())
            self.average = None

    def _compile(self, network: torch.nn.Module) -> None:
        if self.compiling:
            mode = None if isinstance(self.compiling, bool) else self.compiling
            network.compile(mode=mode, dynamic=False)

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

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, then one of the average."""
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update(self.network)

    def on_validation_epoch_start(self) -> None:
        """Begin the figures anew."""
        self._quality = {"input_": ReconstructionQuality(), "": ReconstructionQuality()}

    def validation_step(self, batch: tuple[Tensor, Tensor], _index: int) -> None:
        """Compare the input and the output with the clean image, in float32."""
        degraded, target = batch
        self._quality["input_"].add(degraded, target)
        with torch.autocast(degraded.device.type, enabled=False):
            self._quality[""].add(self(degraded), target)

    def on_validation_epoch_end(self) -> None:
        """Log PSNR, SSIM and log-spectral distances of all held-out images."""
        for prefix, quality in self._quality.items():
            for name, value in quality.result().items():
                # The training loop sends these to the loggers, with its own count of steps.
                self.log(f"val/{prefix}{name}", value, logger=False)
                if f"val/{prefix}{name}" == self.monitor:
                    self.log(SCORE, MONITORS[self.monitor] * value, logger=False)

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


def images_at_once(images: Tensor) -> int:
    """How many of ``[B, C, H, W]`` pass the network together in evaluation; at least 1."""
    if images.device.type == "cpu":
        return 1
    return max(1, PIXELS_AT_ONCE // max(1, images.shape[-2] * images.shape[-1]))


def check_precision(inference_precision: str) -> None:
    """Raise ConfigError where RHM has no such precision at inference."""
    if inference_precision not in INFERENCE:
        raise ConfigError(
            f"inference_precision={inference_precision}: expected one of {', '.join(INFERENCE)}"
        )
