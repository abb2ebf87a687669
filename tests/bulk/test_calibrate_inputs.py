"""``frerec calibrate`` of tables, arrays and archives, through the command line."""

import csv
import io
import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.calibration import load_calibrator
from frerec.samples import load_samples

Calibrate = Callable[..., int]
Failure = Callable[[], str]
Tree = Callable[[Path], dict[str, bytes]]


def table(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def levels(count: int, seed: int = 2) -> np.ndarray:
    """uint8 [N, H, W]."""
    return (textured_images(count, seed=seed) * 255).round().byte().numpy()[:, 0]


def test_a_table_keeps_names_and_labels_so_that_the_result_is_a_folder_of_samples(
    calibrate: Calibrate, images: Path, tmp_path: Path, tree: Tree
) -> None:
    (images / "set.csv").write_text("image,label,note\nb/01.png,ill,x\na/00.png,well,y\n")
    assert calibrate(images / "set.csv", tmp_path / "out") == 0
    assert sorted(tree(tmp_path / "out")) == ["a/00.png", "b/01.png", "labels.csv"]
    assert table(tmp_path / "out" / "labels.csv") == [
        ["image", "label"],
        ["b/01.png", "ill"],
        ["a/00.png", "well"],
    ]
    assert len(load_samples(tmp_path / "out", classes=["well", "ill"])) == 2
    assert calibrate(images, tmp_path / "whole") == 0
    for name in ("a/00.png", "b/01.png"):
        assert tree(tmp_path / "out")[name] == tree(tmp_path / "whole")[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image\n../x.png\n", "row 1: image ../x.png"),
        ("image\na.zip::../x.png\n", "row 1: image a.zip::../x.png"),
        ("image\n/etc/x.png\n", "row 1: image /etc/x.png"),
        ("image,x\na/00.png,1\n,2\n", "row 2: image is empty"),
        ("picture\na/00.png\n", "no column image"),
        ("image\n", "no rows"),
        ("image\na/00.png\na/./00.png\n", "listed twice"),
        ("image\na/gone.png\n", "a/gone.png: no such file"),
    ],
)
def test_tables_that_cannot_be_right_are_refused(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure, text: str, expected: str
) -> None:
    (images / "set.csv").write_text(text)
    assert calibrate(images / "set.csv", tmp_path / "out") == 2
    assert expected in failure()


@pytest.mark.parametrize("names", [("arr_0", "arr_1"), ("images", "labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_become_numbered_files_in_a_folder_a_label(
    calibrate: Calibrate,
    model: Path,
    tmp_path: Path,
    tree: Tree,
    names: tuple[str, str],
    save: Callable[..., None],
) -> None:
    pixels = levels(5)
    content = {names[0]: pixels[..., None], names[1]: np.array([1, 0, 1, 1, 0])}
    save(tmp_path / "samples.npz", **content)
    assert calibrate(tmp_path / "samples.npz", tmp_path / "out", "num_workers=1") == 0
    assert sorted(tree(tmp_path / "out")) == [
        "0/000001.png",
        "0/000004.png",
        "1/000000.png",
        "1/000002.png",
        "1/000003.png",
    ]
    written = np.asarray(Image.open(tmp_path / "out" / "1" / "000003.png"))
    floats = pixels[3:4, None].astype(np.float32) / 255
    expected = load_calibrator(model).transform(floats)
    np.testing.assert_array_equal(written, (expected[0, 0] * 255).round())


def test_arrays_without_labels_lie_side_by_side(
    calibrate: Calibrate, tmp_path: Path, tree: Tree
) -> None:
    np.savez(tmp_path / "s.npz", arr_0=np.repeat(levels(2)[..., None], 3, axis=3))
    assert calibrate(tmp_path / "s.npz", tmp_path / "out") == 0
    assert sorted(tree(tmp_path / "out")) == ["000000.png", "000001.png"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"pictures": np.zeros((2, 32, 32), np.uint8)}, "no array arr_0 or images"),
        ({"arr_0": np.zeros((2, 3, 32, 32), np.uint8)}, "expected [N, H, W]"),
        ({"arr_0": np.array([{}, {}], dtype=object)}, "never unpickled"),
        ({"arr_0": np.zeros((0, 32, 32), np.uint8)}, "no images"),
        ({"arr_0": np.zeros((2, 32, 32), np.uint8), "arr_1": np.zeros(3, int)}, "each of 2"),
        ({"arr_0": np.zeros((2, 32, 32), np.uint8), "arr_1": np.zeros(2)}, "a whole number"),
        ({"arr_0": np.zeros((1, 32, 32), np.uint8), "arr_1": np.array(["../x"])}, "'../x'"),
    ],
)
def test_arrays_of_another_form_are_refused_before_anything_is_written(
    calibrate: Calibrate,
    tmp_path: Path,
    failure: Failure,
    content: dict[str, np.ndarray],
    expected: str,
) -> None:
    np.savez(tmp_path / "s.npz", allow_pickle=True, **content)
    assert calibrate(tmp_path / "s.npz", tmp_path / "out") == 2
    assert expected in failure()
    assert not (tmp_path / "out").exists()


def zipped(path: Path, names: list[str], **texts: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in zip(names, levels(len(names)), strict=True):
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "PNG")
            archive.writestr(name, data.getvalue())
        for name, text in texts.items():
            archive.writestr(f"{name}.json", text)
    return path


