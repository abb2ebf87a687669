"""Images that are read a few at a time, and the checks at the door of every calibrator."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from frerec.errors import DataError

CHUNK = 256  # images held as floats at once


class ImageRows(Protocol):
    """Images ``[N, C, H, W]`` in [0, 1] that are handed out as float32 tensors, some at a time.

    A tensor is one; so are :class:`frerec.data.stack.ImageStack`, which reads from a file, and
    the bank of a fitted calibrator.
    """

    @property
    def shape(self) -> Sequence[int]:
        """N, C, H, W."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: Any, /) -> Tensor:
        """Images ``[n, C, H, W]`` of a slice, or of an int64 tensor of row numbers."""


class Selection:
    """Some rows of other images, in the order given; nothing is copied."""

    def __init__(self, images: ImageRows, rows: Tensor) -> None:
        """Take the ``rows``, int64 ``[n]``, of ``images``."""
        self.images, self.rows = images, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """n, C, H, W."""
        return (len(self.rows), *self.images.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> Tensor:
        return self.images[self.rows[rows]]


def as_rows(images: Any) -> ImageRows:
    """A NumPy array of any layout and byte order as a tensor; other images as they are.

    Raises:
        DataError: For what does not hand out images, such as a list.
    """
    if isinstance(images, np.ndarray):
        native = images.dtype.newbyteorder("=")
        return torch.from_numpy(np.ascontiguousarray(images, dtype=native))
    if not (hasattr(images, "shape") and hasattr(images, "__getitem__")):
        raise DataError(
            f"images of type {type(images).__name__}: expected a tensor or an array [N, C, H, W];"
            " torch.stack makes one of a list"
        )
    rows: ImageRows = images
    return rows


def chunks(images: ImageRows, size: int = CHUNK) -> Iterator[Tensor]:
    """All images in order, ``size`` at a time."""
    for start in range(0, len(images), size):
        yield images[start : start + size]


def check_rows(images: ImageRows, *, what: str) -> None:
    """Check all images as :func:`check_images` does, in bounded memory.

    Raises:
        DataError: If they are no finite float images in [0, 1].
    """
    if len(images.shape) != 4 or len(images) == 0:
        raise DataError(
            f"{what} of shape {tuple(images.shape)}: expected [N, 1 or 3, H, W] with N of at least"
            " 1"
        )
    for part in chunks(images):
        check_images(part, what=what)


def check_images(images: Tensor, *, what: str = "images") -> None:
    """The door of every calibrator.

    Raises:
        DataError: If ``images`` is not a finite float ``[B, 1 or 3, H, W]`` tensor in [0, 1].
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(f"{what} of shape {tuple(images.shape)}: expected [B, 1 or 3, H, W]")
    if not images.is_floating_point():
        raise DataError(f"{what} of type {images.dtype}: expected float values in [0, 1]")
    if images.numel() == 0:
        return
    low, high = images.aminmax()
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise DataError(f"{what}: NaN or infinite values; expected [0, 1]")
    if low < -1e-4 or high > 1 + 1e-4:
        raise DataError(f"{what}: values from {low:.4g} to {high:.4g}; expected [0, 1]")
