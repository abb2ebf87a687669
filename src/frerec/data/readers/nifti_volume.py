"""Volumes of NIfTI files: header and voxels, each read once, the last few volumes kept.

Never more is decompressed than the header promises, and voxels only after their number was checked.
"""

import gzip
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.orientations import apply_orientation, io_orientation

from frerec.data.address import Blob
from frerec.data.readers.policy import own_limits
from frerec.errors import DataError

VOXEL_LIMIT = 2**28
"""Most voxels of a volume that is read, 645 cubed."""

KEPT_BYTES = 2**29
"""Volumes stay decoded up to this many bytes together, the last two whatever their size."""

_KEPT_FILES = 256
_EXTENSION_LIMIT = 2**24
_T = TypeVar("_T")
_HEADERS: dict[int, Any] = {348: Nifti1Header, 540: Nifti2Header}
_to_canonical: Callable[[np.ndarray], np.ndarray] = io_orientation
_reorient: Callable[[np.ndarray, np.ndarray], np.ndarray] = apply_orientation
_quiet = logging.getLogger("frerec.nifti")
_quiet.propagate = False
_quiet.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Layout:
    """What a header says of its voxels.

    Attributes:
        shape: voxels along the file's axes.
        canonical: the same along the axes of RAS+, [X, Y, Z].
        orientation: nibabel's transform from the file's axes to RAS+.
        dtype: as stored.
        offset: of the first voxel, in bytes.
        slope, intercept: from stored values to intensities.
    """

    shape: tuple[int, int, int]
    canonical: tuple[int, int, int]
    orientation: np.ndarray
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float

    def scaled(self, voxels: np.ndarray) -> np.ndarray:
        """Stored values as intensities, float32; those that `_read_voxels` scaled as they are."""
        if voxels.dtype.itemsize < self.dtype.itemsize or (self.slope, self.intercept) == (1, 0):
            return voxels.astype(np.float32)
        return (voxels.astype(np.float64) * self.slope + self.intercept).astype(np.float32)


class Volume:
    """One file, of which layout and voxels are each read once, whichever thread asks first."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self.bytes = 0
        self._lock = threading.RLock()
        self._layout: Layout | None = None
        self._voxels: np.ndarray | None = None
        self._limits: dict[float, tuple[float, float]] = {}
        self._failure = ""

    def layout(self) -> Layout:
        """What the header says."""
        with self._lock:
            if self._layout is None:
                self._layout = self._once(lambda: _read_layout(self.blob))
            return self._layout

    def voxels(self) -> np.ndarray:
        """Stored values [X, Y, Z] in RAS+, for `Layout.scaled`."""
        with self._lock:
            if self._voxels is None:
                layout = self.layout()
                self._voxels = self._once(lambda: _read_voxels(self.blob, layout))
                self.bytes = self._voxels.nbytes
                _forget()
            return self._voxels

    def scaled(self) -> np.ndarray:
        """Intensities, float32 [X, Y, Z]; DataError where some are not finite."""
        with self._lock:
            layout, voxels = self.layout(), self.voxels()
            return self._once(lambda: _finite(layout.scaled(voxels)))

    def limits(self, percentile: float) -> tuple[float, float]:
        """The ends of the whole volume's range, `policy.own_limits`."""
        with self._lock:
            if percentile not in self._limits:
                self._limits[percentile] = own_limits(self.scaled(), percentile)
            return self._limits[percentile]

    def _once(self, task: Callable[[], _T]) -> _T:
        """Run a task; what is wrong with the file is remembered, and not tried for every slice."""
        if self._failure:
            raise DataError(self._failure)
        try:
            return task()
        except DataError as error:
            self._failure = str(error)
            raise
        except MemoryError:
            raise
        except Exception as error:  # NumPy, nibabel, gzip and zipfile have no common base
            reason = " ".join(str(error).split()) or type(error).__name__
            failure = (
                f"{self.blob.name}: cannot be decoded ({reason}); replace it, or leave it out "
                f"with data.on_error=skip"
            )
            if not isinstance(error, OSError) or isinstance(error, gzip.BadGzipFile):
                self._failure = failure
            raise DataError(failure) from None


_volumes: "OrderedDict[tuple[int, str, int, int, str], Volume]" = OrderedDict()
_volumes_lock = threading.Lock()


