"""Grids of samples: what a generator makes while it learns, a row a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from frerec.generators.base import Generator

if TYPE_CHECKING:
    from frerec.generators.learned import LearnedGenerator

SEED = 0  # the same latents in every grid, so that one can follow an image through the training
GRIDS = "grids"


def class_grid(generator: Generator, *, columns: int = 8, seed: int = SEED) -> Tensor:
    """Samples 0 to ``columns`` - 1 of every class, a row a class.

    Returns:
        float32 [C, H, W] in [0, 1], on the CPU, with two pixels of white between the images.
    """
    rows = []
    for label in range(generator.num_classes):
        there = generator.available(label)
        count = columns if there is None else min(columns, there)
        images = generator.sample(torch.full((count,), label), seed).cpu()
        rows.append(torch.cat([images, images.new_ones(columns - count, *images.shape[1:])]))
    grid: Tensor = make_grid(torch.cat(rows), nrow=columns, padding=2, pad_value=1.0)
    return grid[: generator.channels]  # make_grid repeats grey images three times


def write_grid(grid: Tensor, path: Path) -> None:
    """Write a grid [C, H, W] in [0, 1] as PNG, under its name only when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (grid * 255.0).round().to(torch.uint8).numpy()
    array = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    partial = path.with_name(path.name + ".partial")
    Image.fromarray(array).save(partial, format="PNG")
    partial.replace(path)


class SampleGrids(pl.Callback):
    """Draws a grid every so many steps: into ``directory/grids``, and for loggers of images.

    Args:
        directory: Of the training.
        every: Steps between two grids.
        period: Steps between two checkpoints, where the training can pause for a grid.
        columns: Images a class.
    """

    def __init__(self, directory: Path, *, every: int, period: int, columns: int = 8) -> None:
        self.directory, self.every, self.period, self.columns = directory, every, period, columns

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw where a multiple of ``every`` was passed, and at the end."""
        generator = cast("LearnedGenerator", pl_module)
        step = int(generator.averaged_steps)
        before = (step - 1) // self.period * self.period
        if step // self.every == before // self.every and step < generator.total_steps:
            return
        path = self.directory / GRIDS / f"step-{step:07d}.png"
        write_grid(class_grid(generator, columns=self.columns), path)
        for logger in trainer.loggers:
            log_image: Any = getattr(logger, "log_image", None)
            if log_image is not None:
                log_image("samples", [str(path)], step=step)
