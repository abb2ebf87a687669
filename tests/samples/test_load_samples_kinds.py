"""Arrays, archives and StyleGAN's sets are samples like any other."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from fixtures import textured_images
from frerec.data.hashing import hash_images
from frerec.data.readers import read_pixels
from frerec.errors import ConfigError, DataError
from frerec.samples import load_samples

CLASSES = ("normal", "large")
NUMBERS = {0: "normal", 1: "large"}


def levels(count: int, size: int = 16) -> np.ndarray:
    """uint8 [N, H, W]."""
    images = textured_images(count, height=size, width=size)
    return (images * 255).round().byte().numpy()[:, 0]


def png(pixels) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def zipped(path, names, texts=()):
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in zip(names, levels(len(names)), strict=True):
            archive.writestr(name, png(pixels))
        for name, text in dict(texts).items():
            archive.writestr(name, text)
    return path


def labels_of(manifest) -> dict[str, str]:
    return dict(zip(manifest.table["image"], manifest.table["label"], strict=True))


def message(error, path, **more) -> str:
    with pytest.raises(error) as caught:
        load_samples(path, **({"classes": CLASSES} | more))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# npz


@pytest.mark.parametrize("names", [("arr_0", "arr_1"), ("images", "labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_rows_of_an_array_are_samples_in_its_order(tmp_path, names, save):
    pixels = np.repeat(levels(5)[..., None], 3, axis=3)
    save(tmp_path / "s.npz", **{names[0]: pixels, names[1]: np.array([1, 0, 1, 1, 0])})
    manifest = load_samples(tmp_path / "s.npz", classes=CLASSES, label_map=NUMBERS)
    assert manifest.table["label"].tolist() == ["large", "normal", "large", "large", "normal"]
    assert manifest.table["image"].iat[3] == f"s.npz::{names[0]}/000003"
    assert len(set(manifest.table["group"])) == 5
    assert len(set(hash_images(manifest).table["hash"])) == 5
    for row in range(5):
        expected = pixels[row].astype(np.float32) / 255
        np.testing.assert_array_equal(read_pixels(manifest.address(row)), expected)


def test_names_and_columns_of_labels_are_taken_too(tmp_path):
    np.savez(tmp_path / "s.npz", images=levels(2), labels=np.array([["large"], ["normal"]]))
    manifest = load_samples(tmp_path / "s.npz", classes=CLASSES)
    assert manifest.table["label"].tolist() == ["large", "normal"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"pictures": np.zeros((2, 8, 8), np.uint8)}, "no array arr_0 or images"),
        ({"arr_0": np.zeros((2, 3, 8, 8), np.uint8)}, "expected [N, H, W]"),
        ({"arr_0": np.zeros((2, 8, 8), np.int64)}, "expected uint8"),
        ({"arr_0": np.array([{}, {}], dtype=object)}, "never unpickled"),
        ({"arr_0": np.zeros((0, 8, 8), np.uint8)}, "no images"),
        ({"arr_0": np.zeros((2, 8, 8), np.uint8), "arr_1": np.zeros(3, int)}, "each of 2"),
        ({"arr_0": np.zeros((2, 8, 8), np.uint8), "arr_1": np.zeros(2)}, "a whole number"),
        ({"arr_0": np.zeros((2, 8, 8), np.uint8), "arr_1": np.array([{}, 1])}, "never unpickled"),
        ({"arr_0": np.zeros((2, 8, 8), np.uint8)}, "save them as the array arr_1"),
    ],
)
def test_arrays_that_cannot_be_right_are_refused(tmp_path, content, words):
    np.savez(tmp_path / "s.npz", allow_pickle=True, **content)
    text = message(DataError, tmp_path / "s.npz", allow_missing=True)
    assert words in text
    assert "s.npz" in text


def test_an_array_takes_no_table(tmp_path):
    np.savez(tmp_path / "s.npz", arr_0=levels(2), arr_1=np.zeros(2, int))
    text = message(ConfigError, tmp_path / "s.npz", labels=tmp_path / "t.csv")
    assert text.startswith("samples.labels=")
    assert "arr_1" in text


@pytest.mark.parametrize("name", ["s.npz", "s.zip", "s.txt", "gone.npz", "gone.zip"])
def test_other_and_damaged_files_are_named(tmp_path, name):
    if not name.startswith("gone"):
        (tmp_path / name).write_bytes(b"no such thing")
    assert name in message(DataError, tmp_path / name)


# zip and StyleGAN


def test_a_zip_with_a_folder_a_class_is_read_in_place(tmp_path):
    names = ["normal/a.png", "large/sub/b.PNG", "__MACOSX/normal/a.png", "large/.c.png"]
    path = zipped(tmp_path / "s.zip", names, {"normal/notes.txt": "x"})
    assert labels_of(load_samples(path, classes=CLASSES)) == {
        "s.zip::normal/a.png": "normal",
        "s.zip::large/sub/b.PNG": "large",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["s.zip"]


def test_a_folder_in_a_zip_is_a_set_too_and_the_way_to_it_is_told(tmp_path):
    path = zipped(tmp_path / "s.zip", ["top/normal/a.png", "top/large/b.png"])
    assert message(DataError, path).endswith(f"give samples.path={path}::top")
    assert len(load_samples(tmp_path / "s.zip::top", classes=CLASSES)) == 2


def test_a_zip_with_a_table_is_labelled_by_it(tmp_path):
    table = {"labels.csv": "image,label\nx.png,large\ny/z.png,normal\n"}
    path = zipped(tmp_path / "s.zip", ["x.png", "y/z.png"], table)
    found = labels_of(load_samples(path, classes=CLASSES))
    assert found == {"s.zip::x.png": "large", "s.zip::y/z.png": "normal"}


def test_members_that_lead_out_are_refused(tmp_path):
    path = zipped(tmp_path / "s.zip", ["normal/a.png", "../large/evil.png"])
    assert "evil.png" in message(DataError, path)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_stylegans_sets_are_labelled_by_their_numbers(tmp_path, kind):
    names = ["00000/img00000000.png", "00000/img00000001.png"]
    text = json.dumps({"labels": [[names[1], 0], [names[0], 1]]})
    path = zipped(tmp_path / "s.zip", names, {"dataset.json": text})
    prefix = "s.zip::"
    if kind == "folder":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "s")
        path, prefix = tmp_path / "s", ""
    found = load_samples(path, classes=CLASSES, label_map={"0": "normal", "1": "large"})
    assert labels_of(found) == {prefix + names[0]: "large", prefix + names[1]: "normal"}
    assert "samples.label_map={0: normal, 1: large}" in message(DataError, path)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([["a.png", 0], ["gone.png", 1]], "no such file"),
        ([["a.png", 0], ["../b.png", 1]], "image ../b.png leads out of"),
        ([["a.png", 0], ["/b.png", 1]], "leads out of"),
        ([["a.png", 0]], "no label for 1 of 2 images, for example b.png"),
        ([["a.png", 0], ["b.png", 1], ["a.png", 1]], "a.png: listed more than once"),
        ([["a.png", [0, 1]], ["b.png", 1]], "no whole number"),
        ([["a.png"]], "not a table of labels"),
        ({"a.png": 0}, "not a table of labels"),
        (None, "null labels; label each image in it"),
        ([], "null labels; label each image in it"),
    ],
)
def test_a_dataset_json_that_cannot_be_right_is_named(tmp_path, labels, words):
    texts = {"dataset.json": json.dumps({"labels": labels})}
    path = zipped(tmp_path / "s.zip", ["a.png", "b.png"], texts)
    text = message(DataError, path, label_map=NUMBERS if labels else None)
    assert words in text
    assert "s.zip" in text


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"{", b"[" * 100_000])
def test_a_dataset_json_that_is_none_is_named(tmp_path, content):
    path = zipped(tmp_path / "s.zip", ["a.png"], {"dataset.json": content})
    assert "dataset.json: not a table of labels" in message(DataError, path)
