"""Training of RHM on pairs (SHR(x), x) of real images.

Pairs are prepared on the CPU, where worker processes can do it; the network trains where Lightning
puts it, and the neighbours are searched there too.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from frerec.calibration.reconstruction import SSIM_WINDOW, ReconstructionQuality
from frerec.calibration.rhm import (
    INFERENCE,
    MONITORS,
    SCORE,
    ReconstructiveHighFrequencyMapping,
)
from frerec.calibration.rhm_pairs import DegradedPairs, hold_out, search_neighbours
from frerec.calibration.rows import ImageRows, Selection
from frerec.calibration.shr import StatisticalHighFrequencyReplacement
from frerec.errors import ConfigError
from frerec.training_tools import best_checkpoint, load_checkpoint, run_training, training_device

VALIDATION_BATCH = 16


@dataclass(frozen=True)
class RhmTraining:
    """How RHM is trained.

    Attributes:
        steps: Optimiser steps.
        batch_size: Images a step, 8 [ours].
        validation_fraction: Share of the patients held out to choose the best weights [ours].
        validation_limit: At most this many held-out images.
        eval_every: Steps between two validations.
        crop: Side of random square crops of the pair, cut after SHR saw the whole image; None
            trains on whole images [ours].
        gradient_clip: Largest gradient norm.
        seed: Of the order, the noise and the crops.
        monitor: Which figure on held-out images chooses the best weights: ``val/psnr``,
            ``val/ssim``, ``val/lsd_db`` or ``val/lsd_high_db``.
        num_workers: Processes that prepare pairs; the pairs are the same with any number.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``; of the optimiser's steps alone,
            validation is in float32.
        accelerator: Lightning's accelerator; the neighbours are searched there too.
    """

    steps: int = 2000
    batch_size: int = 8
    validation_fraction: float = 0.1
    validation_limit: int = 64
    eval_every: int = 200
    crop: int | None = None
    gradient_clip: float = 1.0
    seed: int = 0
    monitor: str = "val/psnr"
    num_workers: int = 0
    precision: str = "32-true"
    accelerator: str = "auto"

    def __post_init__(self) -> None:
        if not 0.0 < self.validation_fraction < 1.0:
            raise ConfigError(
                f"validation_fraction={self.validation_fraction}: expected a number in (0, 1)"
            )
        for key in ("steps", "batch_size", "validation_limit", "eval_every"):
            if getattr(self, key) < 1:
                value = getattr(self, key)
                raise ConfigError(f"RHM training.{key}={value}: expected at least 1")
        if self.monitor not in MONITORS:
            raise ConfigError(
                f"training.monitor={self.monitor}: expected one of {', '.join(MONITORS)}"
            )
        if self.precision not in INFERENCE:  # FFTs need float32 inputs or autocast
            raise ConfigError(
                f"training.precision={self.precision}: expected one of {', '.join(INFERENCE)}"
            )
        if self.num_workers < 0:
            raise ConfigError(f"training.num_workers={self.num_workers}: expected at least 0")
        if self.crop is not None and self.crop < 16:
            raise ConfigError(f"crop={self.crop}: expected at least 16 pixels, or null")


def train_rhm(
    rhm: ReconstructiveHighFrequencyMapping,
    shr: StatisticalHighFrequencyReplacement,
    images: ImageRows,
    groups: Tensor,
    training: RhmTraining,
    *,
    directory: Path,
    neighbours: Tensor | None = None,
    progress: bool = False,
    title: str = "RHM",
) -> dict[str, Any]:
    """Train ``rhm`` in place and leave it with its best weights on held-out real images.

    Where RHM keeps a moving average of its weights, that is what is validated and left behind.

    Args:
        rhm: The module; left on the CPU.
        shr: Fitted on these images, or on more; on the CPU.
        images: Real training images ``[N, C, H, W]`` in [0, 1].
        groups: Patients, int64 ``[N]``.
        training: Settings.
        directory: For checkpoints and the log; a run killed there goes on from its last one, if
            the images and all settings that shape the result are the same.
        neighbours: Bank indices ``[N, K]`` of all images, on the CPU, where they are known.
        progress: Show a progress bar.
        title: Of the progress bar.

    Returns:
        ``steps``, ``best_step``, ``train_images``, ``held_out_images``, ``seconds``; and of the
        held-out real images, RHM's output against the clean image, ``psnr`` (dB), ``ssim``,
        ``lsd_db``, ``lsd_high_db``, and the same of its input as ``input_psnr`` and so on.

    Raises:
        ConfigError: If all images are of one patient, or too small for the SSIM to choose by, or
            ``directory`` holds a training of other images or with other settings.
    """
    if training.monitor == "val/ssim" and min(images.shape[-2:]) < SSIM_WINDOW:
        raise ConfigError(
            f"training.monitor=val/ssim: images of {images.shape[-2]} x {images.shape[-1]} pixels"
            f" are smaller than its window of {SSIM_WINDOW}; use val/psnr"
        )
    train_rows, held_rows = hold_out(groups, training.validation_fraction, training.seed)
    held_rows = held_rows[: training.validation_limit]
    shr = shr.eval()
    if neighbours is None:
        rows = torch.cat([train_rows, held_rows])
        found = search_neighbours(
            shr, Selection(images, rows), training.accelerator, progress=progress
        )
        of_train, of_held = found[: len(train_rows)], found[len(train_rows) :]
    else:
        of_train, of_held = neighbours[train_rows], neighbours[held_rows]
    pairs = DegradedPairs(shr, images, train_rows, of_train, seed=training.seed, crop=training.crop)
    held = images[held_rows].float().cpu()
    with torch.no_grad():
        degraded = shr.replace(held, of_held).clamp(0, 1)
    validation = DataLoader(TensorDataset(degraded, held), batch_size=VALIDATION_BATCH)
    rhm.monitor = training.monitor
    rhm.start_averaging()
    with validating_in_float32(rhm):
        state = run_training(
            rhm,
            pairs,
            validation,
            directory=directory,
            steps=training.steps,
            batch_size=training.batch_size,
            seed=training.seed,
            eval_every=min(training.eval_every, training.steps),
            monitor=SCORE,
            num_workers=training.num_workers,
            gradient_clip=training.gradient_clip,
            precision=training.precision,
            accelerator=training.accelerator,
            progress=progress,
            title=title,
            settings=settings_of_plan(shr, groups, training),
        )
        best = load_checkpoint(best_checkpoint(directory, state.best_step))
        rhm.load_state_dict(best["state_dict"])
        rhm.finish_averaging()
        rhm.eval()
        figures = held_out_figures(
            rhm, degraded, held, device=training_device(training.accelerator)
        )
    return {
        "steps": state.step,
        "best_step": state.best_step,
        **figures,
        "train_images": len(train_rows),
        "held_out_images": len(held_rows),
        "seconds": round(state.seconds, 1),
    }


def settings_of_plan(
    shr: StatisticalHighFrequencyReplacement, groups: Tensor, training: RhmTraining
) -> dict[str, Any]:
    """What shapes the result beyond what :func:`run_training` knows, for its ``settings``.

    The images and their patients are told apart by one digest of all of them.
    """
    digest = hashlib.blake2b(digest_size=16)
    for tensor in (shr.bank.known_keys, shr.bank.known_groups, groups):
        digest.update(tensor.cpu().numpy().tobytes())
    keys = ("crop", "monitor", "validation_fraction", "validation_limit")
    return {
        **{key: getattr(training, key) for key in keys},
        "shr": shr.config(),
        "real_images": digest.hexdigest(),
    }


@contextmanager
def validating_in_float32(rhm: ReconstructiveHighFrequencyMapping) -> Iterator[None]:
    """Set RHM's precision at inference aside: it shapes the use of a fit, and not the fit."""
    precision: str = rhm.hparams["inference_precision"]
    rhm.use_precision("32-true")
    try:
        yield
    finally:
        rhm.use_precision(precision)


@torch.no_grad()
def held_out_figures(
    rhm: ReconstructiveHighFrequencyMapping,
    degraded: Tensor,
    clean: Tensor,
    *,
    device: torch.device,
) -> dict[str, float]:
    """Figures of RHM's output, and of its input under ``input_...``, against the clean images.

    RHM runs on ``device``, and is left on the CPU.
    """
    before, after = ReconstructionQuality(), ReconstructionQuality()
    rhm.to(device)
    for part, target in zip(
        degraded.split(VALIDATION_BATCH), clean.split(VALIDATION_BATCH), strict=True
    ):
        before.add(part, target)
        after.add(rhm(part.to(device)).to(target.device), target)
    rhm.cpu()
    inputs = {f"input_{name}": value for name, value in before.result().items()}
    return {**after.result(), **inputs}
