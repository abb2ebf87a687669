"""Pictures that occur twice, within splits and across them."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from frerec.data.audit.patients import NO_SPLIT
from frerec.data.components import connected
from frerec.data.manifest import SPLITS, Manifest
from frerec.data.perceptual import NearPairs, equal_pairs, find_near_pairs

EXACT, NEAR = "exact", "near"
KINDS = (EXACT, NEAR)
PAIR_COLUMNS = (
    "kind", "distance", "image_a", "split_a", "label_a", "image_b", "split_b", "label_b",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pairs of images of one manifest that show the same picture.

    Attributes:
        manifest: the N images.
        rows: int64 [M, 3], rows i < j and the distance of their hashes; exact pairs first, then by
            distance, then by i and j.
        exact: bool [M], whether the decoded pixels are equal (the others are near-duplicates).
        complete: false where there were more pairs than `perceptual.PAIR_LIMIT`; all counts of
            pairs, and of images by kind, are then lower bounds.
    """

    manifest: Manifest
    rows: np.ndarray
    exact: np.ndarray
    complete: bool

    @cached_property
    def across(self) -> np.ndarray:
        """Whether the two images are in different splits, bool [M]; a blank split is none."""
        a, b = self._of("split", 0), self._of("split", 1)
        return np.asarray((a != b) & (a != "") & (b != ""))

    @cached_property
    def conflicting(self) -> np.ndarray:
        """Whether the two images have different labels, bool [M]."""
        return np.asarray(self._of("label", 0) != self._of("label", 1))

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The pairs in words: `PAIR_COLUMNS`, as `rows` are ordered.

        Images have their names in the manifest, which hold patients' ids where the publisher put
        them into paths; no column of patients is in it.
        """
        table = self.manifest.table
        columns: dict[str, Any] = {
            "kind": pd.array(np.where(self.exact, EXACT, NEAR), dtype="str"),
            "distance": self.rows[:, 2],
        }
        for which, position in (("a", 0), ("b", 1)):
            for name in ("image", "split", "label"):
                columns[f"{name}_{which}"] = table[name].array.take(self.rows[:, position])
        return pd.DataFrame(columns, columns=list(PAIR_COLUMNS))

    def of_kind(self, kind: str) -> np.ndarray:
        """Which pairs are `exact`, or `near`, bool [M]."""
        return self.exact if kind == EXACT else ~self.exact

    def in_other_split(self, split: str, other: str = "train") -> dict[str, np.ndarray]:
        """Rows of a split whose picture is also in another split, by kind.

        An image with an exact copy there counts as `exact` only.
        """
        found = {}
        taken = np.zeros(0, dtype=np.int64)
        for kind in KINDS:
            keep = self.of_kind(kind)
            rows = []
            for here, there in ((0, 1), (1, 0)):
                match = (self._of("split", here) == split) & (self._of("split", there) == other)
                rows.append(self.rows[keep & match, here])
            found[kind] = np.setdiff1d(np.concatenate(rows), taken)
            taken = found[kind]
        return found

    def summary(self) -> dict[str, Any]:
        """The counts, as `audit` documents them under `duplicates`."""
        by_kind = {}
        for kind in KINDS:
            keep = self.of_kind(kind)
            images = np.unique(self.rows[keep, :2])
            cluster = np.bincount(connected(self.rows[keep], len(self.manifest)))
            by_kind[kind] = {
                "pairs": int(keep.sum()),
                "pairs_across_splits": int((keep & self.across).sum()),
                "pairs_with_other_label": int((keep & self.conflicting).sum()),
                "pairs_by_splits": self._counted("split", keep, SPLITS),
                "conflicts_by_labels": self._counted(
                    "label", keep & self.conflicting, self.manifest.classes
                ),
                "images": len(images),
                "images_by_class": self._by_class(images),
                "clusters": int((cluster > 1).sum()),
                "largest_cluster": int(cluster[cluster > 1].max(initial=0)),
            }
        leaks = {
            split: {kind: self._by_class(r) for kind, r in self.in_other_split(split).items()}
            for split in SPLITS[1:]
            if (self.manifest.table["split"] == split).any()
        }
        distances = Counter(self.rows[~self.exact, 2].tolist())
        return {
            "complete": self.complete,
            **by_kind,
            "near_pairs_by_distance": {str(d): n for d, n in sorted(distances.items())},
            "also_in_train": leaks,
        }

    def _of(self, column: str, position: int) -> np.ndarray:
        values = self.manifest.table[column].to_numpy(dtype=object)
        picked: np.ndarray = values[self.rows[:, position]]
        return picked

    def _by_class(self, rows: np.ndarray) -> dict[str, int]:
        """Images a class, those with none left out."""
        counts = Counter(self.manifest.table["label"].iloc[rows])
        return {name: counts[name] for name in self.manifest.classes if counts[name]}

    def _counted(self, column: str, keep: np.ndarray, order: tuple[str, ...]) -> dict[str, int]:
        """Pairs by the two values of a column, `train-test: 12`, in the order of the values."""
        place = {name: i for i, name in enumerate(order)}
        counts = Counter(
            tuple(sorted(pair, key=lambda name: place.get(name, len(place))))
            for pair in zip(self._of(column, 0)[keep], self._of(column, 1)[keep], strict=True)
        )
        ranked = sorted(counts, key=lambda pair: [place.get(name, len(place)) for name in pair])
        return {"-".join(name or NO_SPLIT for name in pair): counts[pair] for pair in ranked}


def find_duplicates(
    manifest: Manifest,
    near_distance: int,
    *,
    near: NearPairs | None = None,
    progress: bool | None = None,
) -> Duplicates:
    """Compare all images of a manifest with each other.

    Args:
        manifest: with the facts `pixels` and `phash`; a blank one is like nothing.
        near_distance: most bits that the hashes of near-duplicates differ in, see `perceptual`.
        near: what `find_near_pairs` found in this manifest at this distance; None to search.
        progress: show a bar on stderr; None for only on a terminal.

    Raises:
        ValueError: `near` has rows that the manifest has not, or pairs further apart.
    """
    pixels = manifest.table["pixels"].to_numpy(dtype=object)
    equal = equal_pairs([str(value) for value in pixels])
    if near is None:
        hashes = [str(value) for value in manifest.table["phash"]]
        near = find_near_pairs(hashes, near_distance, progress=progress)
    i, j, bits = near.pairs.T
    if j.max(initial=-1) >= len(manifest) or bits.max(initial=0) > near_distance:
        raise ValueError(
            f"pairs of rows up to {j.max(initial=-1)} and {bits.max(initial=0)} bits for a "
            f"manifest of {len(manifest)} rows and {near_distance} bits"
        )
    others = near.pairs[(pixels[i] != pixels[j]) | (pixels[i] == "")]
    rows = np.concatenate([equal.pairs, others])
    exact = np.arange(len(rows)) < len(equal.pairs)
    order = np.lexsort((rows[:, 1], rows[:, 0], rows[:, 2], ~exact))
    return Duplicates(manifest, rows[order], exact[order], equal.complete and near.complete)
