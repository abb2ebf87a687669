"""One row of an array in a NumPy archive, as MedMNIST and many generators write them.

`set.npz::train_images/000017` is row 17, from 0, of the array `train_images`: [N, H, W] or
[N, H, W, C] with C 1 or 3; uint8 (over 255), uint16 (over 65535), or floats that lie in [0, 1]
already. Other layouts ([N, C, H, W] among them), other types and pickled objects are refused, by
the array's header and before any of its data is read.

Arrays may be larger than memory and are compressed front to back. So each is read forward in
chunks of rows, of which the last ones are kept: rows in about their order, from any number of
threads, decompress it once; a row further back than that starts again from the front.
"""

import numpy as np

from frerec.data.address import Blob
from frerec.data.readers.npz_array import Array, array_names, array_of, damaged
from frerec.data.readers.policy import ImageHeader, ReadOptions, check_pixels, unit_floats
from frerec.errors import DataError


def header(blob: Blob, index: str, options: ReadOptions) -> ImageHeader:
    """See `policy.Reader`; `mode` is the array's type."""
    array, _ = _row(blob, index, options)
    height, width, channels = array.image_shape()
    bits = {"uint8": 8, "uint16": 16}.get(array.dtype.name, 32)
    return ImageHeader(height, width, bits, channels == 3, "NPZ", array.dtype.name)


def pixels(blob: Blob, index: str, options: ReadOptions) -> np.ndarray:
    """See `policy.Reader`."""
    array, row = _row(blob, index, options)
    values = array.read(row)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    return values if array.dtype.kind == "u" else unit_floats(values)


def row_bytes(blob: Blob, index: str) -> bytes:
    """A row's bytes as stored, for hashes of its content; errors as `read_pixels`."""
    array, row = _row(blob, index, ReadOptions())
    try:
        return array.read(row).tobytes()
    except (DataError, MemoryError):
        raise
    except Exception as error:
        raise damaged(f"{blob.name}::{index}", error) from None


def row_index(array: str, row: int) -> str:
    """How an address names a row, padded so that name order is row order: `images/000017`."""
    return f"{array}/{row:06d}"


def array_shapes(blob: Blob) -> dict[str, tuple[int, ...]]:
    """Shapes of all arrays by name, from their headers.

    Raises:
        DataError: no such file; not a NumPy archive; a damaged header.
    """
    return {name: Array(blob, name).shape for name in array_names(blob)}


def read_array(blob: Blob, name: str, limit: int = 2**28) -> np.ndarray:
    """A whole small array, such as labels.

    Args:
        blob: the NumPy archive.
        name: the array's, without `.npy`.
        limit: most bytes that it may have, decompressed.

    Raises:
        DataError: as `array_shapes`; no such array; objects; larger than the limit; damaged.
    """
    array = Array(blob, name)
    if array.bytes > limit:
        raise DataError(
            f"{array.name}: {array.bytes} bytes, more than the limit of {limit}; check the file"
        )
    try:
        return array.read_all()
    except (DataError, MemoryError):
        raise
    except Exception as error:
        raise damaged(array.name, error) from None


def _row(blob: Blob, index: str, options: ReadOptions) -> tuple[Array, int]:
    """The array that an index names, among the last ones, and the row; checked, not yet read."""
    name, _, digits = index.rpartition("/")
    if not (name and digits.isascii() and digits.isdecimal()):
        names = ", ".join(array_names(blob)[:8]) or "none"
        raise DataError(
            f"{blob.name}{f'::{index}' if index else ''}: name an array and a row, for example "
            f"{blob.filename}::images/000017; its arrays are {names}"
        )
    array = array_of(blob, name)
    height, width, _ = array.image_shape()
    check_pixels(f"{blob.name}::{index}", height, width, options)
    row = int(digits)
    if row >= array.shape[0]:
        raise DataError(f"{blob.name}::{index}: no such row; {name} has {array.shape[0]}")
    return array, row
