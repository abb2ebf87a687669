"""A folder of samples becomes a manifest, or a one-line error that names file and remedy."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError
from frerec.samples import check_against_real, load_samples

CLASSES = ("normal", "large")


def tree(root, names=("normal/a.png", "normal/sub/b.png", "large/a.png", "large/c.jpg")):
    write_tree(root, textured_images(len(names)), list(names))
    return root


def table(root, rows, name="labels.csv", columns=("image", "label")):
    pd.DataFrame(rows, columns=list(columns)).to_csv(root / name, index=False)
    return root / name


def one_line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_a_class_is_listed_at_any_depth(tmp_path):
    root = tree(tmp_path)
    (root / "samples.json").write_text("{}")
    (root / "normal" / "notes.txt").write_text("not an image")
    (root / ".cache").mkdir()
    manifest = load_samples(root, classes=CLASSES, dataset="mine")
    frame = manifest.table
    assert dict(zip(frame["image"], frame["label"], strict=True)) == {
        "normal/a.png": "normal", "normal/sub/b.png": "normal",
        "large/a.png": "large", "large/c.jpg": "large",
    }  # fmt: skip
    assert set(frame["source"]) == {"synthetic"}
    assert set(frame["split"]) == {"train"}
    assert set(frame["dataset"]) == {"mine"}
    assert manifest.classes == CLASSES
    assert manifest.label_indices().tolist() == [CLASSES.index(x) for x in frame["label"]]
    validate(manifest)


def test_every_sample_is_a_group_of_its_own_and_no_real_patient(tmp_path):
    manifest = load_samples(tree(tmp_path), classes=CLASSES)
    real = Manifest.build(tmp_path, images=list(manifest.table["image"]), labels=["normal"] * 4)
    groups = list(manifest.table["group"]) + list(real.table["group"])
    assert len(set(groups)) == 8


def test_a_table_gives_the_labels(tmp_path):
    root = tree(tmp_path, ("one.png", "deep/two.png"))
    rows = [("one.png", "large"), ("deep/two.png", "normal")]
    for manifest in (
        load_samples(root, classes=CLASSES, labels=table(root, rows, "mine.csv")),
        load_samples(root, classes=CLASSES, labels=table(root, rows)),
        load_samples(root, classes=CLASSES),  # labels.csv is found by itself
    ):
        frame = manifest.table
        assert dict(zip(frame["image"], frame["label"], strict=True)) == dict(rows)


def test_names_are_mapped_or_left_out(tmp_path):
    root = tree(tmp_path, ("0/a.png", "1/b.png", "junk/c.png"))
    manifest = load_samples(
        root, classes=CLASSES, label_map={"0": "normal", "1": "large", "junk": None}
    )
    assert manifest.table["label"].tolist() == ["normal", "large"]


def test_a_class_that_the_real_data_lack_is_named_with_the_remedy(tmp_path):
    with pytest.raises(DataError) as caught:
        load_samples(tree(tmp_path, ("normal/a.png", "giant/b.png")), classes=CLASSES)
    for word in ("giant", "normal, large", "samples.label_map", str(tmp_path)):
        assert word in one_line(caught)


def test_a_real_class_without_samples_is_an_error_unless_allowed(tmp_path):
    root = tree(tmp_path, ("normal/a.png",))
    with pytest.raises(DataError, match="no samples of the class large"):
        load_samples(root, classes=CLASSES)
    assert len(load_samples(root, classes=CLASSES, allow_missing=True)) == 1


@pytest.mark.parametrize(
    ("label_map", "words"),
    [
        ({"normal": "huge"}, "maps normal to huge, which is none of the real classes"),
        ({"nomal": "normal"}, "nomal is no class of the samples"),
    ],
)
def test_a_wrong_label_map_is_named(tmp_path, label_map, words):
    with pytest.raises(ConfigError) as caught:
        load_samples(tree(tmp_path), classes=CLASSES, label_map=label_map)
    assert words in one_line(caught)


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no such folder of samples"):
        load_samples(tmp_path / "nowhere", classes=CLASSES)
    with pytest.raises(DataError, match="no samples; expected a folder for every class"):
        load_samples(tmp_path, classes=CLASSES)
    (tree(tmp_path) / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no images"):
        load_samples(tmp_path, classes=CLASSES)


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ([("a.png", "normal")], ("image", "class"), "column label is missing, found image, class"),
        ([("a.png", "normal")], ("file", "label"), "column image is missing"),
        ([], ("image", "label"), "no rows"),
        ([("a.png", "normal"), ("b.png", "large")], ("image", "label"), "line 3: no such file"),
        ([("../a.png", "normal")], ("image", "label"), "line 2: image ../a.png leads out of"),
        ([("/etc/hostname", "normal")], ("image", "label"), "leads out of"),
        ([("C:\\a.png", "normal")], ("image", "label"), "leads out of"),
        ([("a.png", "")], ("image", "label"), "line 2: image or label is empty"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path, rows, columns, words):
    root = tree(tmp_path / "samples", ("a.png",))
    path = table(root, rows, columns=columns)
    with pytest.raises(DataError) as caught:
        load_samples(root, classes=CLASSES, labels=path, allow_missing=True)
    assert words in one_line(caught)
    assert "labels.csv" in one_line(caught)


def test_a_missing_or_binary_table_is_named(tmp_path):
    root = tree(tmp_path)
    with pytest.raises(DataError, match=r"nope\.csv: no such file"):
        load_samples(root, classes=CLASSES, labels=root / "nope.csv")
    with pytest.raises(DataError, match=r"a\.png: not a readable CSV file"):
        load_samples(root, classes=CLASSES, labels=root / "normal/a.png")


def test_an_image_listed_twice_is_an_error(tmp_path):
    root = tree(tmp_path, ("a.png", "b.png"))
    path = table(root, [("a.png", "normal"), ("a.png", "large"), ("b.png", "large")])
    with pytest.raises(DataError, match=r"a\.png: listed more than once"):
        load_samples(root, classes=CLASSES, labels=path)


def test_differences_to_the_real_images_are_told(tmp_path):
    real = load_samples(tree(tmp_path / "real", ("normal/a.png", "large/b.png")), classes=CLASSES)
    assert check_against_real(real, real) == []
    other = tmp_path / "other"
    for name in CLASSES:
        (other / name).mkdir(parents=True)
        pixels = np.zeros((48, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(other / name / "x.jpg")
    warnings = check_against_real(load_samples(other, classes=CLASSES), real)
    text = " | ".join(warnings)
    assert len(warnings) == 3
    for words in (
        "size 40x48, real images 32x32",
        "colour colour, real images grey",
        "compression JPEG, real images lossless",
    ):
        assert words in text


def test_an_unreadable_sample_is_named(tmp_path):
    manifest = load_samples(tree(tmp_path), classes=CLASSES)
    (tmp_path / "normal/a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"normal/a\.png: not a PNG"):
        check_against_real(manifest, manifest)


def test_real_images_in_an_array_or_an_archive_are_compared_too(tmp_path: Path) -> None:
    names = ("normal/a.png", "large/b.png")
    samples = load_samples(tree(tmp_path / "samples", names), classes=CLASSES)
    np.savez(tmp_path / "set.npz", x=np.zeros((2, 32, 32), dtype=np.uint8))
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(tmp_path / "samples/large/b.png", "b.png")
    for address in ("set.npz::x/0", "set.zip::b.png"):
        real = Manifest.build(tmp_path, images=[address], labels=["normal"])
        assert check_against_real(samples, real) == []
