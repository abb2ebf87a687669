"""How the files of each class were stored and sized, and whether that gives the class away.

A format, a JPEG quality or a resizing that goes with the class changes the spectra of one class and
not of the other: a classifier can learn it instead of the disease, and a calibration can copy it.
"""

from typing import Any

import numpy as np
import pandas as pd

from frerec.data.audit.areas import as_dict, class_aucs, telling
from frerec.data.audit.association import Association, associations, differences
from frerec.data.audit.findings import NOTE, WARNING, Finding, count, listed, percent
from frerec.data.audit.significance import SIGNIFICANT
from frerec.data.manifest import SPLITS, Manifest

CATEGORIES = {
    "format": "the file format",
    "mode": "the colour mode",
    "bits": "the bit depth",
    "quality": "the JPEG quality",
    "size": "the native size",
    "resizing": "whether an image was resized",
}
"""Facts that are compared as categories, in words; `quality` among the JPEGs only."""

NUMBERS = {"area": "the native size", "aspect": "width over height"}
"""Facts that are compared as numbers."""

_TOP = 10
_OTHER = "other"


def encodings(manifest: Manifest) -> tuple[dict[str, Any], list[Finding]]:
    """What `audit` documents under `encodings`, and what there is to say about it.

    Args:
        manifest: with the facts `format`, `mode`, `bits`, `quality`, `height`, `width`, `scale`.
    """
    facts = _facts(manifest.table)
    report: dict[str, Any] = {}
    findings = []
    for key, groups in (("label", manifest.classes), ("split", SPLITS)):
        group = manifest.table[key]
        tables = []
        for name in CATEGORIES:
            known = facts[name].notna() & (group != "")
            tables.append(_counts(facts[name][known], group[known], groups))
        found = associations([counts.to_numpy() for counts in tables])
        for name, counts, strength in zip(CATEGORIES, tables, found, strict=True):
            distances = [round(of.distance, 4) for of in strength.groups]
            report.setdefault(name, {})[f"by_{key}"] = {
                "counts": {g: _nonzero(row) for g, row in counts.iterrows()},
                "cramers_v": round(strength.v, 4),
                "total_variation": dict(zip(counts.index, distances, strict=True)),
                "p": float(f"{strength.p:.3g}"),
                "strong": strength.strong,
            }
            if strength.strong:
                findings.append(_confounded(key, name, strength, counts))
    report["sizes"], of_sizes = _sizes(manifest, facts)
    return report, findings + of_sizes


def _facts(table: pd.DataFrame) -> pd.DataFrame:
    """What is compared, by image; categories as text."""
    scale = table["scale"].to_numpy(dtype=np.float64)
    return pd.DataFrame(
        {
            "format": table["format"],
            "mode": table["mode"],
            "bits": table["bits"].astype("str"),
            "quality": table["quality"].astype("str").where(table["quality"] > 0),
            "size": table["width"].astype("str") + "x" + table["height"].astype("str"),
            "resizing": np.select([scale < 1, scale > 1], ["reduced", "enlarged"], "untouched"),
            "area": (table["width"] * table["height"]).astype("float64"),
            "aspect": table["width"] / table["height"],
        }
    )


def _counts(values: pd.Series, group: pd.Series, order: tuple[str, ...]) -> pd.DataFrame:
    """Images by group (index) and value (columns): the commonest values first, the rest `other`."""
    number = values.value_counts().to_dict()
    common = sorted(number, key=lambda value: (-number[value], value))
    top = common if len(common) <= _TOP else common[: _TOP - 1]
    counts = pd.crosstab(group, values.where(values.isin(top), _OTHER))
    columns = [*top, *([_OTHER] if _OTHER in counts else [])]
    return counts.reindex(index=[g for g in order if g in set(group)], columns=columns).astype(int)


def _nonzero(row: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in row.items() if n}


