"""The on-disk stack of decoded images: read by memory mapping, decoded and resized once."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from frerec.data.manifest import Manifest
from frerec.data.readers import PIXEL_LIMIT, ImageHeader, read_header, read_image
from frerec.errors import ConfigError, DataError

Transform = Callable[[Tensor], Tensor]
FITS = ("pad", "crop", "stretch")
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
    """

    def __init__(self, path: Path, shape: tuple[int, int, int, int], dtype: str = "uint16") -> None:
        if dtype not in _LARGEST:
            raise ValueError(f"dtype {dtype!r}, expected uint8 or uint16")
        self.path = Path(path)
        self._shape, self._dtype = tuple(int(n) for n in shape), np.dtype(dtype).newbyteorder("<")
        self._bytes = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        self._written = np.zeros(self._shape[0], dtype=bool)
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        self._file: BinaryIO = self._unfinished.open("w+b")
        self._start = self._write_header(self._shape[0])

    @classmethod
    def create(
        cls, path: Path, shape: tuple[int, int, int, int], dtype: str = "uint16"
    ) -> "ImageStackWriter":
        """Begin a file of this shape [N, C, H, W]."""
        return cls(path, shape, dtype)

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


def resize(image: Tensor, size: int, *, fit: str = "pad") -> Tensor:
    """Scale an image [C, H, W] to [C, size, size]: bicubic with anti-aliasing, clamped to [0, 1].

    `fit` [ours] says what becomes of an image that is not square: `pad` scales the longer side and
    adds black margins, `crop` scales the shorter side and cuts the longer one's ends, `stretch`
    scales both sides by themselves. An image that has the size already is returned untouched.
    """
    _, H, W = image.shape
    if size == H == W:
        return image
    if fit == "stretch":
        h = w = size
    else:
        scale = size / (max(H, W) if fit == "pad" else min(H, W))
        h, w = max(1, round(H * scale)), max(1, round(W * scale))
    if (h, w) != (H, W):
        image = F.interpolate(
            image[None], size=(h, w), mode="bicubic", antialias=True, align_corners=False
        )[0].clamp(0, 1)
    if fit == "crop":
        top, left = (h - size) // 2, (w - size) // 2
        return image[:, top : top + size, left : left + size]
    top, left = (size - h) // 2, (size - w) // 2
    return F.pad(image, (left, size - w - left, top, size - h - top))


