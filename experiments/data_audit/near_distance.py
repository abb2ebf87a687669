"""At how many bits of a perceptual hash are two images near-duplicates? Three real sets.

    python experiments/data_audit/near_distance.py DATA_DIR OUT_CSV [SHEETS_DIR]

DATA_DIR holds brain_tumor, chest_xray and fundus, each with a labels.csv. A line of OUT_CSV is a
data set and a distance: how many pairs are within it, how many of these are in two splits, have two
labels, or (fundus, whose patients are known) two patients; how many test images have such a partner
in train; how many of these the set's own column `near_dup_of_train` flags (brain_tumor), how many
of the flagged are missed, and how many more there are; and the largest cluster.

With SHEETS_DIR, the pairs are drawn for looking: `brain_tumor_024.png` has the test images that are
not flagged and whose nearest training image is at 24 bits, each beside it, `DATASET_nearest.png`
the nearest pairs of the sets without duplicates, `brain_tumor_labels.png` the nearest with
different labels.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from frerec.data.audit import write_pair_sheet
from frerec.data.audit.duplicates import Duplicates
from frerec.data.components import connected
from frerec.data.decode import build_stack
from frerec.data.decoding import Decoding
from frerec.data.manifest import Manifest
from frerec.data.perceptual import find_near_pairs
from frerec.data.pseudonyms import OWN_GROUP
from frerec.data.sources import CsvSource
from frerec.data.stack import ImageStack

SETS = {"brain_tumor": ("split", 1), "chest_xray": ("split", 1), "fundus": ("suggested_split", 3)}
DISTANCES = range(0, 61, 2)  # half of the bits are set in every hash, so distances are even
FLAG = "near_dup_of_train"


def partners(manifest: Manifest, pairs: np.ndarray) -> np.ndarray:
    """Test image, training image and distance of every pair that has one of each, int64 [M, 3]."""
    split = manifest.table["split"].to_numpy()
    turned = np.concatenate([pairs, pairs[:, [1, 0, 2]]])
    return turned[(split[turned[:, 0]] == "test") & (split[turned[:, 1]] == "train")]


def lines(
    name: str, manifest: Manifest, pairs: np.ndarray, flagged: set[int] | None
) -> list[dict[str, object]]:
    """One line a distance."""
    table = manifest.table
    split, label, group = (table[c].to_numpy() for c in ("split", "label", "group"))
    known = not table["group"].str.startswith(OWN_GROUP).any()
    found = []
    for distance in DISTANCES:
        near = pairs[pairs[:, 2] <= distance]
        i, j = near[:, 0], near[:, 1]
        leaked = set(partners(manifest, near)[:, 0].tolist())
        found.append(
            {
                "dataset": name,
                "distance": distance,
                "pairs": len(near),
                "across_splits": int((split[i] != split[j]).sum()),
                "two_labels": int((label[i] != label[j]).sum()),
                "two_patients": int((group[i] != group[j]).sum()) if known else None,
                "test_images_in_train": len(leaked),
                "flagged_found": None if flagged is None else len(leaked & flagged),
                "flagged_missed": None if flagged is None else len(flagged - leaked),
                "not_flagged": None if flagged is None else len(leaked - flagged),
                "largest_cluster": int(np.bincount(connected(near, len(manifest))).max()),
            }
        )
    return found


def draw(
    name: str,
    manifest: Manifest,
    stack: ImageStack,
    pairs: np.ndarray,
    flagged: set[int] | None,
    folder: Path,
) -> None:
    """The sheets that the module's head describes."""
    blank = manifest.with_columns(split=pd.array([""] * len(manifest), dtype="str"))

    def sheet(rows: np.ndarray, stem: str, of: Manifest = blank) -> None:
        chosen = Duplicates(of, rows, np.zeros(len(rows), dtype=bool), True)
        write_pair_sheet(chosen, stack, folder / f"{name}_{stem}.png", pairs=60)

    if flagged is None:
        sheet(pairs[np.argsort(pairs[:, 2], kind="stable")][:60], "nearest")
        return
    leaks = partners(manifest, pairs)
    leaks = leaks[~np.isin(leaks[:, 0], list(flagged))]
    leaks = leaks[np.argsort(leaks[:, 2], kind="stable")]
    nearest = leaks[np.unique(leaks[:, 0], return_index=True)[1]]
    for distance in DISTANCES:
        sheet(nearest[nearest[:, 2] == distance], f"{distance:03d}", manifest)
    label = manifest.table["label"].to_numpy()
    conflicts = pairs[label[pairs[:, 0]] != label[pairs[:, 1]]]
    sheet(conflicts[np.argsort(conflicts[:, 2], kind="stable")][:60], "labels")


def main(data: Path, out: Path, sheets: Path | None = None) -> None:
    """Hash the three sets, count, and draw where asked."""
    found = []
    for name, (split, channels) in SETS.items():
        manifest = CsvSource(data / name, split_column=split).read()
        labels = pd.read_csv(data / name / "labels.csv", dtype=str, keep_default_na=False)
        flagged = None
        if FLAG in labels:
            marked = set(labels["image"][labels[FLAG] == "1"])
            flagged = set(np.flatnonzero(manifest.table["image"].isin(marked)).tolist())
        with tempfile.TemporaryDirectory() as work:
            decoding = Decoding(channels=channels, image_size=None)
            stack, manifest, _ = build_stack(manifest, Path(work) / "stack.npy", decoding)
            pairs = find_near_pairs(manifest.table["phash"].tolist(), max(DISTANCES)).pairs
            found += lines(name, manifest, pairs, flagged)
            if sheets is not None:
                draw(name, manifest, stack, pairs, flagged, sheets)
    pd.DataFrame(found).astype("Int64", errors="ignore").to_csv(
        out, index=False, lineterminator="\n"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
