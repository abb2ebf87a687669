"""MATLAB files of version 7.3, which are HDF5, through h5py; one image a file.

`1.mat` reads `cjdata/image`, as in the figshare brain tumour set; `1.mat::some/dataset` another.
MATLAB stores columns first, so what HDF5 calls [W, H] is the image [H, W]. Intensities are
stretched from the slice's own range (`policy`).

An HDF5 file may point to other files: every link on the way to a dataset has to be a hard one, and
external storage and virtual datasets are refused, so that no file but the named one is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from frerec.data.address import Blob
from frerec.data.readers.policy import ImageHeader, ReadOptions, check_pixels, own_limits, scale_to
from frerec.errors import DataError

IMAGE = "cjdata/image"
"""The dataset that is read where an address names none."""

NUMBERS_LIMIT = 2**24
"""Most elements that the functions for labels read."""

_CHUNK_LIMIT = 2**30
SIGNATURE = b"\x89HDF\r\n\x1a\n"


def header(blob: Blob, index: str, options: ReadOptions) -> ImageHeader:
    """See `policy.Reader`; `mode` is the stored type."""
    with _dataset(blob, index or IMAGE) as dataset:
        height, width = _check_image(blob, dataset, options)
        return ImageHeader(height, width, 32, False, "MAT", dataset.dtype.name)


def pixels(blob: Blob, index: str, options: ReadOptions) -> np.ndarray:
    """See `policy.Reader`."""
    with _dataset(blob, index or IMAGE) as dataset:
        _check_image(blob, dataset, options)
        values = dataset[()].T
    if values.dtype == bool:
        values = values.astype(np.uint8)
    return scale_to(values, *own_limits(values, options.mri_percentile))


def read_scalar(blob: Blob, name: str) -> float:
    """The one number of a dataset, for example `cjdata/label`.

    Raises:
        DataError: as `read_numbers`; more or less than one number.
    """
    values = read_numbers(blob, name)
    if values.size != 1:
        raise DataError(f"{blob.name}: {name} holds {values.size} numbers, expected one")
    return float(values.item())


def read_text(blob: Blob, name: str) -> str:
    """The characters of a dataset, which MATLAB stores as UTF-16 in any shape, stripped.

    Raises:
        DataError: as `read_numbers`; not characters. The text is never part of the message.
    """
    values = read_numbers(blob, name)
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        raise DataError(f"{blob.name}: {name} holds {values.dtype.name}, expected characters")
    try:
        return values.T.astype("<u2").tobytes().decode("utf-16-le").strip(" \0")
    except UnicodeDecodeError:
        raise DataError(f"{blob.name}: {name} holds no valid characters") from None


def read_numbers(blob: Blob, name: str) -> np.ndarray:
    """A dataset as MATLAB shows it: a matrix [rows, columns] of the stored type.

    Raises:
        DataError: no such file or dataset; not MATLAB 7.3; damaged; not numbers, or too many; a
            dataset that lies in another file.
    """
    try:
        with _dataset(blob, name) as dataset:
            _check_numbers(dataset)
            if dataset.size > NUMBERS_LIMIT:
                raise ValueError(f"{dataset.size} numbers, more than the limit of {NUMBERS_LIMIT}")
            return np.asarray(dataset[()].T)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ... on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{blob.name}: {name} cannot be read ({reason}); replace the file, or leave it out "
            f"with data.on_error=skip"
        ) from None


@contextmanager
def _dataset(blob: Blob, name: str) -> Iterator[Any]:
    """A dataset that lies in this file."""
    with blob.open() as raw:
        _check_version(blob, raw.read(2**12))
        raw.seek(0)
        with h5py.File(raw, "r") as file:
            yield _find(blob, file, name)


def _check_version(blob: Blob, head: bytes) -> None:
    """Raise DataError where the first bytes are not those of HDF5."""
    if any(head.startswith(SIGNATURE, at) for at in (0, 512, 1024, 2048)):
        return
    old = head.startswith(b"MATLAB 5.0 MAT-file") or head[124:128] in (b"\0\1IM", b"\1\0MI")
    what = "a MATLAB file before version 7.3" if old else "not a MATLAB 7.3 (HDF5) file"
    do = "save it again with save(..., '-v7.3')" if old else "replace it"
    raise DataError(f"{blob.name}: {what}; {do}, or leave it out with data.on_error=skip")


def _find(blob: Blob, file: Any, name: str) -> Any:
    """Follow hard links, and nothing else, to a dataset in this file."""
    node = file
    for part in name.strip("/").split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            have = ", ".join(sorted(node)[:8]) if isinstance(node, h5py.Group) else "numbers only"
            raise DataError(
                f"{blob.name}: no dataset {name}; {node.name} has {have or 'nothing'}; name "
                f"another one, {blob.filename}::GROUP/DATASET"
            )
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{blob.name}: {name} is a link elsewhere, which is not followed")
        node = node[part]
    if not isinstance(node, h5py.Dataset):
        raise DataError(f"{blob.name}: {name} is a group, not a dataset")
    if node.is_virtual or node.external:
        raise DataError(f"{blob.name}: {name} lies in another file, which is not read")
    return node


def _check_numbers(dataset: Any) -> None:
    """Raise ValueError where a dataset holds no real numbers, or unpacks to too much at once."""
    if dataset.dtype.kind not in "biuf":
        raise ValueError(f"type {dataset.dtype}, expected real numbers")
    if dataset.attrs.get("MATLAB_empty"):
        raise ValueError("empty")
    if dataset.shape is None or dataset.size == 0:
        raise ValueError("empty")
    chunk = int(np.prod(dataset.chunks or (1,), dtype=np.int64)) * dataset.dtype.itemsize
    if chunk > _CHUNK_LIMIT:
        raise ValueError(f"chunks of {chunk} bytes, more than the limit of {_CHUNK_LIMIT}")


def _check_image(blob: Blob, dataset: Any, options: ReadOptions) -> tuple[int, int]:
    """Height and width of an image within the limit."""
    _check_numbers(dataset)
    if dataset.ndim != 2:
        found = "x".join(str(n) for n in dataset.shape[::-1])
        raise ValueError(f"{dataset.name} has {found} elements, expected two dimensions")
    width, height = dataset.shape
    check_pixels(blob.name, height, width, options)
    return height, width
