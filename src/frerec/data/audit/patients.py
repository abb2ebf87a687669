"""Who the patients are, as far as that is known, and who is in two splits."""

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np

from frerec.data.manifest import SPLITS, Manifest
from frerec.data.pseudonyms import OWN_GROUP

NOT_KNOWN = "not known"
NO_SPLIT = "none"
"""What a blank split is called in reports."""


def known_patients(manifest: Manifest) -> np.ndarray:
    """Whether the patient is known, bool [N]; else an image's group is its own."""
    return np.asarray(~manifest.table["group"].str.startswith(OWN_GROUP), dtype=bool)


def patients(manifest: Manifest) -> dict[str, Any]:
    """The counts, as `audit` documents them under `patients`; no patient is named."""
    table = manifest.table[known_patients(manifest)]
    placed = table[table["split"] != ""]
    leaking = placed[placed.groupby("group")["split"].transform("nunique") > 1]
    pairs: Counter[str] = Counter()
    for _, found in leaking.groupby("group")["split"]:
        there = [split for split in SPLITS if split in set(found)]
        pairs.update(f"{a}-{b}" for a, b in combinations(there, 2))
    return {
        "images_with_known_patient": len(table),
        "patients": int(table["group"].nunique()),
        "by_class_and_split": _by_class_and_split(manifest),
        "in_two_splits": int(leaking["group"].nunique()),
        "images_of_those": len(leaking),
        "by_splits": {pair: pairs[pair] for pair in sorted(pairs)},
    }


def _by_class_and_split(manifest: Manifest) -> dict[str, dict[str, int | str]]:
    """Patients by class and split, `not known` where there are images but no patient's name."""
    known = manifest.table[known_patients(manifest)]
    number = known.groupby(["label", "split"])["group"].nunique().to_dict()
    images = manifest.counts()

    def patients_of(name: str, split: str) -> int | str:
        empty = images.loc[name, split] == 0
        return number.get((name, split), 0 if empty else NOT_KNOWN)

    return {
        name: {split or NO_SPLIT: patients_of(name, split) for split in images.columns}
        for name in manifest.classes
    }
