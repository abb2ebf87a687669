"""Training of RHM on pairs (SHR(x), x) of real images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from frerec.calibration.rhm import ReconstructiveHighFrequencyMapping
from frerec.calibration.rows import ImageRows, Selection
from frerec.calibration.shr import StatisticalHighFrequencyReplacement
from frerec.errors import ConfigError
from frerec.training_tools import Draw, best_checkpoint, derive_seed, load_checkpoint, run_training

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
    progress: bool = False,
) -> dict[str, float]:
    """Train ``rhm`` in place and leave it with its best weights on held-out real images.

    Args:
        rhm: The module.
        shr: Fitted on the same images.
        images: Real training images ``[N, C, H, W]`` in [0, 1].
        groups: Patients, int64 ``[N]``.
        training: Settings.
        directory: For checkpoints and the log; a run killed there goes on from its last one.
        progress: Show a progress bar.

    Returns:
        ``steps``, ``best_step``, ``psnr`` and ``input_psnr`` (dB, held-out real images: RHM's
        output and its input against the clean image), ``train_images``, ``held_out_images``,
        ``seconds``.
    """
    train_rows, held_rows = hold_out(groups, training.validation_fraction, training.seed)
    held_rows = held_rows[: training.validation_limit]
    shr = shr.eval()
    search = torch.cat([train_rows, held_rows])
    neighbours = shr.neighbour_indices(Selection(images, search), progress=progress)
    pairs = DegradedPairs(
        shr,
        images,
        train_rows,
        neighbours[: len(train_rows)],
        seed=training.seed,
        crop=training.crop,
    )
    held = images[held_rows].float()
    with torch.no_grad():
        degraded = shr.replace(held, neighbours[len(train_rows) :]).clamp(0, 1)
    validation = DataLoader(list(zip(degraded, held, strict=True)), batch_size=16)  # type: ignore[arg-type,var-annotated]
    state = run_training(
        rhm,
        pairs,
        validation,
        directory=directory,
        steps=training.steps,
        batch_size=training.batch_size,
        seed=training.seed,
        eval_every=min(training.eval_every, training.steps),
        monitor="val/psnr",
        gradient_clip=training.gradient_clip,
        precision=training.precision,
        accelerator=training.accelerator,
        progress=progress,
        title="RHM",
    )
    best = load_checkpoint(best_checkpoint(directory, state.best_step))
    rhm.load_state_dict(best["state_dict"])
    rhm.eval()
    before = (degraded - held).square().mean(dim=(1, 2, 3)).clamp_min(1e-12)
    return {
        "steps": state.step,
        "best_step": state.best_step,
        "psnr": state.best_score,
        "input_psnr": float((-10 * torch.log10(before)).mean()),
        "train_images": len(train_rows),
        "held_out_images": len(held_rows),
        "seconds": round(state.seconds, 1),
    }
