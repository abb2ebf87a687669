"""medmnist: labels and splits of the npz, its checks, and a download without a network."""

import hashlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.readers import read_image
from frerec.data.sources.medmnist import CHEST_FINDINGS, ChestMnistSource, RetinaMnistSource
from frerec.errors import ConfigError, DataError
from layouts import chestmnist, retinamnist

SPLITS = ("train", "val", "test")


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    chestmnist.write(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def retina(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    retinamnist.write(tmp_path / "set")
    return tmp_path / "set"


def rows(manifest: Manifest) -> list[tuple[str, str, str]]:
    table = manifest.table
    return sorted(zip(table["image"], table["label"], table["split"], strict=True))


def test_the_findings_are_in_the_order_of_the_package() -> None:
    medmnist = pytest.importorskip("medmnist")
    info = medmnist.INFO["chestmnist"]["label"]
    assert [info[str(k)] for k in range(14)] == list(CHEST_FINDINGS)


def test_chest_labels_splits_and_pixels_are_those_of_the_arrays(chest: Path) -> None:
    manifest = ChestMnistSource(chest, size=28).read()
    validate(manifest)
    arrays = chestmnist.arrays()
    assert rows(manifest) == sorted(
        (
            f"chestmnist.npz::{split}_images/{k:06d}",
            "cardiomegaly" if arrays[f"{split}_labels"][k, 1] else "no_cardiomegaly",
            split,
        )
        for split in SPLITS
        for k in range(len(arrays[f"{split}_images"]))
    )
    assert manifest.classes == ("no_cardiomegaly", "cardiomegaly")
    assert Counter(manifest.table["label"]) == chestmnist.EXPECTED
    assert len(set(manifest.table["group"])) == len(manifest)
    assert set(manifest.table["dataset"]) == {"chestmnist"}
    pixels = np.concatenate([arrays[f"{split}_images"] for split in sorted(SPLITS)])
    for i in range(len(manifest)):  # names sort as test, train, val
        expected = torch.from_numpy(pixels[i]).float() / 255
        torch.testing.assert_close(read_image(manifest.address(i), channels=1)[0], expected)


def test_retina_grades_become_the_task_of_the_threshold(retina: Path) -> None:
    manifest = RetinaMnistSource(retina, size=28).read()
    validate(manifest)
    assert Counter(manifest.table["label"]) == retinamnist.EXPECTED
    assert manifest.classes == ("no_dr", "dr")
    grade = {
        f"retinamnist.npz::{split}_images/{k:06d}": value
        for split, grades in retinamnist.GRADES.items()
        for k, value in enumerate(grades)
    }
    for threshold, names in ((1, ("no_dr", "dr")), (2, ("not_referable", "referable"))):
        table = RetinaMnistSource(retina, size=28, threshold=threshold).read()
        assert {image: label for image, label, _ in rows(table)} == {
            image: names[value >= threshold] for image, value in grade.items()
        }
        assert table.classes == names
    five = RetinaMnistSource(retina, size=28, threshold=None).read()
    assert {i: label for i, label, _ in rows(five)} == {i: str(g) for i, g in grade.items()}
    array = retinamnist.arrays()["test_images"][3]
    image = read_image(manifest.address(3), channels=3)
    torch.testing.assert_close(image, torch.from_numpy(array).permute(2, 0, 1).float() / 255)


def test_the_negative_class_may_be_images_without_any_finding(chest: Path) -> None:
    labels = chestmnist.arrays()["train_labels"]
    manifest = ChestMnistSource(chest, size=28, finding="effusion", negative="no_finding").read()
    assert manifest.classes == ("no_finding", "effusion")
    assert [row[:2] for row in rows(manifest) if row[2] == "train"] == [
        (f"chestmnist.npz::train_images/{k:06d}", "effusion" if line[2] else "no_finding")
        for k, line in enumerate(labels)
        if line[2] or not line.any()
    ]


def test_the_root_may_be_the_file_or_an_archive(chest: Path) -> None:
    expected = rows(ChestMnistSource(chest, size=28).read())
    assert rows(ChestMnistSource(chest / "chestmnist.npz", size=28).read()) == expected
    renamed = (chest / "chestmnist.npz").rename(chest / "mine.npz")
    manifest = ChestMnistSource(renamed, size=28).read()
    assert rows(manifest)[0][0] == "mine.npz::test_images/000000"
    renamed.rename(chest / "chestmnist.npz")
    archive = shutil.make_archive(str(chest.parent / "archive"), "zip", chest)
    manifest = ChestMnistSource(archive, size=28).read()
    validate(manifest)
    assert rows(manifest) == [(f"archive.zip::{row[0]}", *row[1:]) for row in expected]
    assert read_image(manifest.address(0), channels=1).shape == (1, 28, 28)


def test_the_size_names_the_file(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "chestmnist_64.npz", **chestmnist.arrays(64))
    assert len(ChestMnistSource(tmp_path, size=64).read()) == 24
    with pytest.raises(DataError, match=r"no chestmnist_128\.npz; .*found chestmnist_64.*medmnist"):
        ChestMnistSource(tmp_path).read()
    with pytest.raises(
        DataError, match=r"train_images has the shape \(12, 64, 64\), expected \(12, 1"
    ):
        ChestMnistSource(tmp_path / "chestmnist_64.npz", size=128).read()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": None}, r"no array val_labels; it has test_images, "),
        ({"train_images": np.zeros((12, 28, 28, 3), np.uint8)}, r"train_images has the shape"),
        ({"test_labels": np.zeros((5, 14), np.uint8)}, r"\(5, 14\), expected \(6, 14\), one line"),
        ({"test_labels": np.zeros((6, 13), np.uint8)}, r"\(6, 13\), expected \(6, 14\)"),
        ({"test_labels": np.zeros(6, np.uint8)}, r"test_labels has the shape \(6,\)"),
        ({"test_labels": np.full((6, 14), 2, np.uint8)}, r"has 2 to 2, expected integers from 0 t"),
        ({"test_labels": np.zeros((6, 14))}, r"test_labels has float64 numbers, expected integers"),
    ],
)
def test_what_is_wrong_with_the_arrays_is_said(chest: Path, changes, message: str) -> None:
    arrays = chestmnist.arrays() | changes
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez_compressed(chest / "chestmnist.npz", **kept)
    with pytest.raises(DataError, match=message) as error:
        ChestMnistSource(chest, size=28).read()
    assert "chestmnist.npz: " in str(error.value)
    assert "\n" not in str(error.value)


