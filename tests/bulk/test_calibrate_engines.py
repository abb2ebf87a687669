"""The engines of ``frerec calibrate`` give the same pixels, however the work is divided."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from frerec.bulk.lightning_engine import _explained
from frerec.training_tools import write_json

Calibrate = Callable[..., int]
Failure = Callable[[], str]
Tree = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def plain(
    calibrate: Calibrate, network: Path, images: Path, tmp_path: Path, tree: Tree
) -> dict[str, bytes]:
    """The plain engine's files of SHR and RHM, read in its own process."""
    assert calibrate(images, tmp_path / "plain", f"model={network}") == 0
    return tree(tmp_path / "plain")


@pytest.mark.parametrize(
    "settings",
    [
        ["num_workers=2", "batch_size=3"],
        ["engine=lightning", "batch_size=1", "num_workers=1"],
    ],
)
def test_no_pixel_depends_on_batches_workers_or_the_engine(
    calibrate: Calibrate,
    network: Path,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    plain: dict[str, bytes],
    settings: list[str],
) -> None:
    assert calibrate(images, tmp_path / "out", f"model={network}", *settings) == 0
    assert tree(tmp_path / "out") == plain


@pytest.mark.slow
def test_two_processes_divide_the_images_and_lose_or_repeat_none(
    calibrate: Calibrate,
    network: Path,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    plain: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Eleven images on two devices, one of them unreadable: nothing is padded."""
    whole = (images / "b" / "09.png").read_bytes()
    (images / "b" / "09.png").write_bytes(whole[: len(whole) // 2])
    settings = ["engine=lightning", "devices=2", "batch_size=2", "on_error=skip"]
    assert calibrate(images, tmp_path / "out", f"model={network}", *settings) == 0
    assert "Calibrated 10 images" in capsys.readouterr().out
    listed = (tmp_path / "out" / "skipped.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in listed] == ["image", "b/09.png"]
    found = tree(tmp_path / "out")
    del found["skipped.csv"]
    assert found == {name: data for name, data in plain.items() if name != "b/09.png"}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_unreadable_image_ends_lightnings_run_in_one_line(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure, workers: str
) -> None:
    (images / "b" / "09.png").write_bytes(b"broken")
    more = ["engine=lightning", f"num_workers={workers}", "batch_size=4"]
    assert calibrate(images, tmp_path / "out", *more) == 2
    assert "b/09.png" in failure()
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_what_ended_another_process_is_told_in_its_own_words(tmp_path: Path) -> None:
    """As that process left it: all that comes through is a traceback."""
    raised = ProcessRaisedException("-- Process 1 ...\nTraceback", 1, 123)
    assert _explained(raised, tmp_path) is raised
    killed = ProcessExitedException("process 0 terminated with SIGKILL", 0, 123, -9)
    assert "run again to go on" in str(_explained(killed, tmp_path))
    write_json(tmp_path / "error-1.json", {"reason": "b/09.png: cannot be read"})
    assert str(_explained(raised, tmp_path)) == "b/09.png: cannot be read"


@pytest.mark.parametrize("devices", ["0", "many", "1.5"])
def test_devices_is_a_number_or_auto(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure, devices: str
) -> None:
    assert calibrate(images, tmp_path / "out", "engine=lightning", f"devices={devices}") == 2
    assert f"devices={devices}: expected auto or a number" in failure()
