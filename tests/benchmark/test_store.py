"""The store and the hashes: made once, whole or absent."""

import threading
import time
from pathlib import Path

import pytest

from frerec.benchmark.hashing import content_hash
from frerec.benchmark.store import Store


def test_equal_content_has_one_key_whatever_its_order() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})
    assert len(content_hash({})) == 16


def test_an_artifact_is_made_once(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def maker(folder: Path) -> None:
        calls.append(folder)
        (folder / "x").write_text("done")

    first = store.make("kind", "key", maker)
    assert store.make("kind", "key", maker) == first
    assert (first / "x").read_text() == "done"
    assert len(calls) == 1


def test_a_failed_maker_leaves_nothing_under_the_final_name_and_can_go_on(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def failing(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.make("kind", "key", failing)
    assert not store.path("kind", "key").exists()

    def resuming(folder: Path) -> None:
        assert (folder / "half").read_text() == "half"

    assert (store.make("kind", "key", resuming) / "half").exists()


def test_two_that_need_it_at_once_make_it_once(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def slow(folder: Path) -> None:
        calls.append(1)
        time.sleep(0.3)
        (folder / "x").write_text("done")

    threads = [threading.Thread(target=store.make, args=("kind", "key", slow)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
