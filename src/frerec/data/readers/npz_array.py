"""Arrays of NumPy archives, read forward in chunks of rows, of which the last are kept."""

import os
import threading
import zipfile
from collections import OrderedDict
from typing import BinaryIO, cast

import numpy as np

from frerec.data.address import Blob, open_archive
from frerec.errors import DataError

CHUNK_BYTES = 2**22
"""Rows are decompressed this many bytes at a time, one row at least."""

KEPT_BYTES = 2**26
"""Chunks are kept up to this many bytes an array, one at least."""

_KEPT_ARRAYS = 4
_KEPT_INNER = 1
LARGEST = {"uint8": 255, "uint16": 65535}


class Array:
    """One array of an archive, of which rows are read forward, by one thread at a time.

    Raises:
        DataError: no such array; its header is damaged.
    """

    def __init__(self, blob: Blob, name: str) -> None:
        self.name = f"{blob.name}::{name}"
        self._blob = blob
        self._member = f"{name}.npy"
        self._lock = threading.Lock()
        self._stream: BinaryIO | None = None
        self._next = 0
        self._broken: tuple[int, str] | None = None
        self._chunks: OrderedDict[int, np.ndarray] = OrderedDict()
        if name not in array_names(blob):
            have = array_names(blob)
            shown = ", ".join(have[:8]) + (", ..." if len(have) > 8 else "")
            raise DataError(f"{blob.name}: no array {name}; it has {shown or 'none'}")
        try:
            with self._open() as stream:
                self.shape, fortran, self.dtype = _read_header(stream)
        except DataError:
            raise
        except Exception as error:
            raise damaged(self.name, error) from None
        self.bytes = int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize
        self._columns_first = fortran and len(self.shape) > 1
        self._row_bytes = self.bytes // self.shape[0] if self.shape and self.shape[0] else 0
        self._per_chunk = max(1, CHUNK_BYTES // max(1, self._row_bytes))

    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a row; DataError where rows are no images."""
        self._check_plain()
        if self._columns_first:
            raise DataError(
                f"{self.name}: stored columns first (Fortran order); save "
                f"np.ascontiguousarray(...) instead"
            )
        if self.dtype.name not in LARGEST and self.dtype.kind != "f":
            raise DataError(
                f"{self.name}: type {self.dtype}, expected uint8, uint16, or floats in [0, 1]"
            )
        channels = self.shape[3] if len(self.shape) == 4 else 1
        if len(self.shape) not in (3, 4) or channels not in (1, 3) or 0 in self.shape[1:]:
            raise DataError(
                f"{self.name}: shape {list(self.shape)}, expected [N, H, W] or [N, H, W, C] with "
                f"C 1 or 3"
            )
        return self.shape[1], self.shape[2], channels

    def read(self, row: int) -> np.ndarray:
        """One row, of the shape and type that the array has."""
        number, within = divmod(row, self._per_chunk)
        with self._lock:
            if number not in self._chunks:
                self._advance(number)
            return np.array(self._chunks[number][within])

    def read_all(self) -> np.ndarray:
        """The whole array; DataError where it holds objects."""
        self._check_plain()
        with self._open() as stream:
            _read_header(stream)
            data = _read_exactly(stream, self.bytes)
        values = data.view(self.dtype)
        return np.asarray(values.reshape(self.shape, order="F" if self._columns_first else "C"))

    def _check_plain(self) -> None:
        if self.dtype.hasobject or self.dtype.names:
            raise DataError(
                f"{self.name}: an array of objects ({self.dtype}), which is never unpickled; save "
                f"numbers"
            )

    def _advance(self, number: int) -> None:
        """Read on to a chunk, from the front again where it has gone by."""
        if self._broken is not None and number >= self._broken[0]:
            raise ValueError(self._broken[1])
        try:
            if self._stream is None or number < self._next:
                self._stream, self._next = self._open(), 0
                _read_header(self._stream)
            while self._next <= number:
                rows = min(self._per_chunk, self.shape[0] - self._next * self._per_chunk)
                data = _read_exactly(self._stream, rows * self._row_bytes)
                self._chunks[self._next] = data.view(self.dtype).reshape(rows, *self.shape[1:])
                self._chunks.move_to_end(self._next)
                self._next += 1
                self._forget()
        except MemoryError:
            self._stream = None
            raise
        except Exception as error:
            if not isinstance(error, OSError):
                reason = " ".join(str(error).split()) or type(error).__name__
                self._broken = (self._next, reason)
            self._stream = None
            raise

    def _forget(self) -> None:
        kept = sum(chunk.nbytes for chunk in self._chunks.values())
        while len(self._chunks) > 1 and kept > KEPT_BYTES:
            _, oldest = self._chunks.popitem(last=False)
            kept -= oldest.nbytes

    def _open(self) -> BinaryIO:
        if self._blob.member:
            return cast(BinaryIO, _inner_archive(self._blob).open(self._member))
        return Blob(self._blob.path, self._member).stream()


_arrays: "OrderedDict[tuple[object, ...], Array]" = OrderedDict()
_inner: "OrderedDict[tuple[object, ...], zipfile.ZipFile]" = OrderedDict()
_registry_lock = threading.RLock()


def array_of(blob: Blob, name: str) -> Array:
    """An array, among the last ones; DataError where there is none of that name."""
    key = (*_key(blob), name)
    with _registry_lock:
        if key not in _arrays:
            _arrays[key] = Array(blob, name)
        _arrays.move_to_end(key)
        while len(_arrays) > _KEPT_ARRAYS:
            _arrays.popitem(last=False)
        return _arrays[key]


def _key(blob: Blob) -> tuple[object, ...]:
    try:
        return (os.getpid(), *blob.stamp())
    except OSError:
        raise DataError(f"{blob.name}: no such file") from None


def array_names(blob: Blob) -> list[str]:
    """The arrays' names, in the archive's order."""
    archive = _inner_archive(blob) if blob.member else open_archive(blob.path)
    return [name[: -len(".npy")] for name in archive.namelist() if name.endswith(".npy")]


def _inner_archive(blob: Blob) -> zipfile.ZipFile:
    """A NumPy archive that is itself a member of an archive, held in memory; the last one stays."""
    key = _key(blob)
    with _registry_lock:
        if key not in _inner:
            try:
                _inner[key] = zipfile.ZipFile(blob.open())
            except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
                raise damaged(blob.name, error) from None
        _inner.move_to_end(key)
        while len(_inner) > _KEPT_INNER:
            _inner.popitem(last=False)
        return _inner[key]


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type; the stream is then at the data.

    Raises:
        ValueError: not an array in NumPy's format.
    """
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"NumPy's format {version[0]}.{version[1]}, expected 1.0 or 2.0")
    if any(n < 0 for n in shape):
        raise ValueError(f"shape {list(shape)}")
    return shape, fortran, dtype


def _read_exactly(stream: BinaryIO, count: int) -> np.ndarray:
    """So many bytes, uint8 [count], and no more.

    Raises:
        ValueError: there are fewer.
    """
    data = np.empty(count, dtype=np.uint8)
    done = 0
    while done < count:
        block = stream.read(min(count - done, CHUNK_BYTES))
        if not block:
            raise ValueError(f"truncated: {count - done} bytes are missing")
        data[done : done + len(block)] = np.frombuffer(block, np.uint8)
        done += len(block)
    return data


def damaged(name: str, error: Exception) -> DataError:
    """The error for an array or archive that cannot be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"{name}: cannot be read as a NumPy array ({reason}); replace it, or leave it out with "
        f"data.on_error=skip"
    )
