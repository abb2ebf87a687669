"""Leaks: one patient or one image in two splits, and what becomes of it.

An image is the same by its file's bytes (`hash`), by its decoded pixels (`pixels`), or, where that
is asked for, nearly (`near`, the cluster of near-duplicates by perceptual hash).
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from frerec.data.components import connected
from frerec.data.manifest import SPLITS, Manifest
from frerec.errors import ConfigError, DataError

LEAK_POLICIES = ("error", "drop", "keep")
NEAR_POLICIES = ("ignore", "error", "drop")
NEAR = "near"
KEYS = {
    "group": "patients (groups)",
    "hash": "identical files",
    "pixels": "images with identical pixels",
    NEAR: "clusters of near-duplicates",
}
"""Columns in which rows of two splits may not agree, in words; the blank value never leaks."""

_log = logging.getLogger(__name__)


def crossing_pairs(table: pd.DataFrame, key: str) -> list[tuple[int, int]]:
    """One pair of row numbers for each value of `key` that occurs in two splits ("" ignored)."""
    placed = table[(table["split"] != "") & (table[key] != "")]
    several = placed.groupby(key)["split"].transform("nunique") > 1
    pairs = []
    for _, rows in placed[several].groupby(key, sort=True):
        other = rows.index[(rows["split"] != rows["split"].iloc[0]).to_numpy()][0]
        pairs.append((int(rows.index[0]), int(other)))
    return sorted(pairs)


def leaks_between_splits(manifest: Manifest) -> dict[str, list[tuple[int, int]]]:
    """For each of `KEYS` that the manifest has, one pair of rows for each leak."""
    return {key: crossing_pairs(manifest.table, key) for key in KEYS if key in manifest.table}


def check_leaks(manifest: Manifest, keys: Sequence[str] = tuple(KEYS)) -> None:
    """Raise DataError where a patient or an image is in two splits; files are named."""
    table = manifest.table
    for key, pairs in leaks_between_splits(manifest).items():
        if pairs and key in keys:
            a, b = (f"{table['image'].iat[i]} ({table['split'].iat[i]})" for i in pairs[0])
            setting = "near_duplicates" if key == NEAR else "leaks"
            raise DataError(
                f"{manifest.root}: {len(pairs)} {KEYS[key]} are in more than one split, for "
                f"example {a} and {b}; correct the splits, drop the train and val copies with "
                f"data.{setting}=drop, or cut anew by patient with data.official_splits=false"
            )


def resolve_leaks(
    manifest: Manifest, leaks: str = "error", near_duplicates: str = "ignore"
) -> Manifest:
    """Deal with patients and images that are in two of the source's own splits.

    Args:
        manifest: a table whose splits may be partly or wholly unset.
        leaks: of patients, files and pixels. `error` names an example; `drop` keeps the copy in
            test before that in val before that in train, so that the published test set stays as
            it is, and drops the rest; `keep` leaves them.
        near_duplicates: of near-duplicates in two of the source's splits, where the table has the
            column `near`: `ignore`, `error` or `drop` in the same senses.

    Raises:
        DataError: there is a leak that is an error.
        ConfigError: a policy that does not exist.
    """
    check_policies(leaks, near_duplicates)
    exact = [key for key in KEYS if key != NEAR]
    dropped = (exact if leaks == "drop" else []) + ([NEAR] if near_duplicates == "drop" else [])
    table = manifest.table
    rank = table["split"].map({"": -1, **{name: i for i, name in enumerate(SPLITS)}})
    keep = np.ones(len(table), dtype=bool)
    for key in (key for key in dropped if key in table):
        best = rank.groupby(table[key]).transform("max")
        keep &= ((rank == best) | (table[key] == "")).to_numpy()
    manifest = manifest.take(keep)
    refused = (exact if leaks == "error" else []) + ([NEAR] if near_duplicates == "error" else [])
    check_leaks(manifest, refused)
    return manifest


def warn_of_leaks(manifest: Manifest) -> None:
    """Log what `keep` has kept."""
    for key, pairs in leaks_between_splits(manifest).items():
        if pairs and key != NEAR:
            _log.warning(
                "data.leaks=keep: %d %s are in more than one split; test figures are too good",
                len(pairs),
                KEYS[key],
            )


def with_near_clusters(
    manifest: Manifest, pairs: np.ndarray, *, across_splits: bool = True
) -> Manifest:
    """Add the column `near`: equal for near-duplicates, transitively, and "" for images alone.

    Args:
        manifest: N images.
        pairs: rows int64 [M, 2 or more] of near-duplicates, see `perceptual.find_near_pairs`.
        across_splits: False passes over pairs in two of the source's own splits, so that what is
            cut here keeps near-duplicates together and what is given stays as it is.
    """
    N = len(manifest)
    if not across_splits:
        split = manifest.table["split"].to_numpy(dtype=object)
        pairs = pairs[split[pairs[:, 0]] == split[pairs[:, 1]]]
    cluster = connected(pairs, N)
    size = np.bincount(cluster, minlength=N)
    near = [f"near{c}" if size[c] > 1 else "" for c in cluster]
    return manifest.with_columns(near=pd.array(near, dtype="str"))


def independent_groups(manifest: Manifest) -> np.ndarray:
    """Codes int64 [N] of images that must stay together: equal in any of `KEYS`, transitively.

    Codes are numbered in the order of each group's first image name.
    """
    table = manifest.table
    rows = np.arange(len(table))
    offset, edges = len(table), []
    for key in (key for key in KEYS if key in table):
        linked = (table[key] != "").to_numpy()
        codes = pd.factorize(table[key][linked])[0]
        edges.append(np.stack([rows[linked], offset + codes], axis=1))
        offset += int(codes.max(initial=-1)) + 1
    component = connected(np.concatenate(edges), offset)[: len(table)]
    first = table["image"].groupby(component).min()
    names = first.rank(method="first").astype("int64") - 1
    return names.reindex(component).to_numpy(dtype=np.int64)


def check_policies(leaks: str, near_duplicates: str) -> None:
    """Raise ConfigError for a policy that does not exist."""
    for key, value, policies in (
        ("leaks", leaks, LEAK_POLICIES),
        ("near_duplicates", near_duplicates, NEAR_POLICIES),
    ):
        if value not in policies:
            raise ConfigError(f"data.{key}={value}: expected one of {', '.join(policies)}")
