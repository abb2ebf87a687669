"""parallel: results in order, few tasks ahead, the first error stops."""

import threading
import time

import pytest

from frerec.data.parallel import in_threads


def test_results_come_in_order_and_threads_share_the_work() -> None:
    names = set()

    def task(k: int) -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.002 * (k % 3))
        return k * k

    results = in_threads(task, range(100), total=100, what="x", num_workers=4, progress=False)
    assert list(results) == [k * k for k in range(100)]
    assert len(names) > 1


def test_tasks_wait_for_a_slow_reader() -> None:
    begun: list[int] = []

    def task(k: int) -> int:
        begun.append(k)
        return k

    results = in_threads(task, range(10_000), total=10_000, what="x", num_workers=2, progress=False)
    for _ in range(10):
        next(results)
    time.sleep(0.05)
    assert len(begun) < 100
    results.close()


def test_an_error_stops_what_has_not_begun() -> None:
    begun: list[int] = []

    def task(k: int) -> int:
        begun.append(k)
        if k == 5:
            raise ValueError("five")
        return k

    results = in_threads(task, range(10_000), total=10_000, what="x", num_workers=2, progress=False)
    with pytest.raises(ValueError, match="five"):
        list(results)
    assert len(begun) < 100


def test_the_bar_counts_every_result(capsys: pytest.CaptureFixture[str]) -> None:
    list(in_threads(str, range(30), total=30, what="reading", progress=True))
    assert "reading: 100%" in capsys.readouterr().err.replace("\r", "\n")
