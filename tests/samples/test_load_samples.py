"""A folder of samples becomes a manifest, or a one-line error that names file and remedy."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from fixtures import textured_images, write_tree
from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError
from frerec.samples import load_samples

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
        ([("a.png", "normal")], ("image", "class"), "no column label; it has image, class"),
        ([("a.png", "normal")], ("file", "label"), "no column image; it has file, label"),
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
    with pytest.raises(DataError, match=r"a\.png: cannot be read as a CSV table"):
        load_samples(root, classes=CLASSES, labels=root / "normal/a.png")


@pytest.mark.parametrize("again", ["a.png", "./a.png"])
def test_an_image_listed_twice_is_an_error_however_it_is_written(tmp_path, again):
    root = tree(tmp_path, ("a.png", "b.png"))
    path = table(root, [("a.png", "normal"), (again, "large"), ("b.png", "large")])
    with pytest.raises(DataError, match=r"a\.png: listed more than once"):
        load_samples(root, classes=CLASSES, labels=path)


def test_a_table_may_have_a_byte_order_mark_blanks_and_extra_columns(tmp_path):
    root = tree(tmp_path, ("a.png", "b.png"))
    text = "image, label ,note\n a.png , normal,x\nb.png,large,y\n"
    (root / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_samples(root, classes=CLASSES).table["label"].tolist() == ["normal", "large"]


def test_a_table_that_is_no_utf_8_is_named(tmp_path):
    root = tree(tmp_path, ("a.png",))
    (root / "labels.csv").write_bytes("image,label\na.png,größe\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"labels\.csv: cannot be read as a CSV table"):
        load_samples(root, classes=CLASSES)


def test_images_that_a_table_does_not_name_are_told(tmp_path, caplog):
    root = tree(tmp_path, ("a.png", "b.png", "c.png", "d.png"))
    table(root, [("a.png", "normal"), ("b.png", "large")])
    assert len(load_samples(root, classes=CLASSES)) == 2
    assert "2 images in it are not in labels.csv, left out" in caplog.text


def test_a_table_alone_names_images_in_archives_and_arrays_too(tmp_path):
    tree(tmp_path, ("a.png",))
    np.savez(tmp_path / "set.npz", arr_0=np.zeros((2, 8, 8), np.uint8))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "deep/b.png")
    names = ["a.png", "set.npz::arr_0/000001", "set.zip::deep/b.png"]
    path = table(tmp_path, [(name, "normal") for name in names], "mine.csv")
    manifest = load_samples(path, classes=("normal",))
    assert manifest.table["image"].tolist() == names
    table(tmp_path, [("set.zip::deep/gone.png", "normal")], "mine.csv")
    with pytest.raises(DataError, match=r"line 2: no such file .*set\.zip::deep/gone\.png"):
        load_samples(path, classes=("normal",))
    table(tmp_path, [("set.zip::../a.png", "normal")], "mine.csv")
    with pytest.raises(DataError, match="leads out of"):
        load_samples(path, classes=("normal",))
    with pytest.raises(ConfigError, match=r"samples\.labels=.*column label; leave it out"):
        load_samples(path, classes=("normal",), labels=path)


def test_hidden_files_are_no_samples_and_suffixes_count_in_any_case(tmp_path, caplog):
    root = tree(tmp_path, ("normal/A.PNG", "large/b.JpeG", "normal/.x.png", "large/.t/c.png"))
    write_tree(root, textured_images(2), ["__MACOSX/d.png", "grid.png"])
    (root / "normal" / "e.webp").write_bytes(b"")
    manifest = load_samples(root, classes=CLASSES)
    assert manifest.table["image"].tolist() == ["large/b.JpeG", "normal/A.PNG"]
    assert "1 images lie in no folder of a class, left out" in caplog.text
    assert "1 .webp: in formats that are not read" in caplog.text


def test_a_folder_around_the_folders_of_the_classes_is_named(tmp_path):
    root = tree(tmp_path, ("set/normal/a.png", "set/large/b.png"))
    with pytest.raises(DataError) as caught:
        load_samples(root, classes=CLASSES)
    assert one_line(caught).endswith(f"give samples.path={root}/set")
    assert len(load_samples(root / "set", classes=CLASSES)) == 2
    mapped = load_samples(root, classes=CLASSES, label_map={"set": "large"}, allow_missing=True)
    assert set(mapped.table["label"]) == {"large"}  # a class of its own, where that is said


def test_images_without_labels_are_taken_for_the_only_class(tmp_path):
    root = tree(tmp_path, ("a.png", "b.png"))
    assert load_samples(root, classes=["image"]).table["label"].tolist() == ["image"] * 2
    with pytest.raises(DataError) as caught:
        load_samples(root, classes=CLASSES)
    for words in ("2 images have no labels", "normal, large", "samples.labels=FILE.csv"):
        assert words in one_line(caught)
    with pytest.raises(ConfigError, match="have no labels to map"):
        load_samples(root, classes=CLASSES, label_map={"0": "normal"})
