"""Grids of samples: a row a class, the same latents in each, drawn when they are due."""

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import Logger
from torch.utils.data import TensorDataset

from frerec.errors import ConfigError
from frerec.generators import ConditionalVAE, fit_generator
from frerec.generators.grids import class_grid, write_grid


def vae(channels: int = 1) -> ConditionalVAE:
    return ConditionalVAE(
        num_classes=2, channels=channels, image_size=16, latent_dim=4, width=4
    ).eval()


def images() -> TensorDataset:
    pixels = np.random.default_rng(0).uniform(0, 1, (8, 1, 16, 16)).astype(np.float32)
    return TensorDataset(torch.from_numpy(pixels), torch.arange(8) % 2)


class Album(Logger):
    """Keeps what a logger of images is given."""

    name, version = "album", ""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[tuple[str, int, bool]] = []

    def log_image(self, key, images, step=None):
        """Remember the key, the step and whether the file was there."""
        self.pictures.append((key, step, all(Image.open(path).size for path in images)))

    def log_metrics(self, metrics, step=None):
        """Not of interest."""

    def log_hyperparams(self, *_):
        """Not of interest."""


def fit(directory, **changes):
    arguments = {"steps": 10, "batch_size": 4, "seed": 0, "checkpoint_every": 2} | changes
    return fit_generator(vae(), images(), directory=directory, accelerator="cpu", **arguments)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_has_a_row_a_class(tmp_path, channels):
    generator = vae(channels)
    grid = class_grid(generator, columns=3)
    assert grid.shape == (channels, 2 * 18 + 2, 3 * 18 + 2)
    for label in range(2):
        own = generator.sample(torch.full((3,), label), seed=0)
        for column in range(3):
            top, left = 2 + 18 * label, 2 + 18 * column
            cell = grid[:, top : top + 16, left : left + 16]
            torch.testing.assert_close(cell, own[column])
    write_grid(grid, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        assert image.mode == ("L" if channels == 1 else "RGB")
        pixels = np.asarray(image).reshape(*grid.shape[1:], channels)
    expected = np.moveaxis((grid.numpy() * 255).round().astype(np.uint8), 0, -1)
    assert np.array_equal(pixels, expected)


def test_grids_are_drawn_when_they_are_due_and_at_the_end(tmp_path):
    album = Album()
    fit(tmp_path, grid_every=4, loggers=[album])
    names = sorted(path.name for path in (tmp_path / "grids").iterdir())
    assert names == ["step-0000004.png", "step-0000008.png", "step-0000010.png"]
    assert album.pictures == [("samples", 4, True), ("samples", 8, True), ("samples", 10, True)]


def test_grids_between_checkpoints_wait_for_the_next_one(tmp_path):
    fit(tmp_path, grid_every=3, checkpoint_every=4)
    names = sorted(path.name for path in (tmp_path / "grids").iterdir())
    assert names == ["step-0000004.png", "step-0000008.png", "step-0000010.png"]


def test_drawing_grids_changes_nothing_of_the_training(tmp_path):
    fit(tmp_path / "with", grid_every=2)
    fit(tmp_path / "without")
    one, other = (ConditionalVAE.load(tmp_path / name) for name in ("with", "without"))
    assert one.fingerprint() == other.fingerprint()
    assert not (tmp_path / "without" / "grids").exists()


def test_a_wrong_interval_is_named(tmp_path):
    with pytest.raises(ConfigError, match="grid_every=0"):
        fit(tmp_path, grid_every=0)
