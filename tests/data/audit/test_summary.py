"""audit: a planted set from its files to the report, the same every time, and no patient in it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fixtures import textured_images
from frerec.data.audit import Audit, audit
from frerec.data.manifest import Manifest
from frerec.data.perceptual import find_near_pairs, perceptual_hash
from frerec.data.stack import ImageStack, stack_from_tensor

N = 40
SPLITS = ((["train"] * 6 + ["val"] + ["test"] * 2) * 5)[:N]


def planted(tmp_path: Path) -> tuple[Manifest, ImageStack]:
    """Rows 0 (train) and 7 (test) are equal, 1 (train) and 8 (test) near, with another label."""
    images = textured_images(N)
    images[7] = images[0]
    images[8] = images[1] * 0.8 + 0.1
    images = (images * 255).round() / 255
    labels = ["ill" if i % 2 else "well" for i in range(N)]
    labels[7], labels[8] = labels[0], "well"
    built = Manifest.build(
        tmp_path,
        images=[f"{i:02d}.png" for i in range(N)],
        labels=labels,
        splits=SPLITS,
        groups=[f"Patient-{i}" for i in range(N)],
        dataset="clinic",
    )
    manifest = built.with_columns(
        pixels=pd.array(
            [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images], dtype="str"
        ),
        phash=pd.array([perceptual_hash(image) for image in images], dtype="str"),
        format="PNG",
        mode="L",
        bits=8,
        quality=0,
        height=32,
        width=32,
        scale=1.0,
    )
    return manifest, stack_from_tensor(images, tmp_path / "stack.npy", "uint8")


@pytest.fixture
def found(tmp_path: Path) -> Audit:
    manifest, stack = planted(tmp_path)
    return audit(
        manifest,
        stack,
        near_distance=24,
        skipped=[("bad.png", "cannot be decoded")],
        missing=["gone.png"],
        resizing={"image_size": 32, "method": "none"},
    )


def test_what_was_planted_is_found(found: Audit) -> None:
    codes = [finding["code"] for finding in found.summary["warnings"]]
    assert set(codes) == {
        "exact_test_in_train",
        "near_test_in_train",
        "near_label_conflict",
        "exact_duplicates",
        "near_duplicates",
        "missing",
        "skipped",
    }
    levels = [finding["level"] for finding in found.summary["warnings"]]
    assert levels == sorted(levels, reverse=True)  # warnings before notes
    pairs = found.pairs.itertuples(index=False, name=None)
    assert [(p[0], p[2], p[5]) for p in pairs] == [
        ("exact", "00.png", "07.png"),
        ("near", "01.png", "08.png"),
    ]


def test_the_summary_has_the_documented_parts(found: Audit) -> None:
    summary = found.summary
    assert list(summary) == [
        "dataset",
        "images",
        "image_size",
        "resizing",
        "classes",
        "counts",
        "warnings",
        "missing",
        "skipped",
        "patients",
        "duplicates",
        "encodings",
        "spectra",
    ]
    assert summary["images"] == N
    assert summary["image_size"] == [1, 32, 32]
    assert summary["counts"]["ill"] == {"train": 14, "val": 2, "test": 3}
    assert summary["skipped"] == {"bad.png": "cannot be decoded"}
    assert summary["duplicates"]["near_distance"] == 24
    assert summary["patients"]["patients"] == N
    assert list(summary["encodings"]) == [
        *("format", "mode", "bits", "quality", "size", "resizing"),
        "sizes",
    ]


def test_the_summary_is_plain_json_and_the_same_every_time(found: Audit, tmp_path: Path) -> None:
    text = json.dumps(found.summary, allow_nan=False)
    assert json.loads(text) == found.summary
    manifest, stack = planted(tmp_path)
    options = {
        "near_distance": 24,
        "skipped": [("bad.png", "cannot be decoded")],
        "missing": ["gone.png"],
        "resizing": {"image_size": 32, "method": "none"},
    }
    again = audit(manifest, stack, **options)
    assert json.dumps(again.summary) == text
    assert again.text() == found.text()


def test_the_report_says_what_is_wrong_first_and_fits_the_terminal(found: Audit) -> None:
    lines = found.text().splitlines()
    assert lines[0] == "clinic: 40 images, 2 classes, 40 patients; prepared as 32x32 grey"
    assert lines[2] == "Findings: 5 warnings (!), 2 notes (-)"
    assert lines[3].startswith("  ! 1 of 8 test images (12 %) have the same pixels")
    assert max(map(len, lines)) <= 100
    findings = found.summary["warnings"]
    assert all(f"[{finding['code']}]" in found.text() for finding in findings)
    assert max(map(len, found.text(width=70).split("\n\n")[1].splitlines())) <= 70
    assert "  test well        1     1   5  40 %" in lines


def test_no_patient_is_in_the_summary_the_report_or_the_pairs(found: Audit) -> None:
    said = json.dumps(found.summary) + found.text() + found.pairs.to_csv()
    pseudonyms = found.duplicates.manifest.table["group"]
    assert "Patient" not in said
    assert not [name for name in pseudonyms if name in said]


def test_images_are_named_in_the_lists_and_pairs_only(tmp_path: Path) -> None:
    """A path may hold a patient's id, as those of MIMIC-CXR do."""
    manifest, stack = planted(tmp_path)
    names = [f"files/p10/p10000032/{name}" for name in manifest.table["image"]]
    manifest = manifest.with_columns(image=pd.array(names, dtype="str"))
    found = audit(
        manifest,
        stack,
        near_distance=24,
        skipped=[("files/p10/p10000032/bad.jpg", "cannot be decoded")],
        missing=["files/p10/p10000032/gone.jpg"],
    )
    assert "p10000032" not in found.text()
    naming = {key for key, part in found.summary.items() if "p10000032" in json.dumps(part)}
    assert naming == {"skipped", "missing"}
    assert found.pairs["image_a"].str.contains("p10000032").all()


