"""The on-disk stack of decoded images: one .npy file, written once, read by memory mapping."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from frerec.errors import DataError

Transform = Callable[[Tensor], Tensor]
_LARGEST = {"uint8": 255, "uint16": 65535}


class ImageStack:
    """Images [N, C, H, W] in one .npy file, mapped into memory, never loaded whole.

    Stored as uint8 (x * 255) or uint16 (x * 65535); handed out as float32 in [0, 1]. A stack may
    be a selection of the file's images (`select`). Sending one to a worker process sends the path.
    """

    def __init__(self, path: Path, index: np.ndarray | None = None) -> None:
        self.path = Path(path)
        self._index = index
        try:
            self._array: np.ndarray = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: not an image stack ({reason})") from None
        if self._array.ndim != 4 or self._array.dtype.name not in _LARGEST:
            raise DataError(
                f"{path}: expected uint8 or uint16 [N, C, H, W], found {self._array.dtype} "
                f"{list(self._array.shape)}"
            )

    @classmethod
    def open(cls, path: Path) -> "ImageStack":
        """Map a stack's file; DataError where it is missing or something else."""
        return cls(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ImageStack, (self.path, self._index))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """N, C, H, W."""
        _, C, H, W = self._array.shape
        return (len(self), C, H, W)

    @property
    def dtype(self) -> str:
        """`uint8` or `uint16`."""
        return str(self._array.dtype.name)

    def __len__(self) -> int:
        return len(self._array) if self._index is None else len(self._index)

    def select(self, rows: Any) -> "ImageStack":
        """The stack of these rows (numbers or a mask), in the order given; nothing is copied."""
        every = np.arange(len(self)) if self._index is None else self._index
        return ImageStack(self.path, every[np.asarray(rows)])

    def __getitem__(self, rows: Any) -> Tensor:
        """Images of a slice, a mask or row numbers, as :meth:`tensor` hands them out."""
        return self.tensor(rows)

    def tensor(self, rows: Any = None) -> Tensor:
        """Images as float32 [n, C, H, W] in [0, 1].

        Args:
            rows: row numbers, a slice or a mask; None for all.
        """
        rows = slice(None) if rows is None else rows
        rows = np.asarray(rows) if isinstance(rows, list | tuple | Tensor) else rows
        values = self._array[rows if self._index is None else self._index[rows]]
        pixels = values.astype(np.float32)
        pixels /= _LARGEST[self.dtype]
        return torch.from_numpy(pixels)


