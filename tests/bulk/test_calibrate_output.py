"""What ``frerec calibrate`` leaves in its output: resumed, skipped, failed."""

import csv
import errno
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.bulk import output as output_module
from frerec.bulk.png import PngWriter
from frerec.calibration import Identity
from frerec.cli import main
from frerec.data.png import write_png
from frerec.errors import DataError

Calibrate = Callable[..., int]
Failure = Callable[[], str]
Tree = Callable[[Path], dict[str, bytes]]


def spoil(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_resumed_run_removes_what_a_killed_one_left_and_nothing_else(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert calibrate(images, tmp_path / "out") == 0
    before = tree(tmp_path / "out")
    (tmp_path / "out" / "a" / "02.png").rename(tmp_path / "out" / "a" / "02.png.0123abcd.partial")
    for name in ("mine.partial", "a/notes.png.partial.txt"):
        (tmp_path / "out" / name).write_text("mine")
    capsys.readouterr()
    assert calibrate(images, tmp_path / "out") == 0
    assert "Calibrated 1 images" in (said := capsys.readouterr().out)
    assert "10 were there" in said
    mine = {"mine.partial": b"mine", "a/notes.png.partial.txt": b"mine"}
    assert tree(tmp_path / "out") == before | mine


def test_a_run_that_is_killed_while_others_read_for_it_goes_on_to_the_same_images(
    model: Path, calibrate: Calibrate, tmp_path: Path, tree: Tree
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    write_tree(source, textured_images(90, seed=5), [f"{k % 3}/{k:03}.png" for k in range(90)])
    where = [f"model={model}", f"input={source}", f"output={out}", "device=cpu"]
    command = ["calibrate", *where, "batch_size=1", "num_workers=1"]
    process = multiprocessing.get_context("fork").Process(target=main, args=(command,))
    process.start()
    while process.is_alive() and len(list(out.rglob("*.png"))) < 3:
        time.sleep(0.01)
    process.kill()
    process.join()
    done = list(out.rglob("*.png"))
    assert 3 <= len(done) < 90
    for path in done:
        Image.open(path).load()
    assert calibrate(source, out) == 0
    assert calibrate(source, tmp_path / "straight") == 0
    assert tree(out) == tree(tmp_path / "straight")


def test_skipped_images_are_listed_and_tried_again(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = (images / "a" / "02.png").read_bytes()
    spoil(images / "a" / "02.png")
    lines = [f"{'ab'[k % 2]}/{k:02}.png,{k % 2}" for k in range(11)]
    (images / "set.csv").write_text("\n".join(["image,label", *lines]))
    out = tmp_path / "out"
    assert calibrate(images / "set.csv", out, "on_error=skip", "num_workers=2") == 0
    assert "1 skipped" in capsys.readouterr().out
    with (out / "skipped.csv").open(newline="") as file:
        header, (name, reason) = csv.reader(file)
    assert (header, name) == (["image", "reason"], "a/02.png")
    assert "truncated" in reason
    assert "a/02.png" not in (out / "labels.csv").read_text()
    (images / "a" / "02.png").write_bytes(whole)
    assert calibrate(images / "set.csv", out) == 0
    assert not (out / "skipped.csv").exists()
    assert "a/02.png" in (out / "labels.csv").read_text()


def test_the_first_skipped_images_are_logged_and_the_rest_only_listed(
    calibrate: Calibrate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path / "in", textured_images(14, width=40), [f"{k}.png" for k in range(14)])
    assert calibrate(tmp_path / "in", tmp_path / "out", "on_error=skip") == 2
    logged = [r for r in caplog.records if r.getMessage().startswith("skipped: ")]
    assert len(logged) == 10
    assert "skipped.csv" in caplog.text
    assert len((tmp_path / "out" / "skipped.csv").read_text().splitlines()) == 15


def test_a_full_disk_is_one_line_and_leaves_no_half_file(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    failure: Failure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Any, path: Path, format: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("PIL.Image.Image.save", full)
        assert calibrate(images, tmp_path / "out") == 2
    assert "No space left on device" in failure()
    left = sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert left == ["frerec.json", "frerec.parquet"]
    assert calibrate(images, tmp_path / "out") == 0


def test_an_output_that_cannot_be_a_folder_is_one_line(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure
) -> None:
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "deep"):
        assert calibrate(images, output) == 2
        assert str(tmp_path / "file") in failure()


def hold(folder: str, held: Any, done: Any) -> None:
    with output_module.sole_writer(Path(folder)):
        held.set()
        done.wait()


def test_two_runs_do_not_write_into_one_folder(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    failure: Failure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other's temporary files would be taken for leftovers."""
    monkeypatch.setattr(output_module, "_PATIENCE", 0.2)
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path / "out"), held, done))
    other.start()
    held.wait()
    assert calibrate(images, tmp_path / "out") == 2
    assert "another run writes there" in failure()
    done.set()
    other.join()
    assert calibrate(images, tmp_path / "out") == 0


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("bits=12", "bits=12"),
        ("batch_size=0", "batch_size=0"),
        ("num_workers=-1", "num_workers=-1"),
        ("engine=spark", "plain, lightning, ray"),
        ("devices=2", "engine=lightning"),
        ("precision=8", "32-true"),
        ("precision=16-mixed", "needs a GPU"),
        ("on_error=ignore", "raise or skip"),
        ("device=tpu", "device=tpu: expected auto, cpu or cuda"),
    ],
)
def test_settings_that_cannot_be_are_named(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    failure: Failure,
    override: str,
    expected: str,
) -> None:
    assert calibrate(images, tmp_path / "out", override) == 2
    assert expected in failure()
    assert not (tmp_path / "out").exists()


def test_a_model_of_any_size_keeps_each_images_size_and_colour(tmp_path: Path, tree: Tree) -> None:
    Identity().fit(textured_images(3)).save(tmp_path / "model")
    source = tmp_path / "in"
    write_tree(source, textured_images(2, width=48, seed=1), ["grey.png", "grey2.png"])
    write_tree(source, textured_images(1, channels=3, height=40, seed=2), ["colour.png"])
    where = [f"model={tmp_path / 'model'}", f"input={source}", f"output={tmp_path / 'out'}"]
    assert main(["calibrate", *where, "device=cpu"]) == 0
    for path in source.iterdir():
        ours = Image.open(tmp_path / "out" / path.name)
        assert (ours.mode, ours.size) == (Image.open(path).mode, Image.open(path).size)
        assert ours.tobytes() == Image.open(path).tobytes()


def test_values_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.png: the model gives NaN"):
        write_png(torch.full((1, 4, 4), torch.nan), tmp_path / "x.png", bits=8)
    assert not list(tmp_path.iterdir())


def test_the_writer_stops_at_the_first_image_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where a folder has to be")
    given = []

    def write() -> None:
        with PngWriter(tmp_path, bits=8) as writer:
            for number in range(1000):
                writer.put(torch.zeros(1, 4, 4), f"a/{number}.png")
                given.append(number)

    with pytest.raises(DataError, match=r"a/0\.png: cannot be written"):
        write()
    assert len(given) < 1000
