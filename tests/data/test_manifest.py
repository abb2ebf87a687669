"""manifest: the table's arithmetic, its file, and each check at the door."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frerec.data.checks import validate
from frerec.data.hashing import hash_images
from frerec.data.manifest import Manifest, order_classes
from frerec.errors import DataError


def make(root: Path, **columns: list[str]) -> Manifest:
    """Four images of two classes with files that differ; columns may be replaced."""
    table = pd.DataFrame(
        {
            "image": ["a.png", "b.png", "c.png", "d.png"],
            "label": ["ill", "ill", "well", "well"],
            "split": ["train", "test", "train", "test"],
            "group": ["p1", "p2", "p3", "p4"],
            "source": ["real"] * 4,
            "dataset": ["d"] * 4,
        }
    ).assign(**columns)
    for name in "abcd":
        (root / f"{name}.png").write_text(name)
    return Manifest(table, root, ("well", "ill"))


def test_labels_groups_rows_and_counts(tmp_path: Path) -> None:
    manifest = make(tmp_path, group=["z", "a", "z", "b"], split=["train", "test", "train", "val"])
    assert manifest.label_indices().tolist() == [1, 1, 0, 0]
    groups = manifest.groups()
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3
    assert manifest.where(split="train").tolist() == [0, 2]
    assert manifest.where(split="train", source="synthetic").tolist() == []
    taken = manifest.take([3, 0])
    assert taken.table["image"].tolist() == ["d.png", "a.png"]
    assert taken.table.index.tolist() == [0, 1]
    assert manifest.take(np.array([True, False, False, True])).table["image"].tolist() == [
        "a.png",
        "d.png",
    ]
    counts = manifest.counts()
    assert counts.index.tolist() == ["well", "ill"]
    assert counts.loc["well"].to_dict() == {"train": 1, "val": 1, "test": 0}


def test_a_manifest_survives_its_file_and_a_change_of_root(tmp_path: Path) -> None:
    manifest = hash_images(make(tmp_path))
    manifest.write(tmp_path / "deep" / "m.parquet")
    again = Manifest.read(tmp_path / "deep" / "m.parquet")
    pd.testing.assert_frame_equal(again.table, manifest.table, check_dtype=False)
    assert (again.root, again.classes) == (tmp_path, ("well", "ill"))
    assert Manifest.read(tmp_path / "deep" / "m.parquet", root=Path("x")).root == Path("x")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["m.parquet"]


def test_other_files_are_not_manifests(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    pd.DataFrame({"image": ["a"]}).to_parquet(tmp_path / "table.parquet")
    for name in ("text.parquet", "table.parquet", "missing.parquet"):
        with pytest.raises(DataError, match=name):
            Manifest.read(tmp_path / name)


def test_a_sound_manifest_passes(tmp_path: Path) -> None:
    validate(hash_images(make(tmp_path)))
    validate(make(tmp_path, split=[""] * 4))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": ["ill", "ill", "well", "odd"]}, r"d\.png: label is 'odd'.*well, ill"),
        ({"label": ["ill"] * 4}, "only one class, ill"),
        ({"split": ["train", "dev", "train", "test"]}, r"b\.png: split is 'dev'"),
        ({"split": ["train", "test", "", "test"]}, r"1 of 4 images have no split.*c\.png"),
        ({"source": ["real", "synthetic", "real", "real"]}, r"b\.png: a synthetic image in test"),
        ({"source": ["real", "fake", "real", "real"]}, r"b\.png: source is 'fake'"),
        ({"image": ["a.png", "b.png", "a.png", "d.png"]}, r"a\.png: listed more than once"),
        ({"image": ["a.png", "b.png", "c.png", "gone.png"]}, r"gone\.png: no such file; 1 of"),
        ({"image": ["a.png", "b.png", "c.png", "../d.png"]}, r"\.\./d\.png: '\.\.' may not"),
        ({"image": ["a.png", "b.png", "c.png", "/d.png"]}, r"/d\.png: absolute"),
        ({"image": ["a.png", "b.png", "c.png", "C:\\d.png"]}, "absolute"),
        ({"group": ["secret", "secret", "p3", "p4"]}, r"a\.png \(train\) and b\.png \(test\)"),
    ],
)
def test_the_door_names_what_is_wrong(tmp_path: Path, columns, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        validate(make(tmp_path, **columns))
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_the_door_finds_one_file_in_two_splits(tmp_path: Path) -> None:
    manifest = make(tmp_path)
    (tmp_path / "d.png").write_text("a")
    with pytest.raises(DataError, match=r"identical files.*a\.png \(train\) and d\.png \(test\)"):
        validate(hash_images(manifest))
    validate(hash_images(manifest), leaks=False)


def test_missing_columns_and_empty_tables_are_refused(tmp_path: Path) -> None:
    manifest = make(tmp_path)
    with pytest.raises(DataError, match="lacks the columns group, dataset"):
        validate(Manifest(manifest.table.drop(columns=["group", "dataset"]), tmp_path, ("a", "b")))
    with pytest.raises(DataError, match="no images"):
        validate(manifest.take([]))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cardiomegaly", "no_cardiomegaly"], ("no_cardiomegaly", "cardiomegaly")),
        (["healthy", "abnormal"], ("healthy", "abnormal")),
        (["glioma", "notumor", "pituitary"], ("notumor", "glioma", "pituitary")),
        (["nodule", "normal"], ("normal", "nodule")),
        (["10", "2", "0"], ("0", "2", "10")),
        (["true", "false"], ("false", "true")),
    ],
)
def test_the_absence_of_a_finding_is_class_zero(names, expected) -> None:
    assert order_classes(names) == expected
    assert order_classes(reversed(names)) == expected


def test_images_without_a_patient_are_groups_of_their_own(tmp_path: Path) -> None:
    manifest = Manifest.build(
        tmp_path, images=["b", "a", "c"], labels=["x", "y", "x"], groups=["", "p", "p"]
    )
    assert manifest.table["image"].tolist() == ["a", "b", "c"]
    assert manifest.groups().tolist().count(manifest.groups()[0]) == 2
    assert len(set(manifest.groups().tolist())) == 2