class ImageStackWriter:
    """Writes a stack's file in any order of rows; it appears under its name only when complete.

    Use as a context manager: leaving it normally closes, leaving it by an error discards. Rows are
    written with ordinary writes, not through a memory map, so that a full disk is an error rather
    than a killed process. `write` may be called from several threads.

    Args:
        path: the file's name once it is complete.
        shape: N, C, H, W.
        dtype: `uint8` or `uint16`.
        written: rows that an earlier writer of the same shape has written, to go on from; None to
            begin. Leaving by an error then keeps the unfinished file for another attempt.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int, int],
        dtype: str = "uint16",
        written: Sequence[int] | None = None,
    ) -> None:
        if dtype not in _LARGEST:
            raise ValueError(f"dtype {dtype!r}, expected uint8 or uint16")
        self.path = Path(path)
        self._shape, self._dtype = tuple(int(n) for n in shape), np.dtype(dtype).newbyteorder("<")
        self._bytes = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        self._written = np.zeros(self._shape[0], dtype=bool)
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._keep = written is not None
        suffix = "partial" if self._keep else f"{os.getpid()}.tmp"
        self._unfinished = self.path.with_name(f"{self.path.name}.{suffix}")
        going_on = bool(written) and self._unfinished.is_file()
        self._file: BinaryIO = self._unfinished.open("r+b" if going_on else "w+b")
        if going_on:
            self._written[np.asarray(written)] = True
        self._start = self._write_header(self._shape[0])

    @classmethod
    def create(
        cls,
        path: Path,
        shape: tuple[int, int, int, int],
        dtype: str = "uint16",
        written: Sequence[int] | None = None,
    ) -> "ImageStackWriter":
        """Begin a file of this shape [N, C, H, W], or go on with one."""
        return cls(path, shape, dtype, written)

    @property
    def written(self) -> np.ndarray:
        """Row numbers int64 that are written already."""
        return np.flatnonzero(self._written)

    def flush(self) -> None:
        """Hand what was written to the system, where it survives the end of this process."""
        with self._lock:
            self._file.flush()

    def write(self, rows: Any, images: Tensor) -> None:
        """Write float images [n, C, H, W] in [0, 1] to these n row numbers.

        Raises:
            ValueError: another shape, or values that are not finite or not within [0, 1].
        """
        rows = np.atleast_1d(np.asarray(rows, dtype=np.int64))
        if tuple(images.shape) != (len(rows), *self._shape[1:]):
            raise ValueError(
                f"{self.path.name}: expected [{len(rows)}, C, H, W] = "
                f"{[len(rows), *self._shape[1:]]}, found {list(images.shape)}"
            )
        values = images.detach().to("cpu", torch.float32).numpy()
        if values.size and not (values.min() >= -1e-4 and values.max() <= 1 + 1e-4):
            raise ValueError(f"{self.path.name}: pixels that are not within [0, 1]")
        scaled = np.rint(np.clip(values, 0, 1) * _LARGEST[self._dtype.name]).astype(self._dtype)
        for row, pixels in zip(rows, scaled, strict=True):
            if not 0 <= row < self._shape[0]:
                raise ValueError(f"{self.path.name}: row {row} of {self._shape[0]}")
            with self._lock:
                self._file.seek(self._start + int(row) * self._bytes)
                self._file.write(pixels.tobytes())
            self._written[row] = True

    def close(self, *, drop_missing: bool = False) -> ImageStack:
        """Finish the file, give it its name and open it.

        Args:
            drop_missing: leave rows that were never written out, closing the gaps.

        Raises:
            ValueError: rows are missing and `drop_missing` is false.
        """
        rows = np.flatnonzero(self._written)
        if len(rows) < self._shape[0] and not drop_missing:
            self.discard()
            raise ValueError(f"{self.path.name}: {len(rows)} of {self._shape[0]} rows written")
        for new, old in enumerate(rows):
            if new != old:
                self._file.seek(self._start + int(old) * self._bytes)
                pixels = self._file.read(self._bytes)
                self._file.seek(self._start + new * self._bytes)
                self._file.write(pixels)
        # NumPy pads the header so that its length does not depend on the number of rows.
        if self._write_header(len(rows)) != self._start:
            raise RuntimeError("the .npy header changed its length")
        self._file.truncate(self._start + len(rows) * self._bytes)
        self._file.close()
        self._unfinished.replace(self.path)
        return ImageStack.open(self.path)

    def discard(self) -> None:
        """Give up: close and delete the unfinished file."""
        self._file.close()
        self._unfinished.unlink(missing_ok=True)

    def _write_header(self, rows: int) -> int:
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": self._dtype.str, "fortran_order": False, "shape": (rows, *self._shape[1:])},
        )
        return self._file.tell()

    def __enter__(self) -> "ImageStackWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if self._file.closed:
            return
        if kind is None:
            self.close()
        elif self._keep:
            self._file.close()
        else:
            self.discard()


def stack_from_tensor(images: Tensor, path: Path, dtype: str = "uint16") -> ImageStack:
    """Write images [N, C, H, W], float in [0, 1], as a stack."""
    N, C, H, W = images.shape
    with ImageStackWriter.create(path, (N, C, H, W), dtype) as writer:
        writer.write(np.arange(N), images)
        return writer.close()


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """Pairs (float32 [C, H, W] in [0, 1], int label) from some rows of a stack."""

    def __init__(
        self,
        stack: ImageStack,
        rows: Any,
        labels: Any,
        transform: Transform | None = None,
    ) -> None:
        """`labels` [n] are those of `rows` [n]; `transform` sees one image at a time."""
        self.stack = stack
        self.rows = np.asarray(rows, dtype=np.int64)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.transform = transform
        if self.rows.shape != self.labels.shape:
            raise ValueError(f"{len(self.rows)} rows but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        image = self.stack.tensor(self.rows[i])
        if self.transform is not None:
            image = self.transform(image)
        return image, int(self.labels[i])
