"""The same task for many images, in threads: decoders release Python's lock."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from tqdm import tqdm

_A = TypeVar("_A")
_R = TypeVar("_R")
_AHEAD = 16


def default_workers() -> int:
    """One thread for each core that this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(8, usable or 1)


def in_threads(
    task: Callable[[_A], _R],
    items: Iterable[_A],
    *,
    total: int,
    what: str,
    unit: str = "image",
    num_workers: int | None = None,
    progress: bool | None = None,
) -> Iterator[_R]:
    """Results in order, with a bar; few tasks are ahead of the reader, so memory is bounded.

    Args:
        task: run in a thread, with torch's own threads off.
        items: what it is run on.
        total: how many there are.
        what: the bar's title.
        unit: the bar's unit.
        num_workers: threads; None for `default_workers`.
        progress: show the bar on stderr; None for only on a terminal.

    Raises:
        Exception: whatever the first failing task raised; what has not begun is cancelled.
    """
    workers = num_workers or default_workers()
    threads = torch.get_num_threads()
    # Images are decoded side by side; sharing one between torch's threads as well only waits.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    disable = None if progress is None else not progress
    waiting = iter(items)
    try:
        with tqdm(total=total, desc=what, unit=unit, disable=disable) as bar:
            ahead: deque[Future[_R]] = deque()
            ahead.extend(pool.submit(task, item) for item in islice(waiting, _AHEAD * workers))
            while ahead:
                result = ahead.popleft().result()
                ahead.extend(pool.submit(task, item) for item in islice(waiting, 1))
                bar.update()
                yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)
