"""sources: each published layout in miniature, and what users get wrong about it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.sources import CsvSource, FolderSource, KaggleCardiomegalySource, PhantomSource
from frerec.errors import DataError


def draw(root: Path, *names: str) -> None:
    """Write a different 8 px image under each name."""
    for k, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), k, dtype=np.uint8)).save(root / name)


def rows(manifest: Manifest) -> list[tuple[str, str, str]]:
    table = manifest.table
    return list(zip(table["image"], table["label"], table["split"], strict=True))


def test_a_folder_a_class(tmp_path: Path) -> None:
    draw(tmp_path, "ill/2.PNG", "ill/deep/1.jpg", "normal/1.tiff", "normal/.hidden.png")
    draw(tmp_path, "__MACOSX/normal/1.png", ".cache/x.png")
    (tmp_path / "readme.txt").write_text("x")
    manifest = FolderSource(tmp_path).read()
    validate(manifest)
    assert rows(manifest) == [
        ("ill/2.PNG", "ill", ""),
        ("ill/deep/1.jpg", "ill", ""),
        ("normal/1.tiff", "normal", ""),
    ]
    assert manifest.classes == ("normal", "ill")
    assert set(manifest.table["dataset"]) == {tmp_path.name}
    assert set(manifest.table["source"]) == {"real"}
    assert len(set(manifest.groups().tolist())) == 3


def test_folders_with_a_level_of_splits(tmp_path: Path) -> None:
    draw(tmp_path, "Training/a/1.png", "Training/b/2.png", "valid/a/3.png", "TEST/b/4.png")
    draw(tmp_path, "valid/b/5.png", "TEST/a/6.png")
    manifest = FolderSource(tmp_path, dataset="mine").read()
    assert {(image, split) for image, _, split in rows(manifest)} == {
        ("Training/a/1.png", "train"),
        ("Training/b/2.png", "train"),
        ("valid/a/3.png", "val"),
        ("valid/b/5.png", "val"),
        ("TEST/a/6.png", "test"),
        ("TEST/b/4.png", "test"),
    }
    assert manifest.classes == ("a", "b")
    assert set(manifest.table["dataset"]) == {"mine"}


def test_linked_class_folders_are_followed_once(tmp_path: Path) -> None:
    draw(tmp_path, "elsewhere/1.png", "set/b/2.png")
    (tmp_path / "set/a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set/b/loop").symlink_to(tmp_path / "set", target_is_directory=True)
    assert len(FolderSource(tmp_path / "set").read()) == 2


def test_images_without_labels_are_taken_only_when_asked(tmp_path: Path) -> None:
    draw(tmp_path, "1.png", "2.png", "more/3.png")
    with pytest.raises(DataError, match=r"1\.png: this image is in no class folder.*unlabelled"):
        FolderSource(tmp_path).read()
    manifest = FolderSource(tmp_path, unlabelled=True).read()
    assert {label for _, label, _ in rows(manifest)} == {"unlabelled"}
    validate(manifest, min_classes=1)
    draw(tmp_path / "split", "train/1.png", "test/2.png")
    split = FolderSource(tmp_path / "split", unlabelled=True).read()
    assert [s for _, _, s in rows(split)] == ["test", "train"]


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.root=.*gone: no such folder"):
        FolderSource(tmp_path / "gone").read()
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        FolderSource(tmp_path / "file").read()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no PNG, JPEG or TIFF images"):
        FolderSource(tmp_path / "empty").read()
    draw(tmp_path / "a", "train/x/1.png", "extra/x/1.png")
    with pytest.raises(DataError, match="folder train is named like a split, but extra"):
        FolderSource(tmp_path / "a").read()
    draw(tmp_path / "b", "x/1.png", "y/1.png")
    (tmp_path / "b/z").mkdir()
    with pytest.raises(DataError, match="z: no PNG, JPEG or TIFF images in this class folder"):
        FolderSource(tmp_path / "b").read()


def table(root: Path, text: str, *, name: str = "labels.csv") -> Path:
    draw(root, "images/1.png", "images/2.png", "images/3.png")
    (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_table_of_labels(tmp_path: Path) -> None:
    text = (
        "\ufeffimage,label,split,patient_id\n"
        "images/2.png,ill,Training,p1\n"
        "images/1.png, ill ,,p1\n"
        'images/3.png,normal,"test",\n'
    )
    manifest = CsvSource(table(tmp_path, text)).read()
    assert rows(manifest) == [
        ("images/1.png", "ill", ""),
        ("images/2.png", "ill", "train"),
        ("images/3.png", "normal", "test"),
    ]
    codes = manifest.groups()
    assert codes[0] == codes[1] != codes[2]
    assert manifest.classes == ("normal", "ill")


def test_other_column_names_and_a_label_map(tmp_path: Path) -> None:
    text = "file,grade,part\nimages/1.png,0,train\nimages/2.png,3,test\nimages/3.png,NA,test\n"
    manifest = CsvSource(
        table(tmp_path, text, name="t.csv"),
        labels="t.csv",
        image_column="file",
        label_column="grade",
        split_column="part",
        label_map={0: "healthy", "3": "retinopathy", "NA": None},  # type: ignore[dict-item]
    ).read()
    assert rows(manifest) == [
        ("images/1.png", "healthy", "train"),
        ("images/2.png", "retinopathy", "test"),
    ]
    assert manifest.classes == ("healthy", "retinopathy")
    ignored = CsvSource(
        tmp_path, "t.csv", image_column="file", label_column="grade", split_column=None
    ).read()
    assert {split for _, _, split in rows(ignored)} == {""}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("image,y\nimages/1.png,a\n", {}, r"no column label; it has image, y; .*label_column"),
        ("path,label\nimages/1.png,a\n", {}, r"no column image; .*data\.image_column"),
        ("image,label\nimages/1.png,a\n", {"split_column": "part"}, "no column part"),
        ("image,label\nimages/1.png,a\n", {"group_column": "who"}, "no column who"),
        ("image,label\nimages/1.png,a\nimages/9.png,a\n", {}, r"images/9\.png: no such file; 1 of"),
        ("image,label\n../x.png,a\n", {}, r"'\.\.' may not lead out"),
        ("image,label\nimages/../../x.png,a\n", {}, r"'\.\.' may not lead out"),
        ("image,label\n/etc/x.png,a\n", {}, "absolute path"),
        ("image,label\nimages/1.png,\n", {}, "line 2 has no label"),
        ("image,label,split\nimages/1.png,a,holdout\n", {}, "line 2 has split 'holdout'"),
        ("image,label\nimages/1.png,a\n", {"label_map": {"b": "c"}}, "label_map lacks .* a;"),
        ("image,label\n", {}, "no images"),
        ("", {}, "cannot be read as a CSV table"),
        ("image,label\nimages/1.png,a\n", {"labels": "other.csv"}, r"other\.csv: no such file"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, text, options, message) -> None:
    with pytest.raises(DataError, match=message) as error:
        validate(CsvSource(table(tmp_path, text), **options).read(), min_classes=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("inner", ["train/train test/test", "train test"])
def test_the_kaggle_cardiomegaly_layout(tmp_path: Path, inner: str) -> None:
    train, test = inner.split()
    draw(tmp_path, *(f"{part}/{c}/{k}.png" for part in (train, test) for c in ("true", "false")
                     for k in range(3)))  # fmt: skip
    manifest = KaggleCardiomegalySource(tmp_path).read()
    validate(manifest)
    assert manifest.classes == ("no_cardiomegaly", "cardiomegaly")
    assert manifest.counts().loc["cardiomegaly"].to_dict() == {"train": 3, "val": 0, "test": 3}
    labels = {image.split("/")[-2]: label for image, label, _ in rows(manifest)}
    assert labels == {"true": "cardiomegaly", "false": "no_cardiomegaly"}
    shutil.rmtree(tmp_path / test / "false")
    with pytest.raises(
        DataError, match=r"no images in test/test/false.*found test, train.*rahimanshu"
    ):
        KaggleCardiomegalySource(tmp_path).read()


def test_phantoms_are_drawn_once_for_each_set_of_arguments(tmp_path: Path) -> None:
    source = PhantomSource("chest_xray", count=8, size=32, seed=1, directory=tmp_path)
    manifest = source.read()
    validate(manifest)
    assert len(manifest) == 8
    with Image.open(manifest.address(0).blob.path) as image:
        assert image.size == (32, 32)
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}
    again = PhantomSource("chest_xray", count=8, size=32, seed=1, directory=tmp_path).read()
    assert again.table.equals(manifest.table)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")} == stamps
    other = PhantomSource("chest_xray", count=8, size=32, seed=2, directory=tmp_path).read()
    assert other.root != manifest.root
    assert other.address(0).blob.path.read_bytes() != manifest.address(0).blob.path.read_bytes()


@pytest.mark.parametrize("column", ["Split", "SPLIT", "Patient_ID", "patient id", "PatientID"])
def test_a_column_that_is_written_otherwise_is_not_passed_over(tmp_path: Path, column) -> None:
    text = f"image,label,{column}\nimages/1.png,a,test\n"
    with pytest.raises(DataError, match=f"a column {column}, not .*=null to pass it over"):
        CsvSource(table(tmp_path, text)).read()
    ignored = {"split_column": None, "group_column": None}
    assert len(CsvSource(tmp_path, **ignored).read()) == 1
