"""duplicates, patients and what is said of them, on small tables whose answers can be counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frerec.data.audit import duplicates as module
from frerec.data.audit.duplicates import PAIR_COLUMNS, find_duplicates
from frerec.data.audit.patients import patients
from frerec.data.audit.verdicts import duplicate_findings, image_findings, leak_findings
from frerec.data.manifest import Manifest
from frerec.data.perceptual import find_near_pairs

BASE = np.random.default_rng(0).integers(0, 2, (4, 256))


def hashed(picture: int, turned: int = 0) -> str:
    """The hash of one of four unlike pictures, with so many bits turned."""
    bits = BASE[picture].copy()
    bits[:turned] ^= 1
    return np.packbits(bits).tobytes().hex()


def table(*rows: tuple[str, str, str, str, str], groups: list[str] | None = None) -> Manifest:
    """Rows of image, label, split, pixels and hash, in order of the images."""
    images, labels, splits, pixels, hashes = zip(*rows, strict=True)
    manifest = Manifest.build(
        Path("/data"), images=images, labels=labels, splits=splits, groups=groups
    )
    assert manifest.table["image"].tolist() == list(images)
    return manifest.with_columns(
        pixels=pd.array(pixels, dtype="str"), phash=pd.array(hashes, dtype="str")
    )


MIXED = table(
    ("0.png", "ill", "train", "A", hashed(0)),
    ("1.png", "ill", "test", "A", hashed(0)),  # the same pixels as 0
    ("2.png", "well", "test", "B", hashed(0, 10)),  # near 0 and 1, another label
    ("3.png", "well", "train", "C", hashed(1)),
    ("4.png", "well", "train", "D", hashed(1, 24)),  # near 3, same split
    ("5.png", "well", "val", "E", hashed(1, 25)),  # near 4, too far from 3
    ("6.png", "ill", "test", "F", hashed(2)),  # alone
    ("7.png", "well", "train", "G", ""),  # two flat ones with the same pixels
    ("8.png", "well", "val", "G", ""),
)


def test_pairs_say_what_they_are() -> None:
    found = find_duplicates(MIXED, 24)
    expected = [
        ("exact", 0, "0.png", "train", "ill", "1.png", "test", "ill"),
        ("exact", 0, "7.png", "train", "well", "8.png", "val", "well"),
        ("near", 1, "4.png", "train", "well", "5.png", "val", "well"),
        ("near", 10, "0.png", "train", "ill", "2.png", "test", "well"),
        ("near", 10, "1.png", "test", "ill", "2.png", "test", "well"),
        ("near", 24, "3.png", "train", "well", "4.png", "train", "well"),
    ]
    assert list(found.pairs.columns) == list(PAIR_COLUMNS)
    assert list(found.pairs.itertuples(index=False, name=None)) == expected
    assert "group" not in found.pairs.columns


def test_they_are_counted_by_kind_split_and_class() -> None:
    summary = find_duplicates(MIXED, 24).summary()
    assert summary["exact"] == {
        "pairs": 2,
        "pairs_across_splits": 2,
        "pairs_with_other_label": 0,
        "pairs_by_splits": {"train-val": 1, "train-test": 1},
        "conflicts_by_labels": {},
        "images": 4,
        "images_by_class": {"ill": 2, "well": 2},
        "clusters": 2,
        "largest_cluster": 2,
    }
    assert summary["near"] == {
        "pairs": 4,
        "pairs_across_splits": 2,
        "pairs_with_other_label": 2,
        "pairs_by_splits": {"train-train": 1, "train-val": 1, "train-test": 1, "test-test": 1},
        "conflicts_by_labels": {"ill-well": 2},
        "images": 6,
        "images_by_class": {"ill": 2, "well": 4},
        "clusters": 2,
        "largest_cluster": 3,
    }
    assert summary["near_pairs_by_distance"] == {"1": 1, "10": 2, "24": 1}
    assert summary["also_in_train"] == {
        "val": {"exact": {"well": 1}, "near": {"well": 1}},
        "test": {"exact": {"ill": 1}, "near": {"well": 1}},
    }
    assert summary["complete"]


def test_an_image_with_an_exact_and_a_near_copy_in_train_counts_once() -> None:
    both = table(
        ("0.png", "ill", "train", "A", hashed(0)),
        ("1.png", "ill", "train", "B", hashed(0, 4)),
        ("2.png", "ill", "test", "A", hashed(0)),
    )
    found = find_duplicates(both, 24).in_other_split("test")
    assert {kind: rows.tolist() for kind, rows in found.items()} == {"exact": [2], "near": []}


def test_a_smaller_distance_finds_less() -> None:
    assert find_duplicates(MIXED, 9).summary()["near"]["pairs"] == 1
    assert find_duplicates(MIXED, 0).summary()["near"]["pairs"] == 0


def test_blank_splits_are_not_another_split() -> None:
    unset = MIXED.with_columns(split=pd.array([""] * len(MIXED), dtype="str"))
    found = find_duplicates(unset, 24)
    assert not found.across.any()
    assert found.summary()["exact"]["pairs_by_splits"] == {"none-none": 2}
    assert found.summary()["also_in_train"] == {}
    assert leak_findings(found) == []


def test_findings_give_numbers_and_keys() -> None:
    found = find_duplicates(MIXED, 24)
    said = {f.code: f for f in [*leak_findings(found), *duplicate_findings(found)]}
    assert set(said) == {
        "exact_test_in_train",
        "exact_val_in_train",
        "near_test_in_train",
        "near_val_in_train",
        "near_label_conflict",
        "exact_duplicates",
        "near_duplicates",
    }
    assert "1 of 3 test images (33 %)" in said["exact_test_in_train"].message
    assert "data.leaks=drop" in said["exact_test_in_train"].message
    assert "data.near_duplicates=drop" in said["near_test_in_train"].message
    assert "2 pairs" in said["near_label_conflict"].message
    assert "ill-well 2" in said["near_label_conflict"].message
    assert "2 of 9 images repeat another" in said["exact_duplicates"].message
    assert "6 images are in 2 clusters" in said["near_duplicates"].message
    assert [said[code].level for code in ("near_duplicates", "exact_test_in_train")] == [
        "note",
        "warning",
    ]


def test_identical_images_with_different_labels_are_a_warning() -> None:
    conflict = table(
        ("0.png", "ill", "train", "A", hashed(0)), ("1.png", "well", "train", "A", hashed(0))
    )
    said = {f.code: f for f in duplicate_findings(find_duplicates(conflict, 24))}
    assert "1 pair of identical images" in said["exact_label_conflict"].message


def test_too_many_pairs_are_said_to_be_too_many(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_near_pairs", lambda h, d, **k: find_near_pairs(h, d, limit=1))
    found = find_duplicates(MIXED, 24)
    assert not found.complete
    assert "pairs_incomplete" in {f.code for f in duplicate_findings(found)}


def test_pairs_that_are_known_are_not_searched_again(monkeypatch) -> None:
    near = find_near_pairs(MIXED.table["phash"].tolist(), 24)
    searched = find_duplicates(MIXED, 24)
    few = find_near_pairs(MIXED.table["phash"].tolist(), 24, limit=1)
    monkeypatch.setattr(module, "find_near_pairs", None)
    found = find_duplicates(MIXED, 24, near=near)
    np.testing.assert_array_equal(found.rows, searched.rows)
    np.testing.assert_array_equal(found.exact, searched.exact)
    assert found.complete
    assert not find_duplicates(MIXED, 24, near=few).complete


def test_pairs_of_another_manifest_or_distance_are_refused() -> None:
    near = find_near_pairs(MIXED.table["phash"].tolist(), 24)
    with pytest.raises(ValueError, match="24 bits for a manifest of 9 rows and 20 bits"):
        find_duplicates(MIXED, 20, near=near)
    with pytest.raises(ValueError, match=r"rows up to 5 .* a manifest of 5 rows"):
        find_duplicates(MIXED.take(np.arange(5)), 24, near=near)


def test_no_image_is_named_in_what_is_found() -> None:
    """A path may hold a patient's id, as those of MIMIC-CXR do."""
    rows = MIXED.table[["image", "label", "split", "pixels", "phash"]]
    manifest = table(
        *(
            (f"files/p10/p1000{row.image}", row.label, row.split, row.pixels, row.phash)
            for row in rows.itertuples(index=False)
        )
    )
    names = manifest.table["image"].tolist()
    found = find_duplicates(manifest, 24)
    left_out = image_findings(manifest, {names[0]: "cannot be decoded"}, names[1:3])
    said = [f.message for f in [*leak_findings(found), *duplicate_findings(found), *left_out]]
    assert len(said) == 12
    assert not [message for message in said if "p10" in message or ".png" in message]
    assert any("duplicates.csv" in message for message in said)


