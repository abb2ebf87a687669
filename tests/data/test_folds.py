"""folds: every image is tested once, patients stay together, published folds are kept."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frerec.data.folds import assign_fold
from frerec.data.manifest import Manifest
from frerec.data.splits import assign_splits
from frerec.errors import ConfigError, DataError


def make(patients: int = 20, **columns: object) -> Manifest:
    rng = np.random.default_rng(0)
    rows = [(p, "ab"[p % 2]) for p in range(patients) for _ in range(rng.integers(1, 4))]
    table = pd.DataFrame(
        {
            "image": [f"{i:03d}.png" for i in range(len(rows))],
            "label": [label for _, label in rows],
            "split": "",
            "group": [f"p{p}" for p, _ in rows],
            "source": "real",
            "dataset": "d",
        }
    )
    return Manifest(table.assign(**columns), Path("root"), ("a", "b"))


def held_out(manifest: Manifest) -> set[str]:
    table = manifest.table
    return set(table["image"][table["split"] == "test"])


def test_the_folds_partition_the_images_by_patient_and_keep_the_classes_shares() -> None:
    manifest = make(60)
    folds = [assign_fold(manifest, 5, k) for k in range(5)]
    parts = [held_out(fold) for fold in folds]
    assert sum(map(len, parts)) == len(manifest)
    assert set.union(*parts) == set(manifest.table["image"])
    share = (manifest.table["label"] == "a").mean()
    for fold in folds:
        table = fold.table
        test = table["split"] == "test"
        assert not set(table["group"][test]) & set(table["group"][~test])
        assert (table["label"][test] == "a").mean() == pytest.approx(share, abs=0.12)
        full = assign_splits(fold, val_fraction=0.2).table
        assert set(full["split"]) == {"train", "val", "test"}
        assert set(full["image"][full["split"] == "test"]) == set(table["image"][test])


def test_folds_do_not_depend_on_the_order_of_rows_and_do_on_the_seed() -> None:
    manifest = make()
    backwards = manifest.take(np.arange(len(manifest))[::-1])
    assert held_out(assign_fold(backwards, 4, 1)) == held_out(assign_fold(manifest, 4, 1))
    assert held_out(assign_fold(manifest, 4, 1, seed=3)) != held_out(assign_fold(manifest, 4, 1))


def test_published_folds_are_taken_as_they_are() -> None:
    manifest = make()
    fold = [str(int(group[1:]) % 3) for group in manifest.table["group"]]
    chosen = assign_fold(make(fold=fold), "published", 2)
    expected = {i for i, f in zip(manifest.table["image"], fold, strict=True) if f == "2"}
    assert held_out(chosen) == expected
    with pytest.raises(ConfigError, match=r"data\.folds=published: no published folds"):
        assign_fold(manifest, "published", 0)


def test_what_cannot_be_cut_is_said() -> None:
    with pytest.raises(ConfigError, match=r"data\.fold=4: expected 0 to 3"):
        assign_fold(make(), 4, 4)
    for folds in (1, "all"):
        with pytest.raises(ConfigError, match=rf"data\.folds={folds}: expected null, 2 or more"):
            assign_fold(make(), folds, 0)
    with pytest.raises(ConfigError, match=r"own splits; set them aside with data\.official_splits"):
        assign_fold(make(split="train"), 4, 0)
    with pytest.raises(DataError, match="class a has only 3 independent groups"):
        assign_fold(make(6), 4, 0)
