"""What the counts of duplicates, patients and images left out mean, and what to do about them."""

from collections.abc import Mapping, Sequence

import numpy as np

from frerec.data.audit.duplicates import EXACT, NEAR, Duplicates
from frerec.data.audit.findings import NOTE, WARNING, Finding, count, first, listed, percent
from frerec.data.audit.patients import known_patients, patients
from frerec.data.manifest import SPLITS, Manifest
from frerec.data.perceptual import PAIR_LIMIT

_LEAKS = (("test", "train"), ("test", "val"), ("val", "train"))
_WORDS = {EXACT: "the same pixels as an image", NEAR: "a near-duplicate"}
_KEYS = {EXACT: "data.leaks", NEAR: "data.near_duplicates"}
_CONFLICTS = {
    EXACT: (
        "identical images",
        "one of the labels is wrong; correct them, or leave the images out; they are in "
        "duplicates.csv",
    ),
    NEAR: (
        "near-duplicates",
        "wrong labels, or pictures that only look alike; they are in duplicates.csv",
    ),
}


def leak_findings(duplicates: Duplicates) -> list[Finding]:
    """Pictures and patients in two splits."""
    manifest = duplicates.manifest
    found = []
    for kind in (EXACT, NEAR):
        for split, other in _LEAKS:
            rows = duplicates.in_other_split(split, other)[kind]
            if not len(rows):
                continue
            total = int((manifest.table["split"] == split).sum())
            message = (
                f"{len(rows):,} of {total:,} {split} images ({percent(len(rows) / total)}) have "
                f"{_WORDS[kind]} in {other} ({_by_class(manifest, rows)}): "
                f"{_KEYS[kind]}=drop leaves the {other} copies out"
            )
            found.append(Finding(f"{kind}_{split}_in_{other}", WARNING, message))
    known = patients(manifest)
    if known["in_two_splits"]:
        message = (
            f"{count(known['in_two_splits'], 'patient')} with "
            f"{count(known['images_of_those'], 'image')} are in more than one split "
            f"({listed(known['by_splits'])}): data.leaks=drop leaves their train and val images "
            f"out, data.official_splits=false cuts anew by patient"
        )
        found.append(Finding("patients_in_two_splits", WARNING, message))
    return found


def duplicate_findings(duplicates: Duplicates) -> list[Finding]:
    """Labels that contradict each other, and images that count twice."""
    found = []
    summary = duplicates.summary()
    for kind in (EXACT, NEAR):
        number = summary[kind]["pairs_with_other_label"]
        if number:
            what, advice = _CONFLICTS[kind]
            classes = listed(summary[kind]["conflicts_by_labels"])
            message = f"{count(number, 'pair')} of {what} with different labels ({classes}): "
            found.append(Finding(f"{kind}_label_conflict", WARNING, message + advice))
    exact, near = summary[EXACT], summary[NEAR]
    if exact["images"]:
        message = (
            f"{exact['images'] - exact['clusters']:,} of {len(duplicates.manifest):,} images "
            f"repeat another pixel by pixel; there are fewer images than it seems"
        )
        found.append(Finding("exact_duplicates", NOTE, message))
    if near["images"]:
        message = (
            f"{near['images']:,} images are in {count(near['clusters'], 'cluster')} of "
            f"near-duplicates, the largest of {near['largest_cluster']:,}; there are fewer "
            f"independent images than it seems"
        )
        found.append(Finding("near_duplicates", NOTE, message))
    if not duplicates.complete:
        message = (
            f"more than {PAIR_LIMIT:,} pairs of duplicates: not all are listed, and their counts "
            f"are lower bounds; lower data.near_distance"
        )
        found.append(Finding("pairs_incomplete", WARNING, message))
    return found


def image_findings(
    manifest: Manifest, skipped: Mapping[str, str], missing: Sequence[str]
) -> list[Finding]:
    """Images left out, flat ones, classes without images, and patients that are not known."""
    found = []
    for code, names, why in (
        ("missing", list(missing), "listed but not there"),
        ("skipped", list(skipped), "unreadable or not usable"),
    ):
        if names:
            message = f"{count(len(names), 'image')} left out, {why}; see {code} in summary.json"
            found.append(Finding(code, WARNING, message))
    counts = manifest.counts()
    for split in [s for s in SPLITS if counts[s].any()]:
        empty = [name for name in manifest.classes if not counts.loc[name, split]]
        if empty:
            message = f"{split} has no images of {first(empty)}; give or cut other splits"
            found.append(Finding("empty_class", WARNING, message))
    flat = np.flatnonzero(manifest.table["phash"] == "")
    if len(flat):
        message = (
            f"{count(len(flat), 'image')} flat, nearly one grey level ({_by_class(manifest, flat)}"
            f"), and compared by their pixels only: look at them"
        )
        found.append(Finding("flat", NOTE, message))
    unknown = int((~known_patients(manifest)).sum())
    if unknown:
        share = "all images are" if unknown == len(manifest) else f"{unknown:,} images are"
        message = (
            f"the patients of {share} not known: images of one patient may lie in two splits, and "
            f"no check can see it; if you can name them, use data=csv with a column patient_id"
        )
        found.append(Finding("patients_not_known", NOTE, message))
    return found


def _by_class(manifest: Manifest, rows: np.ndarray) -> str:
    number = manifest.table["label"].iloc[rows].value_counts()
    return listed((name, int(number[name])) for name in manifest.classes if name in number)