def test_patients_are_counted_but_never_named() -> None:
    groups = ["ann", "ann", "bob", "", "cy", "cy", "dee", "", "flo"]
    manifest = table(
        *MIXED.table[["image", "label", "split", "pixels", "phash"]].itertuples(
            index=False, name=None
        ),
        groups=groups,
    )
    found = patients(manifest)
    assert found == {
        "images_with_known_patient": 7,
        "patients": 5,
        "by_class_and_split": {
            "ill": {"train": 1, "val": 0, "test": 2},
            "well": {"train": 1, "val": 2, "test": 1},
        },
        "in_two_splits": 2,
        "images_of_those": 4,
        "by_splits": {"train-test": 1, "train-val": 1},
    }
    said = leak_findings(find_duplicates(manifest, 24))
    leak = next(f for f in said if f.code == "patients_in_two_splits")
    assert leak.message.startswith("2 patients with 4 images")
    text = " ".join(f.message for f in [*said, *image_findings(manifest, {}, [])]) + str(found)
    names = [*groups, *manifest.table["group"]]
    assert not [name for name in names if name and name in text]


def test_unknown_patients_are_not_known() -> None:
    assert patients(MIXED)["by_class_and_split"]["ill"] == {
        "train": "not known",
        "val": 0,
        "test": "not known",
    }
    said = {f.code: f.message for f in image_findings(MIXED, {}, [])}
    assert "all images are not known" in said["patients_not_known"]


def test_images_left_out_flat_ones_and_empty_classes_are_said() -> None:
    skipped = {"bad.png": "cannot be decoded"}
    said = {f.code: f.message for f in image_findings(MIXED, skipped, ["gone.png", "lost.png"])}
    assert set(said) == {"missing", "skipped", "flat", "empty_class", "patients_not_known"}
    assert said["missing"].startswith("2 images left out")
    assert said["skipped"].startswith("1 image left out")
    assert "skipped in summary.json" in said["skipped"]
    assert "missing in summary.json" in said["missing"]
    assert said["flat"].startswith("2 images flat")
    assert said["empty_class"].startswith("val has no images of ill")
