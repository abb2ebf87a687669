"""The card as a page of Markdown, which code hosts show beside the files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

EMPTY = "\u2013"
MEASURES = (
    ("fid", "FID", 2, "0"),
    ("kid", "KID", 4, "0"),
    ("precision", "precision (share of samples among real ones)", 3, "1"),
    ("recall", "recall (share of real images among samples)", 3, "1"),
    ("lsd_db", "log-spectral distance, dB", 2, "0"),
    ("lsd_high_db", "the same at radius 0.5 and above, dB", 2, "0"),
    ("detector_auc", "AUC of a spectral detector", 3, "0.5"),
)


def write_page(card: Mapping[str, Any], path: Path, *, grid: str, signature: str) -> None:
    """Write :func:`render` under a temporary name, then rename."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(render(card, grid=grid, signature=signature), encoding="utf-8")
    partial.replace(path)


def render(card: Mapping[str, Any], *, grid: str, signature: str) -> str:
    """The page of a card.

    Args:
        card: From :func:`frerec.sample_card.content.make_card`.
        grid: File of the grid of samples, beside the page.
        signature: File of the spectra, beside the page.
    """
    classes = ", ".join(card["samples"]["counts"])
    parts = [
        f"# Samples of {card['generator']}",
        f"![Samples, a row a class: {classes}]({grid})",
        f"*A row a class: {classes}.*",
        _table(("", ""), _facts(card)),
    ]
    if card["quality"]:
        parts += ["## Against the real training images", *_quality(card["quality"])]
    parts.append(f"![Mean spectra and radial power of real images and samples]({signature})")
    if card["memorisation"]:
        parts += ["## Copies of training images", *_memorisation(card["memorisation"])]
    return "\n\n".join(parts) + "\n"


def _facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    learned, training, samples = card["trained_on"], card["training"], card["samples"]
    rows = [("generator", f"{card['kind']} ({_pairs(card['settings'])})")]
    if learned:
        images = _pairs(learned.get("training_images") or {})
        known = [text for text in (str(learned.get("data") or ""), images) if text]
        rows.append(("learned from", ": ".join(known) or EMPTY))
    rows += [(key, _value(value)) for key, value in training.items() if value not in ({}, None)]
    rows.append(("samples", f"{_pairs(samples['counts'])}; seed {samples['seed']}"))
    if any(samples["excluded"].values()):
        where = "they lie in memorised/" if card["training"] else "their files stay where they are"
        rows.append(("left out as memorised", f"{_pairs(samples['excluded'])}; {where}"))
    rows.append(("hardware", _pairs(card["hardware"])))
    rows.append(("versions", _pairs(card["versions"])))
    return rows


def _quality(quality: Mapping[str, Any]) -> list[str]:
    sets = [quality, quality.get("matched") or {}, quality.get("floor") or {}]
    sizes = [f"{s['n_synthetic']} / {s['n_real']}" if s else EMPTY for s in sets]
    rows = [("images / real images", *sizes, "")]
    for key, title, digits, ideal in MEASURES:
        rows.append((title, *(_spread(found, key, digits) for found in sets), ideal))
    head = ("measure", "samples", "samples against half", "real half against real half", "ideal")
    parts = [
        _table(head, rows),
        f"Features: {quality['features']}. Real images are those of the training split; the halves"
        " share no patient. What no difference looks like stands in *real half against real half*;"
        " the column to hold against it is *samples against half*, because FID, precision and"
        " recall depend on the numbers of images.",
    ]
    return parts + [f"**{warning}**" for warning in quality["warnings"]]


def _memorisation(found: Mapping[str, Any]) -> list[str]:
    ratios = ", ".join(f"{key} {value:.3f}" for key, value in found["thresholds"].items())
    return [
        f"**{found['n_flagged']} of {found['n_samples']} samples** look like a training image;"
        f" {found['expected_false_alarms']:.1f} would among images that copy nothing.",
        f"Rule `{found['rule']}`; a sample is suspicious where its nearest training image is nearer"
        f" than that of all but {100 * found['quantile']:g} % of the training images themselves"
        f" (ratio of the nearest to the next distances below: {ratios}); compared with"
        f" {found['n_real']} images of {found['n_groups']} patients"
        f"{', mirror images too' if found['mirrored'] else ''}. The pairs nearest to one another"
        " are in memorisation.png, which shows real images.",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _pairs(value)
    if isinstance(value, list | tuple):
        return " ".join(map(_value, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _spread(found: Mapping[str, Any], key: str, digits: int) -> str:
    text, spread = _number(found.get(key), digits), found.get(f"{key}_std")
    return text if spread is None else f"{text} \u00b1 {_number(spread, digits)}"


def _number(value: Any, digits: int) -> str:
    return EMPTY if value is None else f"{float(value):.{digits}f}"
