"""Direct evidence on the prepared images that something other than anatomy shapes their spectra.

Three numbers an image: the share of its power at high frequencies; its specks, isolated pixels that
put a flat floor under every spectrum; and the steps between the blocks of a JPEG. Each is compared
between the classes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm import tqdm

from frerec.data.audit.areas import Auc, as_dict, class_aucs, telling
from frerec.data.audit.findings import WARNING, Finding, first, percent
from frerec.data.audit.measures import HIGH_BAND, blockiness, high_share, specks
from frerec.data.manifest import Manifest
from frerec.data.stack import ImageStack

SPECKLED = 5
"""Specks that make an image speckled [ours]."""

SPECKLED_SHARE = 0.1
"""Share of speckled images from which they are reported [ours]."""

BLOCKY = 1.1
"""Median blockiness from which it is reported [ours]."""

_CHUNK_VALUES = 2**20
_MEASURES = {
    "high_share": "the share of power at high frequencies",
    "specks": "the number of specks",
    "blockiness": "JPEG blockiness",
}


def spectra(
    manifest: Manifest,
    stack: ImageStack,
    *,
    per_class: int = 1000,
    seed: int = 0,
    progress: bool | None = None,
) -> tuple[dict[str, Any], list[Finding]]:
    """What `audit` documents under `spectra`, and what there is to say about it.

    Args:
        manifest: N images with the facts `format`, `height`, `width` and `scale`.
        stack: the same images after resizing; read in parts, so that memory is bounded.
        per_class: how many images of a class are measured at most, drawn at random.
        seed: of the draw.
        progress: show a bar on stderr; None for only on a terminal.

    Raises:
        ValueError: the stack has another number of images than the manifest.
    """
    if len(stack) != len(manifest):
        raise ValueError(f"{len(manifest)} rows in the manifest, {len(stack)} in the stack")
    rows = _sample(manifest, per_class, seed)
    measured = measure(stack, rows, progress=progress)
    touched = ~_same_grid(manifest, stack)[rows]
    measured.loc[touched, "blockiness"] = np.nan
    labels = manifest.label_indices()[rows]
    report: dict[str, Any] = {
        "images": len(rows),
        "high_band": f"radius of at least {HIGH_BAND} of the Nyquist radius",
        "classes": {},
    }
    numbers = {name: measured[name].to_numpy() for name in _MEASURES}
    aucs = class_aucs(numbers, labels, manifest.classes)
    for position, name in enumerate(manifest.classes):
        of_class = measured[labels == position]
        report["classes"][name] = {
            "images": len(of_class),
            **{key: _quartiles(of_class[key]) for key in _MEASURES},
            "speckled": _share(of_class["specks"] >= SPECKLED),
            "blocks_measured": int(of_class["blockiness"].notna().sum()),
            "auc": {key: as_dict(aucs[key][name]) for key in _MEASURES},
        }
    findings = _by_class(measured, len(manifest.classes), aucs)
    return report, findings + _overall(measured)


def measure(stack: ImageStack, rows: np.ndarray, *, progress: bool | None = None) -> pd.DataFrame:
    """The three numbers of these rows of a stack, in their order, see `measures`."""
    # One block of memory for all: small results kept between large ones tear the heap apart.
    numbers = np.empty((len(rows), len(_MEASURES)))
    done = 0
    with tqdm(
        total=len(rows),
        desc="measuring spectra",
        unit="image",
        disable=None if progress is None else not progress,
    ) as bar:
        for images in _chunks(stack, rows):
            part = numbers[done : done + len(images)]
            for column, measured in enumerate((high_share, specks, blockiness)):
                part[:, column] = measured(images)
            done += len(images)
            bar.update(len(images))
    return pd.DataFrame(numbers, columns=list(_MEASURES))


def _sample(manifest: Manifest, per_class: int, seed: int) -> np.ndarray:
    """At most so many rows of each class, in order."""
    rng = np.random.default_rng(seed)
    labels = manifest.label_indices()
    rows = []
    for position in range(len(manifest.classes)):
        of_class = np.flatnonzero(labels == position)
        rows.append(rng.choice(of_class, min(per_class, len(of_class)), replace=False))
    return np.sort(np.concatenate(rows))


def _chunks(stack: ImageStack, rows: np.ndarray) -> Iterator[Tensor]:
    """The images in parts of about a million values.

    Each part maps the file anew, since pages of a map that were read count as memory in use.
    """
    _, C, H, W = stack.shape
    size = max(1, _CHUNK_VALUES // (C * H * W))
    for start in range(0, len(rows), size):
        yield stack.select(rows[start : start + size]).tensor()


def _same_grid(manifest: Manifest, stack: ImageStack) -> np.ndarray:
    """Which images are JPEGs whose pixels are where they were, bool [N]."""
    table = manifest.table
    size = (table["height"] == stack.shape[2]) & (table["width"] == stack.shape[3])
    return np.asarray((table["format"] == "JPEG") & (table["scale"] == 1) & size, dtype=bool)


def _quartiles(values: pd.Series) -> dict[str, float] | None:
    values = values.dropna()
    if values.empty:
        return None
    found = values.quantile([0.25, 0.5, 0.75])
    return {k: round(float(v), 6) for k, v in zip(("q25", "median", "q75"), found, strict=True)}


def _share(which: pd.Series) -> float | None:
    return round(float(which.mean()), 4) if len(which) else None


def _by_class(
    measured: pd.DataFrame, n_classes: int, aucs: dict[str, dict[str, Auc | None]]
) -> list[Finding]:
    """A finding for each number that tells a class from the rest."""
    found = []
    for key, words in _MEASURES.items():
        strong = telling(aucs[key])
        if n_classes == 2:  # the other class says the same
            strong = strong[:1]
        if strong:
            told = first([f"{name} ({area})" for name, area in strong])
            number = int(measured[key].notna().sum())
            message = (
                f"{words} alone tells from the rest: {told}; {number:,} images measured. It can "
                f"be anatomy, or source, size and compression: compare spectra within one source"
            )
            found.append(Finding(f"{key}_by_class", WARNING, message))
    return found


def _overall(measured: pd.DataFrame) -> list[Finding]:
    """Specks and blocks that many images have, whatever their class."""
    found = []
    speckled = float((measured["specks"] >= SPECKLED).mean())
    if speckled >= SPECKLED_SHARE:
        message = (
            f"{percent(speckled)} of the images have {SPECKLED} or more isolated pixels that "
            f"differ by more than half the grey range from their neighbours (median "
            f"{measured['specks'].median():.0f} an image): they put a flat floor under every "
            f"spectrum"
        )
        found.append(Finding("specks", WARNING, message))
    blocks = measured["blockiness"].dropna()
    if len(blocks) and blocks.median() >= BLOCKY:
        message = (
            f"JPEG blocks are measurable: steps across the borders of 8x8 blocks are "
            f"{percent(blocks.median() - 1)} larger than elsewhere (median of {len(blocks):,} "
            f"images); a smaller data.image_size weakens them"
        )
        found.append(Finding("blockiness", WARNING, message))
    return found
