"""splits: checked by brute force on drawn tables."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frerec.data.leaks import independent_groups, resolve_leaks
from frerec.data.manifest import Manifest
from frerec.data.splits import assign_splits, take_train_size
from frerec.errors import ConfigError, DataError


def make(
    labels: list[str],
    groups: list[str] | None = None,
    splits: list[str] | None = None,
    hashes: list[str] | None = None,
    sources: list[str] | None = None,
) -> Manifest:
    n = len(labels)
    table = pd.DataFrame(
        {
            "image": [f"{i:05d}.png" for i in range(n)],
            "label": labels,
            "split": splits or [""] * n,
            "group": groups or [f"g{i}" for i in range(n)],
            "source": sources or ["real"] * n,
            "dataset": "d",
        }
    )
    if hashes is not None:
        table["hash"] = hashes
    return Manifest(table, Path("root"), tuple(sorted(set(labels))))


def splits_of(manifest: Manifest) -> dict[str, str]:
    return dict(zip(manifest.table["image"], manifest.table["split"], strict=True))


@st.composite
def patients(draw) -> tuple[list[str], list[str]]:
    """Labels and patients: 2 or 3 classes, 6 to 25 patients each, 1 to 5 images a patient."""
    labels, groups = [], []
    for c in range(draw(st.integers(2, 3))):
        for p, size in enumerate(draw(st.lists(st.integers(1, 5), min_size=6, max_size=25))):
            labels += [f"class{c}"] * size
            groups += [f"{c}/{p}"] * size
    return labels, groups


@settings(deadline=None, max_examples=60)
@given(data=patients(), seed=st.integers(0, 5), order=st.randoms(use_true_random=False))
def test_splits_keep_patients_together_and_classes_in_proportion(data, seed, order) -> None:
    labels, groups = data
    manifest = make(labels, groups)
    split = assign_splits(manifest, val_fraction=0.25, test_fraction=0.2, seed=seed)
    table = split.table
    assert set(table["split"]) == {"train", "val", "test"}
    assert (table.groupby("group")["split"].nunique() == 1).all()
    for label in split.classes:
        rows = table[table["label"] == label]
        largest = rows.groupby("group").size().max()
        n = Counter(rows["split"])
        assert all(n[s] >= 1 for s in ("train", "val", "test"))
        assert abs(n["test"] - 0.2 * len(rows)) <= largest
        assert abs(n["val"] - 0.25 * (len(rows) - n["test"])) <= largest
    shuffled = list(range(len(labels)))
    order.shuffle(shuffled)
    again = assign_splits(manifest.take(shuffled), val_fraction=0.25, test_fraction=0.2, seed=seed)
    assert splits_of(again) == splits_of(split)


def test_single_images_are_split_to_the_nearest_image() -> None:
    split = assign_splits(make(["a"] * 101 + ["b"] * 200), val_fraction=0.15, test_fraction=0.2)
    assert split.counts().to_numpy().tolist() == [[69, 12, 20], [136, 24, 40]]


def test_the_seed_changes_who_goes_where() -> None:
    manifest = make(["a", "b"] * 50)
    first, same, other = (splits_of(assign_splits(manifest, seed=s)) for s in (0, 0, 1))
    assert first == same
    assert first != other


def test_patients_with_many_images_are_not_drawn_into_the_test_set() -> None:
    sizes = [1, 4] * 100
    groups = [f"p{p}" for p, size in enumerate(sizes) for _ in range(size)]
    shares = []
    for seed in range(10):
        table = assign_splits(make(["a"] * len(groups), groups), seed=seed).table
        sizes_in_test = table[table["split"] == "test"].groupby("group").size()
        shares.append((sizes_in_test == 4).mean())
    assert 0.4 < np.mean(shares) < 0.6


def test_patients_with_images_of_both_classes_stay_together() -> None:
    rng = np.random.default_rng(0)
    groups = [f"p{rng.integers(0, 60)}" for _ in range(300)]
    labels = [str(c) for c in rng.choice(["a", "b"], 300, p=[0.8, 0.2])]
    split = assign_splits(make(labels, groups))
    assert (split.table.groupby("group")["split"].nunique() == 1).all()
    shares = split.counts().div(split.counts().sum(axis=1), axis=0)
    assert shares["test"].between(0.15, 0.25).all()
    assert shares["val"].between(0.08, 0.16).all()


def test_files_with_equal_bytes_are_one_group_transitively() -> None:
    manifest = make(
        ["a"] * 5, groups=["p", "q", "q", "r", "s"], hashes=["h1", "h1", "h2", "h2", "h3"]
    )
    assert independent_groups(manifest).tolist() == [0, 0, 0, 0, 1]
    many = make(["a", "b"] * 60, hashes=[f"h{i // 4}" for i in range(120)])
    split = assign_splits(many)
    table = split.table.assign(hash=many.table["hash"])
    assert (table.groupby("hash")["split"].nunique() == 1).all()
    assert (table.groupby("hash")["group"].nunique() == 1).all()


def test_the_sources_own_splits_are_honoured() -> None:
    given_splits = (["train"] * 40 + ["test"] * 10) * 2
    manifest = make(["a"] * 50 + ["b"] * 50, splits=given_splits)
    split = assign_splits(manifest, val_fraction=0.25)
    assert [s == "test" for s in split.table["split"]] == [s == "test" for s in given_splits]
    assert split.counts().to_numpy().tolist() == [[30, 10, 10], [30, 10, 10]]
    complete = make(["a", "b"] * 30, splits=(["train"] * 4 + ["val"] * 3 + ["test"] * 3) * 6)
    assert splits_of(assign_splits(complete)) == splits_of(complete)
    with_val = make(["a", "b"] * 50, splits=["train"] * 80 + ["val"] * 20)
    assert assign_splits(with_val).counts().sum().to_dict() == {"train": 64, "val": 20, "test": 16}


def test_fractions_of_zero_leave_a_split_out() -> None:
    manifest = make(["a", "b"] * 20)
    assert set(assign_splits(manifest, val_fraction=0, test_fraction=0).table["split"]) == {"train"}
    assert set(assign_splits(manifest, test_fraction=0).table["split"]) == {"train", "val"}
    with pytest.raises(ConfigError, match=r"data\.val_fraction=1"):
        assign_splits(manifest, val_fraction=1)


def test_synthetic_images_go_to_train() -> None:
    manifest = make(["a", "b"] * 40, sources=["real"] * 40 + ["synthetic"] * 40)
    table = assign_splits(manifest).table
    assert set(table["split"][40:]) == {"train"}
    assert set(table["split"][:40]) == {"train", "val", "test"}


def test_rare_classes_get_a_place_in_each_split_or_an_error() -> None:
    rare = assign_splits(make(["a"] * 100 + ["b"] * 3))
    assert rare.counts().loc["b"].tolist() == [1, 1, 1]
    with pytest.raises(DataError, match="class b: 2 images in 2 independent groups"):
        assign_splits(make(["a"] * 100 + ["b"] * 2))
    with pytest.raises(DataError, match="class b: 9 images in 1 independent groups"):
        assign_splits(make(["a"] * 100 + ["b"] * 9, [f"g{i}" for i in range(100)] + ["x"] * 9))
    with pytest.raises(DataError, match="no training images"):
        assign_splits(make(["a", "b"], splits=["test", "test"]))


def test_leaks_are_an_error_or_dropped_from_the_lower_split() -> None:
    manifest = make(
        ["a", "b"] * 4,
        groups=["secret", "secret", "p2", "p3", "p4", "p5", "p6", "p7"],
        splits=["train", "test", "val", "train", "test", "val", "train", "train"],
        hashes=["h0", "h1", "h2", "h2", "h4", "h5", "h4", "h7"],
    )
    with pytest.raises(DataError, match=r"00000\.png \(train\) and 00001\.png \(test\)") as error:
        assign_splits(manifest)
    assert "data.leaks=drop" in str(error.value)
    assert "secret" not in str(error.value)
    kept = resolve_leaks(manifest, "drop").table
    # gone: 0 (its patient is in test), 3 (its bytes are in val), 6 (its bytes are in test)
    assert kept["image"].str[:5].astype(int).tolist() == [1, 2, 4, 5, 7]
    with pytest.raises(ConfigError, match=r"data\.leaks=perhaps"):
        resolve_leaks(manifest, "perhaps")


def test_training_sizes_are_nested_and_leave_val_and_test_alone() -> None:
    manifest = assign_splits(make(["a", "b"] * 200))
    names = {
        size: set(take_train_size(manifest, size, seed=3).table.query("split == 'train'")["image"])
        for size in (10, 50, 100)
    }
    assert names[10] < names[50] < names[100]
    fifty = take_train_size(manifest, 50, seed=3)
    assert fifty.counts()["train"].tolist() == [50, 50]
    assert fifty.counts()[["val", "test"]].equals(manifest.counts()[["val", "test"]])
    reverse = take_train_size(manifest.take(np.arange(400)[::-1]), 50, seed=3)
    assert splits_of(reverse) == splits_of(fifty)
    assert splits_of(take_train_size(manifest, 50, seed=4)) != splits_of(fifty)
    with pytest.raises(DataError, match=r"train_size=500: .* a 136, b 136; give at most 136"):
        take_train_size(manifest, 500)
    with pytest.raises(ConfigError, match="train_size=0"):
        take_train_size(manifest, 0)
