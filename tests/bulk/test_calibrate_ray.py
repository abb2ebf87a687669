"""``frerec calibrate engine=ray`` on a local session with two CPUs."""

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fixtures import textured_images, write_tree

pytestmark = pytest.mark.slow

Calibrate = Callable[..., int]
Failure = Callable[[], str]
Tree = Callable[[Path], dict[str, bytes]]
MARK = "FREREC_TEST_SESSION"


@pytest.fixture(scope="module")
def session() -> Iterator[str]:
    """A session of two CPUs, in whose processes' environment the value can be found again."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'frerec[ray]'")
    from frerec.bulk.ray_engine import import_ray

    ray = import_ray()
    value = uuid4().hex
    os.environ[MARK] = value
    settings: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    ray.init(address="local", num_cpus=2, object_store_memory=2**27, **settings)
    yield value
    ray.shutdown()
    del os.environ[MARK]


def actors(value: str) -> list[int]:
    """Process ids of this session's actors that calibrate."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"{MARK}={value}".encode() in (process / "environ").read_bytes().split(b"\0")
            title = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if ours and b"MapWorker" in title and b"CalibratePixels" in title:
            found.append(int(process.name))
    return found


def test_the_pixels_are_the_plain_engines_and_what_is_unreadable_is_listed(
    session: str,
    calibrate: Calibrate,
    network: Path,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """SHR's and RHM's, while others read for the actors; elsewhere they read for themselves."""
    (images / "a" / "04.png").write_bytes(b"broken")
    common = [f"model={network}", "on_error=skip"]
    assert calibrate(images, tmp_path / "plain", *common) == 0
    settings = ["engine=ray", "batch_size=2", "ray.read_apart=true", *common]
    assert calibrate(images, tmp_path / "out", *settings) == 0
    assert "Calibrated 10 images" in capsys.readouterr().out
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")
    assert "a/04.png" in (tmp_path / "out" / "skipped.csv").read_text()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_an_actor_that_is_killed_half_way_is_restarted_and_nothing_is_lost(
    session: str, calibrate: Calibrate, network: Path, tmp_path: Path, tree: Tree
) -> None:
    """With one actor, only its successor can do the rest."""
    source, out = tmp_path / "in", tmp_path / "out"
    write_tree(source, textured_images(150, seed=5), [f"{k % 3}/{k:03}.png" for k in range(150)])
    killed: list[tuple[int, int]] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set() and not killed:
            done = len(list(out.rglob("*.png")))
            for pid in actors(session) if done >= 3 else []:
                os.kill(pid, signal.SIGKILL)
                killed.append((pid, done))
            time.sleep(0.01)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    model = f"model={network}"
    assert calibrate(source, out, model, "engine=ray", "batch_size=1", "ray.actors=1") == 0
    over.set()
    killer.join()
    assert [done for _, done in killed if 3 <= done < 150], "no actor was killed half way"
    assert calibrate(source, tmp_path / "plain", model) == 0
    assert tree(out) == tree(tmp_path / "plain")


def test_an_unreadable_image_ends_the_run_in_one_line(
    session: str, calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure
) -> None:
    (images / "a" / "04.png").write_bytes(b"broken")
    assert calibrate(images, tmp_path / "out", "engine=ray") == 2
    assert "a/04.png" in failure()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("ray.actors=3", "there is room for 2"),
        ("ray.num_gpus=1", "on 2 CPUs and 0 GPUs"),
    ],
)
def test_more_than_the_session_has_is_refused_at_once(
    session: str,
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    failure: Failure,
    setting: str,
    expected: str,
) -> None:
    """Ray itself would wait for a machine that never comes."""
    assert calibrate(images, tmp_path / "out", "engine=ray", setting) == 2
    assert expected in failure()


def test_no_statistics_of_use_are_sent(session: str) -> None:
    usage = importlib.import_module("ray._common.usage.usage_lib")
    assert not usage.usage_stats_enabled()


@pytest.mark.parametrize(
    "setting", ["ray.actors=0", "ray.actors=1.5", "ray.num_cpus=-1", "ray.read_apart=maybe"]
)
def test_settings_that_cannot_be_are_named(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure, setting: str
) -> None:
    assert calibrate(images, tmp_path / "out", "engine=ray", setting) == 2
    assert setting in failure()


def test_without_ray_the_extra_is_named(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    failure: Failure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert calibrate(images, tmp_path / "out", "engine=ray") == 2
    assert "pip install 'frerec[ray]'" in failure()
    assert not (tmp_path / "out").exists()
