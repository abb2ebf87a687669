"""Real sets, where they are at hand: the audit finds what is known to be wrong with them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frerec.cli import main

SETS = Path(__file__).parents[2] / "shared" / "data"


def audited(name: str, modality: str, folder: Path) -> dict[str, Any]:
    if not (SETS / name / "labels.csv").is_file():
        pytest.skip(f"the set {name} is not here")
    overrides = [f"data.root={SETS / name}", f"data.modality={modality}"]
    paths = [f"out={folder / 'out'}", f"paths.store={folder / 'store'}"]
    assert main(["prepare", "data=csv", *overrides, *paths]) == 0
    summary: dict[str, Any] = json.loads((folder / "out" / "summary.json").read_text())
    summary["codes"] = {finding["code"] for finding in summary["warnings"]}
    return summary


def test_the_brain_sets_leaks_and_confounds_are_found(tmp_path: Path) -> None:
    """README of the set: 277 of 381 notumor test images, 22 others, nearly in train; modes; q75."""
    found = audited("brain_tumor", "brain_mri", tmp_path)
    assert found["duplicates"]["exact"]["pairs"] == 0
    near = found["duplicates"]["near"]
    assert near["pairs_across_splits"] > 500
    flagged = pd.read_csv(SETS / "brain_tumor" / "labels.csv")
    flagged = set(flagged["image"][flagged["near_dup_of_train"] == 1])
    pairs = pd.read_csv(tmp_path / "out" / "duplicates.csv")
    ours = set()
    for one, other in (("a", "b"), ("b", "a")):
        # The set's own train is cut into train and val here, and near-duplicates stay together.
        across = (pairs[f"split_{one}"] == "test") & (pairs[f"split_{other}"] != "test")
        ours |= set(pairs[f"image_{one}"][across])
    splits = pairs[["split_a", "split_b"]].apply(frozenset, axis=1)
    assert frozenset({"train", "val"}) not in set(splits)
    assert len(flagged) == 299
    assert len(ours & flagged) >= 0.95 * len(flagged)
    assert {"near_test_in_train", "mode_by_class", "blockiness", "patients_not_known"} <= found[
        "codes"
    ]
    quality = found["encodings"]["quality"]["by_label"]["counts"]
    assert {level for counts in quality.values() for level in counts} == {"75"}


def test_the_chest_sets_specks_are_found_and_no_duplicates(tmp_path: Path) -> None:
    """README of the set: 88 % of pictures with 5 or more specks, median 15; no duplicates."""
    found = audited("chest_xray", "chest_xray", tmp_path)
    assert found["duplicates"]["exact"]["pairs"] == found["duplicates"]["near"]["pairs"] == 0
    assert found["codes"] == {"specks", "patients_not_known"}
    classes = found["spectra"]["classes"].values()
    speckled = sum(c["speckled"] for c in classes) / len(classes)
    assert speckled == pytest.approx(0.88, abs=0.03)


def test_nothing_is_held_against_the_fundus_set_and_its_patients_stay_together(
    tmp_path: Path,
) -> None:
    """README of the set: no duplicates, 1,307 patients, JPEG quality about 95."""
    found = audited("fundus", "fundus", tmp_path)
    assert found["codes"] == set()
    assert found["patients"]["patients"] == 1307
    assert found["patients"]["in_two_splits"] == 0
    assert found["images"] == 1600
