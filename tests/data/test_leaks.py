"""leaks: which images of two splits are the same, and what each policy leaves."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frerec.data.leaks import (
    check_leaks,
    independent_groups,
    resolve_leaks,
    warn_of_leaks,
    with_near_clusters,
)
from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError


def make(split: str, **columns: str) -> Manifest:
    """One letter an image: t(rain), v(al), e (test); equal letters of a column are equal values."""
    names = {"t": "train", "v": "val", "e": "test", "-": ""}
    n = len(split)
    table = pd.DataFrame(
        {
            "image": [f"{i}.png" for i in range(n)],
            "label": "x",
            "split": [names[letter] for letter in split],
            "group": [f"image:{i}" for i in range(n)],
            "source": "real",
            "dataset": "d",
        }
    )
    for name, values in columns.items():
        table[name] = ["" if value == "." else value for value in values]
    return Manifest(table, Path("root"), ("x",))


def images(manifest: Manifest) -> str:
    return "".join(name[0] for name in manifest.table["image"])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("group", "patients"),
        ("hash", "identical files"),
        ("pixels", "identical pixels"),
        ("near", "near-duplicates"),
    ],
)
def test_every_kind_of_leak_is_found(key: str, words: str) -> None:
    manifest = make("tttee", **{key: "abbbc"})
    with pytest.raises(DataError, match=rf"1 .*{words}.*1\.png \(train\) and 3\.png \(test\)"):
        check_leaks(manifest)
    check_leaks(make("tttee", **{key: "abbcc"}))
    check_leaks(make("tttee", **{key: "....."}))


def test_dropping_keeps_the_copy_in_test_then_the_one_in_val() -> None:
    manifest = make("tvtvte", pixels="aabb.a")
    assert images(resolve_leaks(manifest, "drop")) == "345"
    assert images(resolve_leaks(make("tvte", group="abcb"), "drop")) == "023"


def test_near_duplicates_follow_their_own_policy() -> None:
    manifest = make("ttee", near="aab.")
    assert images(resolve_leaks(manifest, "error", "drop")) == "0123"
    crossing = make("ttee", near="abb.", pixels="abcd")
    assert images(resolve_leaks(crossing)) == "0123"
    assert images(resolve_leaks(crossing, "error", "drop")) == "023"
    assert images(resolve_leaks(crossing, "drop", "ignore")) == "0123"
    with pytest.raises(DataError, match=r"near-duplicates .*data\.near_duplicates=drop"):
        resolve_leaks(crossing, "drop", "error")


def test_keeping_leaks_is_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        kept = resolve_leaks(make("tte", hash="aba"), "keep")
        warn_of_leaks(kept)
    assert images(kept) == "012"
    assert "1 identical files are in more than one split; test figures are too good" in caplog.text


def test_policies_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigError, match=r"data\.leaks=ignore: expected one of error, drop, keep"):
        resolve_leaks(make("te"), "ignore")
    with pytest.raises(ConfigError, match=r"data\.near_duplicates=keep: expected one of ignore"):
        resolve_leaks(make("te"), "error", "keep")


def test_images_that_belong_together_do_so_transitively() -> None:
    manifest = make("------", group="aabcde", hash="xyyzzw", near="..q..q")
    codes = independent_groups(manifest).tolist()
    # 0-1 by patient, 1-2 by file, 3-4 by file, 2-5 as near-duplicates
    assert codes[0] == codes[1] == codes[2] == codes[5]
    assert codes[3] == codes[4] != codes[0]


def test_clusters_of_near_duplicates_are_connected_components() -> None:
    manifest = with_near_clusters(make("------"), np.array([[0, 3, 5], [3, 5, 9], [1, 2, 0]]))
    near = manifest.table["near"].tolist()
    assert near[0] == near[3] == near[5] != near[1]
    assert near[1] == near[2]
    assert near[4] == ""
    manifest = make("teette")
    inner = with_near_clusters(manifest, np.array([[0, 3, 5], [3, 5, 9]]), across_splits=False)
    assert inner.table["near"].iat[0] == inner.table["near"].iat[3] != ""
    assert inner.table["near"].iat[5] == ""
    alone = with_near_clusters(make("--"), np.zeros((0, 3), dtype=np.int64))
    assert alone.table["near"].tolist() == ["", ""]
