"""withheld: planted patients, copies and near-duplicates of images in use never come out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules import module, ready
from fixtures import class_folders, textured_images, write_tree
from frerec.data.datamodules import ChestXray, ImageDataModule
from frerec.data.sources import CsvSource
from frerec.errors import ConfigError, DataError


def patients(root: Path, *, per_class: int = 40, images_a_patient: int = 2) -> Path:
    """Two classes; every patient has some consecutive images, those with numbers 0 mod 4 both."""
    pictures = textured_images(2 * per_class, height=32, width=32, seed=1)
    names = [f"{label}/{k:03d}.png" for label in "ab" for k in range(per_class)]
    write_tree(root, pictures, names)
    lines = []
    for name in names:
        label, number = name[0], int(name[2:5]) // images_a_patient
        patient = f"both{number}" if number % 4 == 0 else f"{label}{number}"
        lines.append(f"{name},{label},{patient}")
    (root / "t.csv").write_text("image,label,patient_id\n" + "\n".join(lines))
    return root


def prepared(root: Path, **settings: Any) -> ImageDataModule:
    source = CsvSource(root, "t.csv", group_column="patient_id")
    settings = {"image_size": 32, "cache_dir": root.parent / "cache", "name": "t"} | settings
    return ready(ChestXray(source, **settings))


def patient_of(dm: ImageDataModule) -> dict[bytes, str]:
    """Patients by pixels, of all prepared images."""
    table = dm.prepared.manifest.table
    pixels = [image.numpy().tobytes() for image in dm.prepared.stack.tensor()]
    return dict(zip(pixels, table["group"], strict=True))


@pytest.mark.parametrize("settings", [{}, {"split_seed": 3}, {"folds": 3, "fold": 1}])
def test_nobody_in_train_val_or_test_is_withheld(tmp_path: Path, settings) -> None:
    root = patients(tmp_path / "set")
    dm, whole = prepared(root, train_size=6, **settings), prepared(root, **settings)
    patient = patient_of(dm)
    in_use = {patient[image.numpy().tobytes()] for image in dm.stack.tensor()}
    withheld = {patient[image.numpy().tobytes()] for image in dm.withheld.stack.tensor()}
    assert withheld
    assert not withheld & in_use
    # Brute force: everybody else in the whole training split, and nobody of val or test.
    train = {patient[i.numpy().tobytes()] for i in whole.stack.tensor(whole.rows("train"))}
    assert withheld == train - in_use


def test_the_training_set_in_use_and_its_fingerprint_stay_as_they_are(tmp_path: Path) -> None:
    root = patients(tmp_path / "set")
    untouched, dm = prepared(root, train_size=6), prepared(root, train_size=6)
    _ = dm.withheld
    assert dm.fingerprint == untouched.fingerprint
    assert dm.manifest.table.equals(untouched.manifest.table)
    assert "row" not in dm.manifest.table
    assert len(dm.stack) == len(dm.manifest)


def test_labels_and_groups_are_those_of_the_images(tmp_path: Path) -> None:
    dm = prepared(patients(tmp_path / "set"), train_size=6)
    table, withheld = dm.prepared.manifest.table, dm.withheld
    pixels = [image.numpy().tobytes() for image in dm.prepared.stack.tensor()]
    label = dict(zip(pixels, table["label"], strict=True))
    found = [label[image.numpy().tobytes()] for image in withheld.stack.tensor()]
    assert [dm.classes[n] for n in withheld.labels] == found
    patient = patient_of(dm)
    names = [patient[image.numpy().tobytes()] for image in withheld.stack.tensor()]
    pairs = set(zip(names, withheld.groups.tolist(), strict=True))
    assert len(pairs) == len(set(names)) == len(set(withheld.groups.tolist()))


@pytest.mark.parametrize("official", [False, True])
def test_copies_and_near_duplicates_of_images_in_use_are_not_withheld(
    tmp_path: Path, official: bool
) -> None:
    root = tmp_path / "set"
    pictures = textured_images(48, height=64, width=64, seed=6)
    parts = ["train", "train", "train", "train", "val", "test"]
    place = [f"{parts[k % 6]}/" if official else "" for k in range(48)]
    names = [f"{place[k]}{'ab'[k // 6 % 2]}/{k:02d}.png" for k in range(48)]
    write_tree(root, pictures, names)
    settings = {"image_size": 64, "train_size": 5}
    before = ready(module(root, **settings))
    original = before.manifest.table["image"].iloc[before.rows("train")[0]]
    free = len(before.withheld.labels)
    # A JPEG copy goes into the training split, but would not be taken by the same train_size.
    with Image.open(root / original) as image:
        image.save(root / original.replace(".png", "_again.jpg"), quality=85)
    dm = ready(module(root, **settings))
    assert original in set(dm.manifest.table["image"]), "the copy changed who is in use"
    copies = dm.prepared.manifest.table["image"].str.endswith(".jpg").to_numpy()
    copy = dm.prepared.stack.tensor(np.flatnonzero(copies))[0]
    assert not any(np.array_equal(copy, image) for image in dm.withheld.stack.tensor())
    assert len(dm.withheld.labels) <= free
    if official:  # near a test image, with the policy that lets it stay in train
        test = before.manifest.table["image"].iloc[before.rows("test")[0]]
        near = test.replace("test/", "train/").replace(".png", "_near.jpg")
        with Image.open(root / test) as image:
            image.save(root / near, quality=85)
        dm = ready(module(root, **settings))
        row = int(np.flatnonzero(dm.prepared.manifest.table["image"] == near)[0])
        taken = dm.prepared.stack.tensor(row)
        assert not any(np.array_equal(taken, image) for image in dm.withheld.stack.tensor())


def test_leaks_that_are_kept_do_not_become_withheld_images(tmp_path: Path) -> None:
    root = tmp_path / "set"
    class_folders(root / "train", per_class=20)
    class_folders(root / "test", per_class=8)  # the same first eight of `normal`
    dm = ready(module(root, leaks="keep", train_size=4))
    test = {image.numpy().tobytes() for image in dm.stack.tensor(dm.rows("test"))}
    withheld = {image.numpy().tobytes() for image in dm.withheld.stack.tensor()}
    assert withheld
    assert not withheld & test


def test_the_fingerprint_knows_the_labels_of_what_is_withheld(tmp_path: Path) -> None:
    """The data's own fingerprint does not: an oracle with wrong labels would be taken for it."""
    root = patients(tmp_path / "set", images_a_patient=1)
    rows = (root / "t.csv").read_text().splitlines()[1:]
    given = [f"{row},{('train', 'train', 'train', 'val', 'test')[k % 5]}"
             for k, row in enumerate(rows)]  # fmt: skip
    head = "image,label,patient_id,split"

    def of(lines: list[str]) -> ImageDataModule:
        (root / "t.csv").write_text("\n".join([head, *lines]))
        source = CsvSource(root, "t.csv", split_column="split")
        return ready(
            ChestXray(source, image_size=32, cache_dir=tmp_path / "cache", name="t", train_size=6)
        )

    first = of(given)
    used = set(first.manifest.table["image"])
    candidates = [k for k, x in enumerate(given) if x.split(",")[0] not in used and ",a," in x]
    for k in candidates[:8]:
        changed = of([x.replace(",a,", ",b,") if j == k else x for j, x in enumerate(given)])
        if changed.fingerprint == first.fingerprint:
            assert changed.withheld.fingerprint != first.withheld.fingerprint
            break
    else:
        pytest.fail("every change of a label changed who is in use")
    assert of(given).withheld.fingerprint == first.withheld.fingerprint


def test_where_nothing_is_withheld_the_error_says_what_to_set(tmp_path: Path) -> None:
    root = patients(tmp_path / "set")
    with pytest.raises(ConfigError, match=r"does not get are needed.* set data\.train_size"):
        _ = prepared(root).withheld
    one_patient_a_class = tmp_path / "few"
    patients(one_patient_a_class, per_class=24, images_a_patient=1)
    lines = (one_patient_a_class / "t.csv").read_text().splitlines()
    head, body = lines[0], [line.rsplit(",", 1)[0] for line in lines[1:]]
    # Three patients: train, val and test get one each, whole.
    body = [f"{line},p{k % 3}" for k, line in enumerate(body)]
    (one_patient_a_class / "t.csv").write_text("\n".join([head, *body]))
    dm = prepared(one_patient_a_class, train_size=3)
    with pytest.raises(DataError, match=r"all 10 training images .* smaller data\.train_size"):
        _ = dm.withheld
