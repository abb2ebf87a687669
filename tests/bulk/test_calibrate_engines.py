"""The engines of ``frerec calibrate`` give the same pixels, however the work is divided."""

from collections.abc import Callable
from pathlib import Path

import pytest

Calibrate = Callable[..., int]
Failure = Callable[[], str]
Tree = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def plain(calibrate: Calibrate, images: Path, tmp_path: Path, tree: Tree) -> dict[str, bytes]:
    """The plain engine's files, read in its own process."""
    assert calibrate(images, tmp_path / "plain") == 0
    return tree(tmp_path / "plain")


@pytest.mark.parametrize(
    "settings",
    [
        ["num_workers=2", "batch_size=3"],
        ["engine=lightning"],
        ["engine=lightning", "batch_size=1", "num_workers=1"],
    ],
)
def test_no_pixel_depends_on_batches_workers_or_the_engine(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    plain: dict[str, bytes],
    settings: list[str],
) -> None:
    assert calibrate(images, tmp_path / "out", *settings) == 0
    assert tree(tmp_path / "out") == plain


@pytest.mark.slow
def test_two_processes_divide_the_images_and_lose_or_repeat_none(
    calibrate: Calibrate,
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
    assert calibrate(images, tmp_path / "out", *settings) == 0
    assert "Calibrated 10 images" in capsys.readouterr().out
    listed = (tmp_path / "out" / "skipped.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in listed] == ["image", "b/09.png"]
    found = tree(tmp_path / "out")
    del found["skipped.csv"]
    assert found == {name: data for name, data in plain.items() if name != "b/09.png"}


@pytest.mark.slow
def test_an_unreadable_image_in_another_process_is_one_line(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure
) -> None:
    (images / "b" / "09.png").write_bytes(b"broken")
    assert calibrate(images, tmp_path / "out", "engine=lightning", "devices=2") == 2
    assert "b/09.png" in failure()
    assert not list((tmp_path / "out").rglob("*.partial"))


@pytest.mark.parametrize("devices", ["0", "many", "1.5"])
def test_devices_is_a_number_or_auto(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure, devices: str
) -> None:
    assert calibrate(images, tmp_path / "out", "engine=lightning", f"devices={devices}") == 2
    assert f"devices={devices}: expected auto or a number" in failure()
