"""An npz of images, as guided-diffusion writes it: ``arr_0`` and ``arr_1``, or ``images``."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

from frerec.data.address import SEPARATOR, Blob
from frerec.data.readers.npz import array_shapes, read_array, row_index
from frerec.data.readers.npz_array import array_of
from frerec.errors import DataError

PAIRS = (("arr_0", "arr_1"), ("images", "labels"))
"""Names of the images' array and of the labels' one."""


@dataclass(frozen=True)
class ImageArray:
    """The images of an npz, none of them read yet.

    Attributes:
        path: The file.
        name: The array of images.
        count: Its rows.
        labels: One for each row as text, or None where the file has no labels.
        label_name: The labels' array, there or not.
    """

    path: Path
    name: str
    count: int
    labels: list[str] | None
    label_name: str

    def addresses(self) -> list[str]:
        """A manifest's address of each row, relative to the file's folder."""
        file = self.path.name
        return [f"{file}{SEPARATOR}{row_index(self.name, row)}" for row in range(self.count)]


def open_image_array(path: Path) -> ImageArray:
    """Look at an npz: only the header of its images, and all of its labels.

    The images stream when they are read, see :mod:`frerec.data.readers.npz`. Objects are never
    unpickled.

    Raises:
        DataError: If the file is no NumPy archive, has no such array, images of an unknown layout
            or type, fewer bytes than its header tells of, or labels that do not fit.
    """
    blob = Blob(path)
    shapes = array_shapes(blob)
    pair = next((pair for pair in PAIRS if pair[0] in shapes), None)
    if pair is None:
        raise DataError(
            f"{path}: no array arr_0 or images; it has {', '.join(shapes) or 'none'}; save the"
            " images under one of these names"
        )
    images, labels = pair
    array = array_of(blob, images)
    array.image_shape()  # refuses another layout or type by the header
    with zipfile.ZipFile(path) as archive:
        there = archive.getinfo(f"{images}.npy").file_size
    if array.bytes > there:
        raise DataError(
            f"{path}::{images}: its header tells of {array.bytes} bytes, the file holds {there};"
            " it is truncated or damaged, write it again"
        )
    count = shapes[images][0]
    if count == 0:
        raise DataError(f"{path}::{images}: no images in it")
    given = _labels(blob, labels, count) if labels in shapes else None
    return ImageArray(path, images, count, given, labels)


def _labels(blob: Blob, name: str, count: int) -> list[str]:
    values = read_array(blob, name)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,) or values.dtype.kind not in "iuU":
        raise DataError(
            f"{blob.name}::{name}: {values.dtype} of shape {list(values.shape)}, expected a whole"
            f" number or a name for each of {count} images"
        )
    return [str(label) for label in values.tolist()]