def test_a_zip_is_read_in_place_and_keeps_its_members_paths(
    calibrate: Calibrate, tmp_path: Path, tree: Tree
) -> None:
    source = zipped(tmp_path / "s.zip", ["x/1.png", "2.png", "__MACOSX/2.png", "x/.3.png"])
    assert calibrate(source, tmp_path / "out", "num_workers=1", "batch_size=1") == 0
    assert sorted(tree(tmp_path / "out")) == ["2.png", "x/1.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "s.zip"]


def test_the_labels_of_stylegans_zip_go_along(
    calibrate: Calibrate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["00000/img00000000.png", "00000/img00000001.png", "00000/img00000002.png"]
    labels = json.dumps({"labels": [[names[0], 3], [names[1], 0]]})
    source = zipped(tmp_path / "s.zip", names, dataset=labels)
    assert calibrate(source, tmp_path / "out") == 0
    assert table(tmp_path / "out" / "labels.csv")[1:] == [[names[0], "3"], [names[1], "0"]]
    assert "no label for 1 of 3" in caplog.text


def test_stylegans_zip_without_labels_is_a_zip_of_images(
    calibrate: Calibrate, tmp_path: Path, failure: Failure
) -> None:
    source = zipped(tmp_path / "s.zip", ["1.png"], dataset='{"labels": null}')
    assert calibrate(source, tmp_path / "out") == 0
    assert not (tmp_path / "out" / "labels.csv").exists()
    source = zipped(tmp_path / "t.zip", ["1.png"], dataset='{"labels": [["1.png", [0, 1]]]}')
    assert calibrate(source, tmp_path / "out2") == 2
    assert "dataset.json" in failure()


@pytest.mark.parametrize("name", ["s.txt", "s.zip", "s.npz", "gone.zip"])
def test_inputs_of_another_kind_or_damaged_are_named(
    calibrate: Calibrate, tmp_path: Path, failure: Failure, name: str
) -> None:
    (tmp_path / "s").mkdir()
    if name != "gone.zip":
        (tmp_path / "s" / name).write_bytes(b"no such thing")
    assert calibrate(tmp_path / "s" / name, tmp_path / "out") == 2
    assert name in failure()


def test_a_zip_whose_members_lead_out_is_refused(
    calibrate: Calibrate, tmp_path: Path, failure: Failure
) -> None:
    source = zipped(tmp_path / "s.zip", ["../../evil.png"])
    assert calibrate(source, tmp_path / "deep" / "out") == 2
    assert "evil.png" in failure()


def test_linked_folders_are_followed_once_and_a_loop_ends(
    calibrate: Calibrate, images: Path, tmp_path: Path, tree: Tree
) -> None:
    write_tree(tmp_path / "elsewhere", textured_images(1, seed=9), ["far.png"])
    (images / "link").symlink_to(tmp_path / "elsewhere")
    (images / "a" / "loop").symlink_to(images)
    assert calibrate(images, tmp_path / "out") == 0
    found = tree(tmp_path / "out")
    assert len(found) == 12
    assert "link/far.png" in found


def test_a_link_from_the_input_to_the_output_is_refused(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure
) -> None:
    write_tree(tmp_path / "out", textured_images(1), ["earlier.png"])
    (images / "link").symlink_to(tmp_path / "out")
    assert calibrate(images, tmp_path / "out") == 2
    assert "reads from it through link" in failure()


def test_images_in_formats_that_are_not_read_are_counted_in_one_line(
    calibrate: Calibrate,
    images: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    failure: Failure,
) -> None:
    for name in ("x.bmp", "a/y.BMP", "z.webp", "notes.txt"):
        (images / name).write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert calibrate(images, tmp_path / "out") == 0
    lines = [r.getMessage() for r in caplog.records if "not read" in r.getMessage()]
    assert lines == ["2 .bmp, 1 .webp: in formats that are not read, left out; convert them to PNG"]
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "x.gif").write_bytes(b"")
    assert calibrate(tmp_path / "only", tmp_path / "out2") == 2
    assert "1 .gif" in failure()


def test_output_input_and_model_may_not_lie_in_one_another(
    calibrate: Calibrate, model: Path, images: Path, tmp_path: Path, failure: Failure
) -> None:
    (images / "set.csv").write_text("image\na/00.png\n")
    cases = [
        (images, images / "out", "must not lie in input"),
        (images, tmp_path, "must not hold input"),
        (images / "set.csv", images, "must not hold input"),
        (images, model / "out", "must not lie in model"),
        (images, model.parent, "must not hold model"),
    ]
    for source, output, expected in cases:
        assert calibrate(source, output, "overwrite=true") == 2
        assert expected in failure()


def test_a_header_that_tells_of_more_than_there_is_is_refused_at_once(
    calibrate: Calibrate, tmp_path: Path, failure: Failure
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 32, 32)}
    )
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("arr_0.npy", header.getvalue() + levels(3).tobytes())
    assert calibrate(tmp_path / "set.npz", tmp_path / "out") == 2
    assert "truncated or damaged" in failure()
    assert not (tmp_path / "out").exists()


def test_a_folder_cannot_take_the_place_of_our_own_files(
    calibrate: Calibrate, tmp_path: Path, failure: Failure
) -> None:
    write_tree(tmp_path / "in", textured_images(2), ["labels.csv/a.png", "b/b.png"])
    assert calibrate(tmp_path / "in", tmp_path / "out") == 2
    assert "labels.csv" in failure()
    assert not (tmp_path / "out").exists()


def test_nothing_but_unreadable_images_is_no_success(calibrate: Calibrate, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"no image")
    assert calibrate(tmp_path / "in", tmp_path / "out", "on_error=skip") == 2
