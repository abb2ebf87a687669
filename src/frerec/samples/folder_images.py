"""A folder of a generator's images without labels, read a few at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frerec.data.address import Address, Blob
from frerec.data.parallel import in_threads
from frerec.data.readers import ReadOptions, read_header, read_image
from frerec.data.readers.npz import array_shapes, row_index
from frerec.data.tree import IMAGE_SUFFIXES, list_files
from frerec.errors import ConfigError, DataError

ARRAYS = ".npz"
SUFFIXES = (*IMAGE_SUFFIXES, ".dcm", ".dicom", ".mat", ".nii", ".nii.gz", ARRAYS)


def list_images(folder: Path, *, key: str = "synthetic") -> list[Address]:
    """All images below a folder, at any depth, in the order of their names; nothing is decoded.

    Hidden files, and files whose suffix is no image's, are left out. An ``npz`` holds an image in
    every row of every array with three or four axes.

    Args:
        folder: Where to look.
        key: What messages call it.

    Raises:
        DataError: If there is no such folder, no image in it, or a damaged ``npz``.
    """
    if not folder.is_dir():
        what = "is a file; give a folder of images" if folder.exists() else "no such folder"
        raise DataError(f"{key}={folder}: {what}")
    found: list[Address] = []
    for name in list_files(folder, folder):
        if not name.lower().endswith(SUFFIXES):
            continue
        blob = Blob(folder / name)
        if not name.lower().endswith(ARRAYS):
            found.append(Address(blob))
            continue
        for array, shape in array_shapes(blob).items():
            if len(shape) in (3, 4):
                found += [Address(blob, row_index(array, row)) for row in range(shape[0])]
    if not found:
        raise DataError(f"{key}={folder}: no images ({', '.join(SUFFIXES)}) in it")
    return found


def content_of(images: list[Address]) -> list[str]:
    """SHA-256 of every file of a listing, in its order; a file of many images counts once."""
    blobs = dict.fromkeys(address.blob for address in images)
    return [blob.sha256() for blob in blobs]


class FolderImages:
    """Listed images as ``[N, C, H, W]`` in [0, 1], decoded when they are asked for.

    It is an :class:`frerec.calibration.rows.ImageRows`. Nothing is resized: a resized image has
    another spectrum.
    """

    def __init__(
        self,
        images: list[Address],
        size: tuple[int, int, int],
        *,
        options: ReadOptions | None = None,
    ) -> None:
        """Look at the headers of all images.

        Args:
            images: As :func:`list_images` gives them.
            size: C (1 or 3), H, W; grey and colour are converted, sizes are not.
            options: Limits of reading.

        Raises:
            DataError: If an image cannot be read or has another size; names the file.
        """
        self._images, self._size = images, size
        self._options = options or ReadOptions()
        for address in images:
            header = read_header(address, options=self._options)
            self._check(address, header.height, header.width)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """N, C, H, W."""
        return (len(self._images), *self._size)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Any) -> Tensor:
        numbers = np.arange(len(self))[rows.numpy() if isinstance(rows, Tensor) else rows]
        chosen = [self._images[number] for number in np.atleast_1d(numbers)]
        if not chosen:
            return torch.zeros(0, *self._size)
        decoded = in_threads(self._read, chosen, total=len(chosen), what="reading", progress=False)
        return torch.stack(list(decoded))

    def _read(self, address: Address) -> Tensor:
        image = read_image(address, channels=self._size[0], options=self._options)
        self._check(address, *image.shape[1:])
        return image

    def _check(self, address: Address, height: int, width: int) -> None:
        if (height, width) != self._size[1:]:
            raise DataError(
                f"{address.name}: {width} x {height} pixels, the real images have "
                f"{self._size[2]} x {self._size[1]}; generate at that size, or give "
                "data.image_size the generator's"
            )


def refuse_real_images(images: list[Address], hashes: list[str], known: set[str]) -> None:
    """Refuse a generator's images that are files of the real data set.

    Args:
        images: As :func:`list_images` gives them.
        hashes: Theirs, from :func:`content_of`.
        known: SHA-256 of the real files.

    Raises:
        ConfigError: Names the file.
    """
    blobs = dict.fromkeys(address.blob for address in images)
    for blob, digest in zip(blobs, hashes, strict=True):
        if digest in known:
            raise ConfigError(
                f"{blob.name}: is one of the real images; synthetic= has to hold a generator's"
            )