def test_labels_that_would_need_pickle_are_refused(chest: Path) -> None:
    arrays = chestmnist.arrays()
    arrays["val_labels"] = arrays["val_labels"].astype(object)
    np.savez_compressed(chest / "chestmnist.npz", **arrays)
    with pytest.raises(DataError, match=r"chestmnist\.npz"):
        ChestMnistSource(chest, size=28).read()


def test_grades_above_four_are_refused(retina: Path) -> None:
    arrays = retinamnist.arrays()
    arrays["val_labels"][0] = 5
    np.savez_compressed(retina / "retinamnist.npz", **arrays)
    with pytest.raises(DataError, match=r"val_labels has 0 to 5, expected integers from 0 to 4"):
        RetinaMnistSource(retina, size=28).read()


@pytest.fixture
def served(chest: Path) -> Iterator[str]:
    """The address at which a server on this machine gives out the miniature's folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(chest))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_download_is_verified_and_kept(
    chest: Path, served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medmnist = pytest.importorskip("medmnist")
    original = (chest / "chestmnist.npz").read_bytes()
    info = medmnist.INFO["chestmnist"] | {"url": f"{served}/chestmnist.npz", "MD5": "0" * 32}
    monkeypatch.setitem(medmnist.INFO, "chestmnist", info)
    place = tmp_path / "new" / "place"
    with pytest.raises(DataError, match="no such folder"):
        ChestMnistSource(place, size=28).read()
    assert not place.exists()
    source = ChestMnistSource(place, size=28, download=True)
    with pytest.raises(
        ConfigError, match=r"data\.download=true: chestmnist\.npz could not be"
    ) as e:
        source.read()
    assert "\n" not in str(e.value)
    assert not list(place.glob("*npz")) + list(place.glob("*.tmp"))
    info["MD5"] = hashlib.md5(original).hexdigest()
    assert len(source.read()) == 24
    assert (place / "chestmnist.npz").read_bytes() == original
    (chest / "chestmnist.npz").unlink()
    assert len(source.read()) == 24  # nothing is fetched again


def test_a_download_needs_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(ConfigError, match=r"pip install 'frerec\[medmnist\]'.*zenodo"):
        RetinaMnistSource(tmp_path, download=True).read()


def test_choices_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.size=96: expected one of 28, 64, 128, 224"):
        ChestMnistSource("x", size=96)
    with pytest.raises(ConfigError, match=r"data\.finding=Cardiomegaly: expected one of atelectas"):
        ChestMnistSource("x", finding="Cardiomegaly")
    with pytest.raises(ConfigError, match=r"data\.negative=x: expected one of rest, no_finding"):
        ChestMnistSource("x", negative="x")
    with pytest.raises(ConfigError, match=r"data\.threshold=0: expected 1 \(any retinopathy\)"):
        RetinaMnistSource("x", threshold=0)
