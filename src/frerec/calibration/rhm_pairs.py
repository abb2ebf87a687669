"""Pairs (SHR(x), x) of real images that RHM learns from, prepared on the CPU."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from frerec.calibration.rows import ImageRows
from frerec.calibration.shr import StatisticalHighFrequencyReplacement
from frerec.errors import ConfigError
from frerec.training_tools import Draw, check_machine, derive_seed, training_device

NOISE = 17  # stream of derive_seed for SHR's draws


class DegradedPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs (SHR(x), x) on the CPU, with new SHR noise at every draw.

    Args:
        shr: Fitted, on the CPU; an image's neighbours never include itself or its patient.
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
        target = self.images[row].float().cpu()
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


def search_neighbours(
    shr: StatisticalHighFrequencyReplacement,
    images: ImageRows,
    accelerator: str,
    *,
    progress: bool = False,
) -> Tensor:
    """SHR's neighbours of all images, searched where the training runs: int64 ``[N, K]``.

    SHR is moved there for the search, and back; the result lies on the CPU.

    Args:
        shr: Fitted; left in evaluation mode.
        images: ``[N, C, H, W]`` in [0, 1].
        accelerator: Lightning's.
        progress: Show a progress bar.
    """
    check_machine("32-true", accelerator)
    home = shr.device
    try:
        shr.eval().to(training_device(accelerator))
        return shr.neighbour_indices(images, progress=progress).cpu()
    finally:
        shr.to(home)
