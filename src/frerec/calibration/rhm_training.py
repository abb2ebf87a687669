"""Training of RHM on pairs (SHR(x), x) of real images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from frerec.calibration.reconstruction import SSIM_WINDOW, ReconstructionQuality
from frerec.calibration.rhm import MONITORS, SCORE, ReconstructiveHighFrequencyMapping
from frerec.calibration.rows import ImageRows, Selection
from frerec.calibration.shr import StatisticalHighFrequencyReplacement
from frerec.errors import ConfigError
from frerec.training_tools import Draw, best_checkpoint, derive_seed, load_checkpoint, run_training

VALIDATION_BATCH = 16
NOISE = 17  # stream of derive_seed for SHR's draws


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
        precision: Lightning's precision string.
        accelerator: Lightning's accelerator.
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
        if self.num_workers < 0:
            raise ConfigError(f"training.num_workers={self.num_workers}: expected at least 0")
        if self.crop is not None and self.crop < 16:
            raise ConfigError(f"crop={self.crop}: expected at least 16 pixels, or null")


class DegradedPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs (SHR(x), x), with new SHR noise at every draw.

    Args:
        shr: Fitted; an image's neighbours never include itself or its patient.
        images: ``[M, C, H, W]`` in [0, 1].
        rows: Those of them to draw from, int64 ``[N]``.
        neighbours: Bank indices ``[N, K]`` of each of the rows, searched once.
        seed: The noise and crop of draw n depend on (seed, n) alone.
        crop: Side of a random crop, or None.
    """

    def __init__(
        self,
        shr: StatisticalHighFrequencyReplacement,
        images: ImageRows,
        rows: Tensor,
        neighbours: Tensor,
        *,
        seed: int,
        crop: int | None = None,
    ) -> None:
        self.shr, self.images, self.rows, self.neighbours = shr, images, rows, neighbours
        self.seed, self.crop = seed, crop

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, NOISE, draw.number))
        row = self.rows[draw.row : draw.row + 1]
        target = self.images[row].float()
        neighbours = self.neighbours[draw.row].unsqueeze(0)
        with torch.no_grad():
            degraded = self.shr.replace(target, neighbours, generator=generator).clamp(0, 1)
        degraded, target = degraded[0], target[0]
        height, width = target.shape[-2:]
        if self.crop is None or (self.crop >= height and self.crop >= width):
            return degraded, target
        top = int(torch.randint(max(height - self.crop, 0) + 1, (), generator=generator))
        left = int(torch.randint(max(width - self.crop, 0) + 1, (), generator=generator))
        window = (..., slice(top, top + self.crop), slice(left, left + self.crop))
        return degraded[window], target[window]


def hold_out(groups: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of the training and of the held-out patients, drawn at random, both not empty.

    Raises:
        ConfigError: If there are fewer than two patients.
    """
    patients = torch.unique(groups)
    if len(patients) < 2:
        raise ConfigError("RHM: all images belong to one patient; at least two are needed")
    count = min(max(1, round(fraction * len(patients))), len(patients) - 1)
    order = np.random.default_rng(seed).permutation(len(patients))
    held = torch.isin(groups, patients[torch.from_numpy(order[:count])])
    return (~held).nonzero().flatten(), held.nonzero().flatten()


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
        rhm: The module.
        shr: Fitted on these images, or on more.
        images: Real training images ``[N, C, H, W]`` in [0, 1].
        groups: Patients, int64 ``[N]``.
        training: Settings.
        directory: For checkpoints and the log; a run killed there goes on from its last one.
        neighbours: Bank indices ``[N, K]`` of all images, where they are known.
        progress: Show a progress bar.
        title: Of the progress bar.

    Returns:
        ``steps``, ``best_step``, ``train_images``, ``held_out_images``, ``seconds``; and of the
        held-out real images, RHM's output against the clean image, ``psnr`` (dB), ``ssim``,
        ``lsd_db``, ``lsd_high_db``, and the same of its input as ``input_psnr`` and so on.

    Raises:
        ConfigError: If all images are of one patient, or too small for the SSIM to choose by.
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
        found = shr.neighbour_indices(Selection(images, rows), progress=progress)
        of_train, of_held = found[: len(train_rows)], found[len(train_rows) :]
    else:
        of_train, of_held = neighbours[train_rows], neighbours[held_rows]
    pairs = DegradedPairs(shr, images, train_rows, of_train, seed=training.seed, crop=training.crop)
    held = images[held_rows].float()
    with torch.no_grad():
        degraded = shr.replace(held, of_held).clamp(0, 1)
    validation = DataLoader(TensorDataset(degraded, held), batch_size=VALIDATION_BATCH)
    rhm.monitor = training.monitor
    rhm.start_averaging()
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
    )
    best = load_checkpoint(best_checkpoint(directory, state.best_step))
    rhm.load_state_dict(best["state_dict"])
    rhm.finish_averaging()
    rhm.eval()
    return {
        "steps": state.step,
        "best_step": state.best_step,
        **held_out_figures(rhm, degraded, held),
        "train_images": len(train_rows),
        "held_out_images": len(held_rows),
        "seconds": round(state.seconds, 1),
    }


@torch.no_grad()
def held_out_figures(
    rhm: ReconstructiveHighFrequencyMapping, degraded: Tensor, clean: Tensor
) -> dict[str, float]:
    """Figures of RHM's output, and of its input under ``input_...``, against the clean images."""
    before, after = ReconstructionQuality(), ReconstructionQuality()
    for part, target in zip(
        degraded.split(VALIDATION_BATCH), clean.split(VALIDATION_BATCH), strict=True
    ):
        before.add(part, target)
        after.add(rhm(part.to(rhm.device)).to(target.device), target)
    inputs = {f"input_{name}": value for name, value in before.result().items()}
    return {**after.result(), **inputs}
