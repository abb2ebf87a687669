"""``frerec calibrate`` into a folder that has images: which of them are done."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures import textured_images, write_tree

Calibrate = Callable[..., int]
Failure = Callable[[], str]
Tree = Callable[[Path], dict[str, bytes]]


def samples(seed: int, count: int = 4) -> np.ndarray:
    """uint8 [N, 32, 32]; the first ones are the same for any N up to 50."""
    return (textured_images(50, seed=seed)[:count] * 255).round().byte().numpy()[:, 0]


def save_folder(path: Path, seed: int, count: int = 4) -> Path:
    names = [f"{'xy'[k % 2]}/{k}.png" for k in range(count)]
    write_tree(path, textured_images(count, seed=seed), names)
    return path


def save_npz(path: Path, seed: int, count: int = 4) -> Path:
    np.savez(path.with_suffix(".npz"), arr_0=samples(seed, count))
    return path.with_suffix(".npz")


def save_zip(path: Path, seed: int, count: int = 4) -> Path:
    """Uncompressed TIFF of the same size, written at the same time: only the CRC differs."""
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for k, pixels in enumerate(samples(seed, count)):
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "TIFF")
            archive.writestr(zipfile.ZipInfo(f"{k}.tif"), data.getvalue())
    return path.with_suffix(".zip")


def save_table(path: Path, seed: int, count: int = 4) -> Path:
    folder = save_folder(path, seed, count)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))
    (folder / "set.csv").write_text("\n".join(["image", *names]))
    return folder / "set.csv"


KINDS = [save_folder, save_npz, save_zip, save_table]


@pytest.mark.parametrize("save", KINDS)
def test_images_of_another_input_are_refused_then_replaced_where_asked(
    calibrate: Calibrate,
    tmp_path: Path,
    tree: Tree,
    failure: Failure,
    save: Callable[..., Path],
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    first, second = (save(tmp_path / name / "set", seed) for name, seed in (("a", 1), ("b", 2)))
    out = tmp_path / "out"
    assert calibrate(first, out) == 0
    before = tree(out)
    assert calibrate(second, out) == 2
    message = failure()
    assert next(iter(sorted(before))) in message
    assert "was made of another" in message
    assert "overwrite=true" in message
    assert tree(out) == before
    assert calibrate(second, out, "overwrite=true") == 0
    assert calibrate(second, tmp_path / "straight") == 0
    assert tree(out) == tree(tmp_path / "straight") != before


@pytest.mark.parametrize("save", [save_folder, save_zip])
def test_an_input_that_gained_images_goes_on(
    calibrate: Calibrate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    save: Callable[..., Path],
) -> None:
    assert calibrate(save(tmp_path / "in", 1, 3), tmp_path / "out") == 0
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.png")}
    if save is save_folder:
        write_tree(tmp_path / "in", textured_images(2, seed=3), ["new/4.png", "5.png"])
    else:
        save(tmp_path / "in", 1, 5)
    source = tmp_path / ("in" if save is save_folder else "in.zip")
    capsys.readouterr()
    assert calibrate(source, tmp_path / "out") == 0
    assert "Calibrated 2 images" in (said := capsys.readouterr().out)
    assert "3 were there" in said
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_an_image_that_changed_in_place_is_named_and_alone_made_again(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    tree: Tree,
    failure: Failure,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert calibrate(images, out) == 0
    before = tree(out)
    write_tree(images, textured_images(1, seed=77), ["a/04.png"])
    assert calibrate(images, out) == 2
    assert f"{out / 'a' / '04.png'}: was made of another a/04.png" in failure()
    assert tree(out) == before
    capsys.readouterr()
    assert calibrate(images, out, "overwrite=true") == 0
    assert "Calibrated 1 images" in capsys.readouterr().out
    after = tree(out)
    assert [name for name in before if before[name] != after[name]] == ["a/04.png"]
    assert calibrate(images, out) == 0


def test_a_data_set_that_was_moved_with_its_times_is_the_same_one(
    calibrate: Calibrate, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(images, tmp_path / "out") == 0
    images.rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert calibrate(tmp_path / "elsewhere", tmp_path / "out") == 0
    assert "11 were there" in capsys.readouterr().out


def test_images_of_two_inputs_with_other_names_may_share_an_output(
    calibrate: Calibrate, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "b", textured_images(2, seed=9), ["other/1.png", "other/2.png"])
    for source in (images, tmp_path / "b"):
        assert calibrate(source, tmp_path / "out") == 0
    capsys.readouterr()
    assert calibrate(images, tmp_path / "out") == 0
    assert "11 were there" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PAR1 no table"])
def test_without_the_table_of_origins_nothing_there_is_taken_for_done(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure, content: bytes
) -> None:
    assert calibrate(images, tmp_path / "out") == 0
    (tmp_path / "out" / "frerec.parquet").write_bytes(content)
    assert calibrate(images, tmp_path / "out") == 2
    assert "exists and was not made by this model" in failure()


def test_an_image_that_somebody_put_there_is_not_taken_for_a_new_rows(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure
) -> None:
    assert calibrate(images, tmp_path / "out") == 0
    for folder in (images, tmp_path / "out"):
        write_tree(folder, textured_images(1, seed=8), ["mine.png"])
    theirs = (tmp_path / "out" / "mine.png").read_bytes()
    assert calibrate(images, tmp_path / "out") == 2
    assert "mine.png: exists and was not made by this model" in failure()
    assert (tmp_path / "out" / "mine.png").read_bytes() == theirs


def test_a_million_rows_of_one_archive_would_not_take_a_million_looks_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frerec.bulk.arrays import plan_arrays
    from frerec.bulk.stamps import source_stamps

    plan = plan_arrays(save_npz(tmp_path / "set", 1, 50))
    looks = []
    real = os.stat

    def counted(*args: object, **kwargs: object) -> os.stat_result:
        looks.append(args)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", counted)
    stamps = source_stamps(plan).to_pylist()
    assert len(looks) == 1
    assert len(set(stamps)) == 50