def _confounded(key: str, name: str, strength: Association, counts: pd.DataFrame) -> Finding:
    """Say it with the group that departs most, and the value that departs most, the rarer of two.

    Of groups, those come first that are strong for themselves, then those that differ hardly by
    chance.
    """
    words = CATEGORIES[name]
    groups = strength.groups
    ranked = [(g.strong, g.p < SIGNIFICANT, round(g.distance, 9)) for g in groups]
    row = max(range(len(groups)), key=ranked.__getitem__)
    departure = differences(counts.to_numpy())[row].round(9) * (counts.columns != _OTHER)
    column = int(np.flatnonzero(abs(departure) == abs(departure).max())[-1])
    rest = "the others"
    if len(groups) == 2:
        row = row if departure[column] > 0 else 1 - row
        rest = str(counts.index[1 - row])
    inside, all_ = counts.iloc[row], counts.sum()
    outside = all_ - inside
    found = (
        f"(Cramer's V {strength.v:.2f}): {counts.columns[column]} is "
        f"{percent(inside.iloc[column] / inside.sum())} of {counts.index[row]}, "
        f"{percent(outside.iloc[column] / outside.sum())} of {rest}"
    )
    if key == "split":
        message = f"{words} differs between the splits {found}; test figures include that change"
        return Finding(f"{name}_by_split", NOTE, message)
    message = (
        f"{words} goes with the class {found}; a classifier can learn it, and spectra can differ "
        f"by it: take the classes from one source, or report it"
    )
    return Finding(f"{name}_by_class", WARNING, message)


def _sizes(manifest: Manifest, facts: pd.DataFrame) -> tuple[dict[str, Any], list[Finding]]:
    """Native sizes and scales by class, and how well size and shape tell the classes."""
    table = manifest.table.assign(aspect=facts["aspect"])
    labels = manifest.label_indices()
    numbers = {name: facts[name].to_numpy() for name in NUMBERS}
    aucs = class_aucs(numbers, labels, manifest.classes)
    report = {}
    for position, name in enumerate(manifest.classes):
        of_class = table[labels == position]
        report[name] = {
            fact: _range(of_class[fact]) for fact in ("height", "width", "aspect", "scale")
        } | {"auc": {k: as_dict(v[name]) for k, v in aucs.items()}}
    findings = []
    for number, words in NUMBERS.items():
        for name, area in telling(aucs[number])[:1]:
            inside = np.median(facts[number][labels == manifest.classes.index(name)])
            outside = np.median(facts[number][labels != manifest.classes.index(name)])
            if number == "area":
                shown = f"{inside**0.5:.0f} px against {outside**0.5:.0f} px a side"
            else:
                shown = f"{inside:.2f} against {outside:.2f}"
            findings.append(
                Finding(
                    f"{number}_by_class",
                    WARNING,
                    f"{words} tells {name} from the rest ({area}; median {shown}): after resizing "
                    f"its high frequencies differ for reasons that are not anatomy; take images "
                    f"of one size, or report it",
                )
            )
    return report, findings + _enlarged(manifest)


def _enlarged(manifest: Manifest) -> list[Finding]:
    table = manifest.table[manifest.table["scale"] > 1]
    if table.empty:
        return []
    by_class = table["label"].value_counts()
    counts = listed((name, int(by_class[name])) for name in manifest.classes if name in by_class)
    side = int(np.minimum(table["height"], table["width"]).min())
    message = (
        f"{count(len(table), 'image')} of {len(manifest):,} were enlarged ({counts}), up to "
        f"{table['scale'].max():.1f} times; the smallest side is {side} px. Their high frequencies "
        f"are empty: lower data.image_size, or leave them out with data.upsample=false and "
        f"data.on_error=skip"
    )
    return [Finding("enlarged", WARNING, message)]


def _range(values: pd.Series) -> dict[str, float] | None:
    """Minimum, median and maximum; None for no values."""
    if values.empty:
        return None
    found = (values.min(), values.median(), values.max())
    return {k: round(float(v), 4) for k, v in zip(("min", "median", "max"), found, strict=True)}
