"""``frerec calibrate overwrite=true``: old images stay whole until all new ones are made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures import textured_images, write_tree
from frerec.bulk import replacing
from frerec.bulk.files import STAGING
from frerec.bulk.png import PngWriter

Calibrate = Callable[..., int]
Tree = Callable[[Path], dict[str, bytes]]


class Killed(BaseException):
    """What ends a run at once, as a signal would."""


@pytest.fixture
def old(calibrate: Calibrate, images: Path, tmp_path: Path, tree: Tree) -> dict[str, bytes]:
    """An output of 8 bits, which runs with ``bits=16`` replace."""
    assert calibrate(images, tmp_path / "out") == 0
    return tree(tmp_path / "out")


@pytest.fixture
def new(calibrate: Calibrate, images: Path, tmp_path: Path, tree: Tree) -> dict[str, bytes]:
    assert calibrate(images, tmp_path / "straight", "bits=16") == 0
    return tree(tmp_path / "straight")


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let only so many images be written."""
    put, given = PngWriter.put, []

    def some(self: PngWriter, image: Any, target: str) -> None:
        if len(given) == after:
            self.finish()
            raise Killed
        given.append(target)
        put(self, image, target)

    monkeypatch.setattr(PngWriter, "put", some)


def test_a_killed_replacement_leaves_the_old_images_and_goes_on(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    old: dict[str, bytes],
    new: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace = (images, tmp_path / "out", "bits=16", "overwrite=true", "batch_size=1")
    with monkeypatch.context() as patch:
        interrupt(patch, 4)
        with pytest.raises(Killed):
            calibrate(*replace)
    assert {n: d for n, d in tree(tmp_path / "out").items() if STAGING not in n} == old
    assert calibrate(images, tmp_path / "out", "bits=16") == 2  # not without being asked
    capsys.readouterr()
    assert calibrate(*replace) == 0
    assert "Calibrated 7 images" in (said := capsys.readouterr().out)
    assert "4 were there" in said
    assert tree(tmp_path / "out") == new
    assert calibrate(images, tmp_path / "out", "bits=16") == 0


@pytest.mark.parametrize("moved", [0, 5, 11])
def test_an_interrupted_move_to_the_places_is_finished_by_the_next_run(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    old: dict[str, bytes],
    new: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moved: int,
) -> None:
    move, done = replacing._move, []

    def some(source: Path, target: Path) -> None:
        if len(done) == moved:
            raise Killed
        done.append(target)
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(replacing, "_move", some)
        patch.setattr(replacing, "discard", lambda output: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            calibrate(images, tmp_path / "out", "bits=16", "overwrite=true")
    capsys.readouterr()
    assert calibrate(images, tmp_path / "out", "bits=16") == 0
    assert "11 were there" in capsys.readouterr().out
    assert tree(tmp_path / "out") == new


def test_what_waits_of_a_source_that_changed_since_is_made_again(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    old: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace = (tmp_path / "out", "bits=16", "overwrite=true", "batch_size=1")
    with monkeypatch.context() as patch:
        interrupt(patch, 4)
        with pytest.raises(Killed):
            calibrate(images, *replace)
    write_tree(images, textured_images(1, seed=77), ["a/00.png"])
    capsys.readouterr()
    assert calibrate(images, *replace) == 0
    assert "3 were there" in capsys.readouterr().out
    assert calibrate(images, tmp_path / "again", "bits=16") == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "again")


def test_a_replacement_that_is_given_up_leaves_nothing(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    old: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 4)
        with pytest.raises(Killed):
            calibrate(images, tmp_path / "out", "bits=16", "overwrite=true", "batch_size=1")
    assert calibrate(images, tmp_path / "out") == 0
    assert tree(tmp_path / "out") == old
    assert not (tmp_path / "out" / STAGING).exists()


def test_an_image_without_a_successor_keeps_its_predecessor_which_is_not_taken_for_new(
    calibrate: Calibrate, images: Path, tmp_path: Path, tree: Tree, old: dict[str, bytes]
) -> None:
    (images / "a" / "04.png").write_bytes(b"broken")
    out = tmp_path / "out"
    assert calibrate(images, out, "bits=16", "overwrite=true", "on_error=skip") == 0
    assert "a/04.png" in (out / "skipped.csv").read_text()
    assert tree(out)["a/04.png"] == old["a/04.png"]
    assert calibrate(images, out, "bits=16", "on_error=skip") == 2
    assert sum(old[name] != data for name, data in tree(out).items() if name in old) == 10


def test_images_are_moved_to_folders_that_are_links_to_another_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def other_disk(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    (tmp_path / "new.png").write_bytes(b"new")
    (tmp_path / "old.png").write_bytes(b"old")
    monkeypatch.setattr(replacing.os, "replace", other_disk)
    monkeypatch.setattr(Path, "replace", Path.rename)
    replacing._move(tmp_path / "new.png", tmp_path / "old.png")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("old.png", b"new")]