def test_pairs_that_are_known_are_not_searched_again(found: Audit, tmp_path: Path, capsys) -> None:
    manifest, stack = planted(tmp_path)
    near = find_near_pairs(manifest.table["phash"].tolist(), 24)
    again = audit(manifest, stack, near_distance=24, near=near, progress=True)
    assert "comparing images" not in capsys.readouterr().err
    assert again.summary["duplicates"] == found.summary["duplicates"]
    assert again.pairs.equals(found.pairs)


def test_a_clean_set_without_splits_has_no_findings_but_its_patients(tmp_path: Path) -> None:
    manifest, stack = planted(tmp_path)
    clean = np.setdiff1d(np.arange(N), [7, 8])
    unset = manifest.take(clean)
    unset = unset.with_columns(
        split=pd.array([""] * len(unset), dtype="str"),
        group="image:" + unset.table["image"],
    )
    found = audit(unset, stack.select(clean), near_distance=24)
    assert [finding["code"] for finding in found.summary["warnings"]] == ["patients_not_known"]
    assert found.summary["counts"]["ill"]["none"] == 19
    assert "patients unknown" in found.text().splitlines()[0]


def test_colour_images_of_one_class_are_audited_too(tmp_path: Path) -> None:
    manifest, _ = planted(tmp_path)
    manifest = manifest.with_columns(label=pd.array(["ill"] * N, dtype="str"))
    images = torch.cat([textured_images(N, channels=3, height=24)])
    stack = stack_from_tensor(images, tmp_path / "colour.npy")
    found = audit(Manifest(manifest.table, tmp_path, ("ill",)), stack, near_distance=0)
    assert "prepared as 32x24 colour" in found.text()
    json.dumps(found.summary, allow_nan=False)


def test_bars_are_shown_where_they_are_asked_for(tmp_path: Path, capsys) -> None:
    audit(*planted(tmp_path), near_distance=24)
    assert capsys.readouterr().err == ""
    audit(*planted(tmp_path), near_distance=24, progress=True)
    shown = capsys.readouterr().err
    assert "comparing images" in shown
    assert "measuring spectra" in shown