def volume_of(blob: Blob) -> Volume:
    """The file's entry among the last ones; a file that was written anew has another."""
    try:
        key = (os.getpid(), *blob.stamp())
    except OSError:
        raise DataError(f"{blob.name}: no such file") from None
    with _volumes_lock:
        volume = _volumes.setdefault(key, Volume(blob))
        _volumes.move_to_end(key)
        while len(_volumes) > _KEPT_FILES:
            _volumes.popitem(last=False)
        return volume


def _forget() -> None:
    """Drop the volumes that were asked for longest ago, beyond what may be kept."""
    with _volumes_lock:
        total = sum(volume.bytes for volume in _volumes.values())
        while len(_volumes) > 2 and total > KEPT_BYTES:
            _, oldest = _volumes.popitem(last=False)
            total -= oldest.bytes


def _open(blob: Blob) -> BinaryIO:
    """The decompressed bytes, front to back."""
    file = blob.stream()
    if blob.filename.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    return file


def _read_layout(blob: Blob) -> Layout:
    """Read and check the header; its extensions are not read.

    Raises:
        DataError: more voxels than the limit.
        ValueError: not a NIfTI file; not one volume of real numbers; no orientation.
    """
    with _open(blob) as file:
        block = file.read(348)
        if len(block) == 348 and 540 in _sizes(block):
            block += file.read(540 - 348)
    if len(block) not in _HEADERS or len(block) not in _sizes(block):
        raise ValueError("not a NIfTI file")
    head = _HEADERS[len(block)](block, check=False)
    head.check_fix(logger=_quiet, error_level=40)
    if head["magic"].item()[:2] != b"n+":
        raise ValueError("the header of a pair of files; convert it to one .nii file")
    shape = tuple(int(n) for n in head.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    dtype = head.get_data_dtype()
    if len(shape) != 3 or min(shape) < 1:
        found = "x".join(str(n) for n in shape)
        raise ValueError(f"{found} voxels, expected three dimensions, or a fourth of 1")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ValueError(f"voxels of type {dtype}, expected real numbers of up to 64 bits")
    if np.prod(shape, dtype=np.float64) > VOXEL_LIMIT:
        found = "x".join(str(n) for n in shape)
        raise DataError(
            f"{blob.name}: {found} voxels, more than the limit of {VOXEL_LIMIT}; check the file"
        )
    orientation = _to_canonical(head.get_best_affine())
    if not np.isfinite(orientation).all():
        raise ValueError("its affine leaves the orientation open")
    slope, intercept = head.get_slope_inter()
    return Layout(
        shape,
        cast(tuple[int, int, int], tuple(shape[int(k)] for k in np.argsort(orientation[:, 0]))),
        orientation,
        dtype,
        int(head.get_data_offset()),
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
    )


def _sizes(block: bytes) -> tuple[int, int]:
    """The header's own size in both byte orders."""
    return int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big")


def _read_voxels(blob: Blob, layout: Layout) -> np.ndarray:
    """Stored values [X, Y, Z] in RAS+, as a view of the file's order; 64 bits become float32.

    Reads what the header promises and not a byte of decompressed data more, except one, to have
    checksums checked.

    Raises:
        ValueError: fewer bytes than promised.
    """
    if not 0 <= layout.offset <= _EXTENSION_LIMIT:
        raise ValueError(f"voxels at byte {layout.offset}, expected at most {_EXTENSION_LIMIT}")
    count = int(np.prod(layout.shape))
    buffer = np.empty(count * layout.dtype.itemsize, dtype=np.uint8)
    with _open(blob) as file:
        if len(file.read(layout.offset)) < layout.offset:
            raise ValueError("truncated in its header")
        done = 0
        while done < len(buffer):
            read = file.readinto(buffer[done:])  # type: ignore[attr-defined]
            if not read:
                raise ValueError(f"truncated: {done} of {len(buffer)} bytes of voxels")
            done += read
        file.read(1)
    voxels = buffer.view(layout.dtype).reshape(layout.shape, order="F")
    if layout.dtype.itemsize > 4:
        wide = voxels * layout.slope + layout.intercept
        voxels = wide.astype(np.float32)
    return _reorient(voxels, layout.orientation)


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite([values.min(), values.max()]).all():
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"{bad} of {values.size} voxels are not finite (NaN or infinite)")
    return values
