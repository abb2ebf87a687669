"""PNG files, encoded and written in threads while the next images are calibrated."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from torch import Tensor

from frerec.data.png import write_png

_AHEAD = 64  # images in memory that are not yet on disk


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
