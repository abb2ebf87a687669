"""A grid of samples that are there already: a row a class."""

import numpy as np
import torch
from torch import Tensor
from torchvision.utils import make_grid

from frerec.calibration.rows import ImageRows


def stack_grid(images: ImageRows, labels: np.ndarray, classes: int, *, columns: int = 8) -> Tensor:
    """The first images of every class.

    Args:
        images: [N, C, H, W] in [0, 1].
        labels: int64 [N], each in [0, classes).
        classes: Rows of the grid.
        columns: Images a class.

    Returns:
        float32 [C, H, W] in [0, 1], with two pixels of white between the images.
    """
    _, channels, height, width = images.shape
    cells = torch.ones(classes * columns, channels, height, width)
    for label in range(classes):
        rows = np.flatnonzero(labels == label)[:columns]
        if len(rows):
            first = label * columns
            cells[first : first + len(rows)] = images[torch.as_tensor(rows)]
    grid: Tensor = make_grid(cells, nrow=columns, padding=2, pad_value=1.0)
    return grid[:channels]  # make_grid repeats grey images three times
