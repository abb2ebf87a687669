"""PNG files, encoded and written in threads while the next images are calibrated."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from frerec.errors import ConfigError, DataError

LARGEST = {8: 255, 16: 65535}
_AHEAD = 64  # images in memory that are not yet on disk


def check_bits(bits: int, channels: int | None) -> None:
    """Refuse a depth that PNG through Pillow does not write.

    Raises:
        ConfigError: If it is neither 8 nor 16, or 16 for colour.
    """
    if bits not in LARGEST:
        raise ConfigError(f"bits={bits}: expected 8 or 16")
    if bits == 16 and channels == 3:
        raise ConfigError("bits=16: colour images are written with 8 bits a channel; give bits=8")


def write_png(image: Tensor, path: Path, *, bits: int) -> None:
    """Write ``[C, H, W]`` in [0, 1] as PNG: a temporary name first, then renamed.

    The temporary name is new at every call, so that two writers of one file, as when a machine is
    given up for dead too early, cannot mix their bytes.

    Raises:
        ConfigError: For 16-bit colour.
        DataError: If the values are not finite, or the file cannot be written.
    """
    check_bits(bits, len(image))
    if not torch.isfinite(image).all():
        raise DataError(f"{path}: the model gives NaN or infinite values; give precision=32-true")
    levels = (image.float() * LARGEST[bits]).round().to(torch.int32).numpy()
    array = levels.astype(np.uint8 if bits == 8 else np.uint16)
    picture = Image.fromarray(array[0] if len(array) == 1 else np.moveaxis(array, 0, -1))
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            picture.save(partial, format="PNG")
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another"
            " output=, then run the same command again to go on"
        ) from None


class PngWriter:
    """Writes images below a folder from a few threads; at most 64 wait at a time.

    Leaving the context waits for all, and raises what the first failing write raised.
    """

    def __init__(self, folder: Path, *, bits: int) -> None:
        self.folder, self.bits = folder, bits
        # zlib releases Python's lock; more threads than that would starve the readers.
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
        self._waiting: deque[Future[None]] = deque()

    def put(self, image: Tensor, target: str) -> None:
        """Write ``[C, H, W]`` to a path below the folder, soon.

        Raises:
            DataError: If an earlier image could not be written.
        """
        while len(self._waiting) >= _AHEAD:
            self._waiting.popleft().result()
        task = self._pool.submit(write_png, image, self.folder / target, bits=self.bits)
        self._waiting.append(task)

    def finish(self) -> None:
        """Wait until all is written; raises as :meth:`put`."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Let the threads go; what has not begun is not written."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self.close()
