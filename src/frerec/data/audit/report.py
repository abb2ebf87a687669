"""The audit's summary as plain text for a terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from frerec.data.audit.findings import WARNING, count, percent

_MARKS = {True: "!", False: "-"}
_GAP = "  "
_NAME = (32, 22)
"""Longest name of a class in a table, and where the table is too wide."""


def report(summary: Mapping[str, Any], width: int = 100) -> str:
    """Findings first, warnings before notes, then tables; ends with a line break.

    No line is wider than asked for, down to 70: long names are shortened in the middle, wide tables
    are put in parts one below the other.
    """
    parts = [textwrap.fill(_head(summary), width), _findings(summary, width)]
    tables = (_images, _duplicates, _leaks, _files, _spectra)
    parts += [table(summary, width) for table in tables]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(summary: Mapping[str, Any]) -> str:
    channels, height, width = summary["image_size"]
    known = summary["patients"]["images_with_known_patient"]
    of = "" if known == summary["images"] else f" of {count(known, 'image')}"
    who = (
        f"{count(summary['patients']['patients'], 'patient')}{of}" if known else "patients unknown"
    )
    kind = "grey" if channels == 1 else "colour"
    return (
        f"{summary['dataset'] or 'data set'}: {count(summary['images'], 'image')}, "
        f"{len(summary['classes'])} classes, {who}; prepared as {width}x{height} {kind}"
    )


def _findings(summary: Mapping[str, Any], width: int) -> str:
    lines = []
    for finding in summary["warnings"]:
        mark = _MARKS[finding["level"] == WARNING]
        lines += textwrap.wrap(
            f"{finding['message']} [{finding['code']}]",
            width,
            initial_indent=f"  {mark} ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    if not lines:
        return "Findings: none"
    warnings = sum(finding["level"] == WARNING for finding in summary["warnings"])
    notes = len(summary["warnings"]) - warnings
    return f"Findings: {count(warnings, 'warning')} (!), {count(notes, 'note')} (-)\n" + "\n".join(
        lines
    )


def _images(summary: Mapping[str, Any], width: int) -> str:
    splits = list(next(iter(summary["counts"].values())))
    patients = summary["patients"]["by_class_and_split"]
    known = summary["patients"]["images_with_known_patient"]
    rows = []
    for name, counts in summary["counts"].items():
        row = [name, *(f"{counts[s]:,}" for s in splits), f"{sum(counts.values()):,}"]
        if known:
            found = [patients[name][s] for s in splits if counts[s]]
            row.append(" / ".join(f"{n:,}" if isinstance(n, int) else "?" for n in found))
        rows.append(row)
    totals = [sum(c[s] for c in summary["counts"].values()) for s in splits]
    last = ["all", *(f"{n:,}" for n in totals), f"{sum(totals):,}"]
    head = ["Images", *splits, "all", *(["patients by split"] if known else [])]
    return _table(head, [*rows, last + [""] * bool(known)], width)


def _duplicates(summary: Mapping[str, Any], width: int) -> str:
    found = summary["duplicates"]
    titles = {"exact": "exact", "near": f"near, up to {found['near_distance']} of 256 bits"}
    rows = [
        [
            title,
            *(
                f"{found[kind][key]:,}"
                for key in (
                    "pairs",
                    "pairs_across_splits",
                    "pairs_with_other_label",
                    "images",
                    "clusters",
                    "largest_cluster",
                )
            ),
        ]
        for kind, title in titles.items()
    ]
    head = ["Duplicates", "pairs", "across splits", "other label", "images", "clusters", "largest"]
    return _table(head, rows, width)


def _leaks(summary: Mapping[str, Any], width: int) -> str:
    found = summary["duplicates"]["also_in_train"]
    rows = []
    for split, kinds in found.items():
        for name in summary["classes"]:
            exact, near = (kinds[kind].get(name, 0) for kind in ("exact", "near"))
            total = summary["counts"][name][split]
            if exact or near:
                share = percent((exact + near) / total)
                rows.append([f"{split} {name}", f"{exact:,}", f"{near:,}", f"{total:,}", share])
    if not rows:
        return ""
    return _table(["Also in train", "exact", "near", "of", ""], rows, width)


def _files(summary: Mapping[str, Any], width: int) -> str:
    stored = summary["encodings"]
    rows = []
    for name in summary["classes"]:
        size = stored["sizes"][name]
        if size["height"] is None:
            continue
        rows.append(
            [
                name,
                *(_values(stored[fact]["by_label"]["counts"].get(name, {})) for fact in
                  ("format", "mode", "quality")),
                _span(size["width"]),
                _span(size["height"]),
                f"{size['scale']['median']:.2f}",
            ]
        )  # fmt: skip
    head = ["Files", "format", "mode", "JPEG quality", "width", "height", "scale"]
    return _table(head, rows, width, left=(1, 2, 3))


def _spectra(summary: Mapping[str, Any], width: int) -> str:
    found = summary["spectra"]
    rows = []
    for name, numbers in found["classes"].items():
        high, area = numbers["high_share"], numbers["auc"]["high_share"]
        if high is None:
            continue
        blocks = numbers["blockiness"]
        rows.append(
            [
                name,
                f"{numbers['images']:,}",
                f"{high['median']:.4f}",
                f"{high['q25']:.4f}-{high['q75']:.4f}",
                f"{area['value']:.2f} [{area['low']:.2f}, {area['high']:.2f}]" if area else "",
                percent(numbers["speckled"]),
                f"{blocks['median']:.2f}" if blocks else "",
            ]
        )
    head = ["Spectra", "images", "high band", "quartiles", "AUC", "speckled", "blockiness"]
    legend = f"high band: share of power at a {found['high_band']}; AUC: the class by it"
    indented = textwrap.fill(legend, width, initial_indent="  ", subsequent_indent="  ")
    return f"{_table(head, rows, width)}\n{indented}"


def _values(counts: Mapping[str, int], limit: int = 2) -> str:
    """The commonest values with their shares: `L 88 %, RGB 12 %`."""
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    if len(ranked) == 1:
        return ranked[0][0]
    shown = ", ".join(f"{value} {percent(n / total)}" for value, n in ranked[:limit])
    return shown + (", ..." if len(ranked) > limit else "")


def _span(numbers: Mapping[str, float]) -> str:
    """`224`, or `150-1446, median 512`."""
    low, middle, high = (f"{numbers[k]:.0f}" for k in ("min", "median", "max"))
    return low if low == high else f"{low}-{high}, median {middle}"


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], width: int, left: Sequence[int] = ()
) -> str:
    """Columns padded to their widest cell; the first and those in `left` stand left.

    Where they do not fit, names are shortened further if that saves lines, and columns are put
    below, beside the names once more. Columns without an entry are left out.
    """
    shown = [k for k in range(1, len(head)) if any(row[k] for row in rows)]
    options: list[list[str]] = []
    for most in _NAME:
        names = _padded([head[0], *_names([row[0] for row in rows], most, width)], to_left=True)
        room = width - len(names[0]) - len(_GAP)
        columns = [
            _padded([_short(line[k], room) for line in (head, *rows)], to_left=k in left)
            for k in shown
        ]
        options.append(_side_by_side(names, columns, width))
    shortest = min(options, key=len)
    return "\n".join(shortest)


def _names(names: Sequence[str], most: int, width: int) -> list[str]:
    """Indented and shortened to so many characters, or as many more as tell them apart."""
    shortened = [_short(name, most) for name in names]
    if len(set(shortened)) < len(set(names)) and most < width // 2:
        return _names(names, most + 1, width)
    return [f"  {name}" for name in shortened]


def _side_by_side(names: list[str], columns: list[list[str]], width: int) -> list[str]:
    """Lines of as few parts as the width asks for, each with the names."""
    parts = [[names]]
    for column in columns:
        if len(_GAP.join(cells[0] for cells in [*parts[-1], column])) > width:
            parts.append([names])
        parts[-1].append(column)
    return [_GAP.join(cells).rstrip() for part in parts for cells in zip(*part, strict=True)]


def _padded(cells: Sequence[str], *, to_left: bool) -> list[str]:
    wide = max(map(len, cells))
    return [cell.ljust(wide) if to_left else cell.rjust(wide) for cell in cells]


def _short(text: str, most: int) -> str:
    """At most so many characters: what is too long loses its middle, not what tells it apart."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