def build_stack(
    manifest: Manifest,
    path: Path,
    *,
    channels: int,
    image_size: int | None,
    fit: str = "pad",
    upsample: bool = False,
    on_error: str = "raise",
    pixel_limit: int = PIXEL_LIMIT,
    num_workers: int | None = None,
    progress: bool | None = None,
) -> tuple[ImageStack, Manifest, list[str]]:
    """Decode every image of a manifest into one stack, in parallel threads.

    The stack is uint8 where that is exact (8-bit files of the right number of channels at their
    own size) and uint16 otherwise.

    Args:
        manifest: what to decode; row i becomes row i of the stack.
        path: the .npy file to make, under a temporary name until it is complete.
        channels: 1 or 3.
        image_size: side of the square images; None keeps native sizes, which must then agree.
        fit: `pad`, `crop` or `stretch`, see `resize`.
        upsample: allow images smaller than `image_size` to be enlarged.
        on_error: `raise` at the first unreadable image, or `skip` and return the names.
        pixel_limit: see `read_image`.
        num_workers: decoding threads; None for one a core, at most 8.
        progress: show a bar on stderr; None for only on a terminal.

    Returns:
        the stack, the manifest of its rows, and the names of images left out.

    Raises:
        DataError: an unreadable image; no readable image; sizes that differ or are too small.
        ConfigError: `fit`, `on_error` or `image_size` is not a value they can have.
    """
    if fit not in FITS:
        raise ConfigError(f"data.fit={fit}: expected one of {', '.join(FITS)}")
    if on_error not in ("raise", "skip"):
        raise ConfigError(f"data.on_error={on_error}: expected raise or skip")
    if image_size is not None and image_size < 8:
        raise ConfigError(f"data.image_size={image_size}: expected at least 8 pixels")
    workers = num_workers or min(8, os.cpu_count() or 1)
    names = [str(name) for name in manifest.table["image"]]
    failed: dict[int, DataError] = {}

    def guarded(task: Callable[[int], Any]) -> Callable[[int], Any]:
        def run(row: int) -> Any:
            try:
                return task(row)
            except DataError as error:
                if on_error == "raise":
                    raise
                failed[row] = error
                return None

        return run

    def header_of(row: int) -> ImageHeader:
        return read_header(manifest.path(row), pixel_limit=pixel_limit)

    every = range(len(manifest))
    headers = _in_threads(guarded(header_of), every, workers, "reading headers", progress)
    known = {row: header for row, header in zip(every, headers, strict=True) if header is not None}
    if not known:
        raise _nothing_readable(manifest, failed)
    height, width = _common_size(names, known, image_size, fit, upsample)
    exact = all(
        (h.height, h.width) == (height, width) and h.fits_uint8(channels) for h in known.values()
    )
    writer = ImageStackWriter.create(
        path, (len(manifest), channels, height, width), "uint8" if exact else "uint16"
    )

    def decode(row: int) -> None:
        image = read_image(manifest.path(row), channels=channels, pixel_limit=pixel_limit)
        if image_size is not None:
            image = resize(image, image_size, fit=fit)
        if image.shape[1:] != (height, width):
            found = f"{image.shape[2]}x{image.shape[1]}"
            raise DataError(f"{names[row]}: {found} pixels, its header says {width}x{height}")
        writer.write(row, image[None])

    try:
        with writer:
            _in_threads(guarded(decode), list(known), workers, "decoding", progress)
            if len(failed) == len(manifest):
                raise _nothing_readable(manifest, failed)
            stack = writer.close(drop_missing=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None
    kept = np.array([row for row in every if row not in failed], dtype=np.int64)
    return stack, manifest.take(kept), [names[row] for row in sorted(failed)]


def _in_threads(
    task: Callable[[int], Any], rows: Iterable[int], workers: int, what: str, progress: bool | None
) -> list[Any]:
    """Map over rows in order; the first error stops what has not begun and is raised."""
    rows = list(rows)
    threads = torch.get_num_threads()
    # Images are decoded side by side; sharing one between torch's threads as well only waits.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        results = pool.map(task, rows)
        disable = None if progress is None else not progress
        return list(tqdm(results, total=len(rows), desc=what, unit="image", disable=disable))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)


def _nothing_readable(manifest: Manifest, failed: dict[int, DataError]) -> DataError:
    return DataError(
        f"{manifest.root}: none of the {len(manifest)} images can be read; the first: "
        f"{failed[min(failed)]}"
    )


def _common_size(
    names: list[str],
    headers: dict[int, ImageHeader],
    image_size: int | None,
    fit: str,
    upsample: bool,
) -> tuple[int, int]:
    """The stack's height and width, or DataError naming the images that stand in the way."""
    first = next(iter(headers))
    if image_size is None:
        size = (headers[first].height, headers[first].width)
        for row, header in headers.items():
            if (header.height, header.width) != size:
                raise DataError(
                    f"images differ in size: {names[first]} is {size[1]}x{size[0]}, {names[row]} "
                    f"is {header.width}x{header.height}; give data.image_size=..."
                )
        return size
    longer = max if fit == "pad" else min
    small = [row for row, h in headers.items() if longer(h.height, h.width) < image_size]
    if small and not upsample:
        header = headers[small[0]]
        raise DataError(
            f"data.image_size={image_size}: {len(small)} images are smaller, the first "
            f"{names[small[0]]} with {header.width}x{header.height}; give a smaller size, or "
            f"data.upsample=true (which leaves their high frequencies empty)"
        )
    return image_size, image_size
