"""report: tidy with many classes, long names and mixed files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fixtures import textured_images
from frerec.data.audit import Audit, audit
from frerec.data.audit.findings import first, listed
from frerec.data.manifest import Manifest
from frerec.data.perceptual import perceptual_hash
from frerec.data.stack import stack_from_tensor

GRADES = [
    "no apparent retinopathy",
    "mild nonproliferative diabetic retinopathy",
    "moderate nonproliferative diabetic retinopathy",
    "severe nonproliferative diabetic retinopathy",
    "proliferative diabetic retinopathy",
]
LABELS = [
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum"),
    *("Fracture", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pneumonia"),
    *("Pleural Other", "Pneumothorax", "Support Devices (lines, tubes, pacemakers and others)"),
]


def mixed(folder: Path, classes: list[str], **facts: Any) -> Audit:
    """A dozen images a class in all splits, formats, modes, depths and sizes; each has a copy."""
    N = 12 * len(classes)
    rng = np.random.default_rng(0)
    labels = [name for name in classes for _ in range(12)]
    images = textured_images(N // 2, height=16, width=16).repeat(2, 1, 1, 1)
    built = Manifest.build(
        folder,
        images=[f"{i:03d}" for i in range(N)],
        labels=labels,
        splits=[("train", "val", "test")[(i + i // (N // 2)) % 3] for i in range(N)],
        groups=[f"P{i % 50}" for i in range(N)],
        dataset="clinic",
    )
    number = np.array([classes.index(name) for name in labels])
    side = rng.integers(900, 4000, N) + 3000 * number
    manifest = built.with_columns(
        pixels=pd.array(
            [hashlib.sha256(i.numpy().tobytes()).hexdigest() for i in images], dtype="str"
        ),
        phash=pd.array([perceptual_hash(image) for image in images], dtype="str"),
        format=np.where(number % 2, "DICOM", rng.choice(["JPEG", "PNG", "TIFF"], N)),
        mode=rng.choice(["MONOCHROME1", "MONOCHROME2", "YBR_FULL_422"], N),
        bits=rng.choice([8, 16], N),
        quality=rng.integers(70, 100, N),
        height=side,
        width=side[::-1].copy(),
        scale=16 / side,
    )
    manifest = manifest.with_columns(**facts) if facts else manifest
    whole = Manifest(manifest.table, folder, tuple(classes))
    return audit(whole, stack_from_tensor(images, folder / "stack.npy"), near_distance=24)


@pytest.mark.parametrize("classes", [GRADES, LABELS])
@pytest.mark.parametrize("width", [70, 100, 140])
def test_no_line_is_too_wide_and_no_number_is_lost(
    tmp_path: Path, classes: list[str], width: int
) -> None:
    found = mixed(tmp_path, classes)
    text = found.text(width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    for title in ("Images", "Duplicates", "Also in train", "Files", "Spectra"):
        assert any(line.startswith(title) for line in lines)
    assert "blockiness" not in text  # nothing could be measured
    for word in ("JPEG quality", "height", "scale", "quartiles", "speckled", "patients by split"):
        assert text.count(word) >= 1
    for name, numbers in found.summary["spectra"]["classes"].items():
        assert f"{numbers['high_share']['median']:.4f}" in text
        assert f"{found.summary['encodings']['sizes'][name]['scale']['median']:.2f}" in text
    parts = sum(line.startswith("Files") for line in lines)
    assert parts == {70: 5, 100: 3, 140: 2}[width]


def test_columns_stand_below_each_other_in_every_part(tmp_path: Path) -> None:
    lines = mixed(tmp_path, GRADES).text().splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith("Files")]
    assert np.diff(starts).tolist() == [len(GRADES) + 1] * (len(starts) - 1)
    mode = lines[starts[0]].index("mode")
    rows = lines[starts[0] + 1 : starts[1]]
    assert {row[mode - 2 : mode] for row in rows} == {"  "}
    assert all(row[mode:].startswith(("MONOCHROME", "YBR_FULL")) for row in rows)
    names = [row[2:24].rstrip() for row in rows]  # shortened, and still unlike each other
    assert names[1] == "mild nonpro…etinopathy"
    assert len(set(names)) == len(GRADES)


def test_names_are_not_shortened_until_they_are_the_same(tmp_path: Path) -> None:
    alike = [f"a very long name of {k} which ends alike" for k in ("one", "two", "three")]
    lines = mixed(tmp_path, alike).text().splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("Files"))
    assert len({line[:44] for line in lines[start + 1 : start + 4]}) == 3
    assert max(map(len, lines)) <= 100


def test_findings_name_a_few_classes_and_say_how_many_more(tmp_path: Path) -> None:
    found = mixed(tmp_path, LABELS)
    messages = {f["code"]: f["message"] for f in found.summary["warnings"]}
    conflict = messages["exact_label_conflict"]
    pairs = found.summary["duplicates"]["exact"]["conflicts_by_labels"]
    assert len(pairs) > 6
    assert f"and {len(pairs) - 5} more)" in conflict
    assert max(map(len, messages.values())) < 600


def test_long_lists_are_cut_after_the_largest() -> None:
    counts = {name: 10 * k for k, name in enumerate("abcdefgh")}
    assert listed(counts) == "h 70, g 60, f 50, e 40, d 30, and 3 more"
    assert listed({"b": 1, "a": 2000}) == "b 1, a 2,000"
    assert first(list("abcdef")) == "a, b, c, d, e, f"
    assert first(list("abcdefg")) == "a, b, c, d, e, and 2 more"
