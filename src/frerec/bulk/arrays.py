"""An npz of images as an input: guided-diffusion's ``arr_0`` and ``arr_1``, or ``images``."""

import zipfile
from pathlib import Path

import numpy as np

from frerec.bulk.plan import Plan, make_plan
from frerec.data.address import SEPARATOR, Blob
from frerec.data.readers.npz import array_shapes, read_array, row_index
from frerec.data.readers.npz_array import array_of
from frerec.errors import DataError

PAIRS = (("arr_0", "arr_1"), ("images", "labels"))
"""Names of the images' array and of the labels' one."""

DIGITS = 6


def plan_arrays(path: Path) -> Plan:
    """One row per image, in the array's order: ``000000.png``, or ``LABEL/000000.png``.

    The images are not read here, only the array's header; reading streams, see
    :mod:`frerec.data.readers.npz`. Objects are never unpickled.

    Raises:
        DataError: If the file is no NumPy archive, has no such array, images of an unknown layout
            or type, or labels that do not fit or cannot be folders.
    """
    path = path.absolute()
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
    width = max(DIGITS, len(str(count - 1)))
    names = [f"{row:0{width}d}.png" for row in range(count)]
    if labels in shapes:
        given = _labels(blob, labels, count)
        names = [f"{label}/{name}" for label, name in zip(given, names, strict=True)]
    sources = [f"{path.name}{SEPARATOR}{row_index(images, row)}" for row in range(count)]
    return make_plan(path.parent, sources, names)


def _labels(blob: Blob, name: str, count: int) -> list[str]:
    """A folder's name for each image."""
    where = f"{blob.name}::{name}"
    values = read_array(blob, name)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (count,) or values.dtype.kind not in "iuU":
        raise DataError(
            f"{where}: {values.dtype} of shape {list(values.shape)}, expected a whole number or a"
            f" name for each of {count} images"
        )
    for label in np.unique(values).tolist():
        text = str(label)
        if text in ("", "..") or text.startswith(".") or any(c in text for c in '/\\:"\0\n'):
            raise DataError(f"{where}: label {text!r} cannot be a folder's name; rename it")
    return [str(label) for label in values.tolist()]
