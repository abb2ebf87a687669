"""Pictures of a data set to be looked at: a sheet a class, and one of pairs of near-duplicates.

Captions give the split and the row of the manifest, never a file's name: it can hold a patient's.
"""

import re
from pathlib import Path

import numpy as np
from torch import Tensor

from frerec.data.audit.drawing import Sheet
from frerec.data.audit.duplicates import Duplicates
from frerec.data.manifest import SPLITS, Manifest
from frerec.data.perceptual import BITS
from frerec.data.stack import ImageStack

_COLUMNS, _PAIR_COLUMNS = 8, 3


def write_contact_sheets(
    manifest: Manifest, stack: ImageStack, folder: Path, *, images: int = 48, seed: int = 0
) -> list[Path]:
    """Draw `folder/CLASS.png` for every class that has images.

    Args:
        manifest: N images.
        stack: the same images, in the same order.
        folder: where the sheets go.
        images: how many a sheet shows at most; 0 draws none.
        seed: of the choice of images.

    Returns:
        the files, in order of the classes.
    """
    names: set[str] = set()
    files = []
    for position, label in enumerate(manifest.classes):
        rows = np.flatnonzero(manifest.label_indices() == position)
        if not len(rows) or images < 1:
            continue
        name = _filename(label)
        name = f"{name}_{position}" if name.lower() in names else name
        names.add(name.lower())
        chosen = _over_splits(
            rows, manifest.table["split"].to_numpy(dtype=object)[rows], images, seed
        )
        files.append(_class_sheet(manifest, stack, rows, chosen, folder / f"{name}.png"))
    return files


def write_pair_sheet(
    duplicates: Duplicates, stack: ImageStack, path: Path, *, pairs: int = 24
) -> Path | None:
    """Draw pairs of near-duplicates side by side, from the nearest to the furthest.

    Pairs across splits, or of any kind where there are none. Evenly spaced by distance, so that
    one sees whether the furthest that count as near are still the same picture; no image is shown
    twice.

    Args:
        duplicates: of N images.
        stack: the same images, in the same order.
        path: the PNG to write.
        pairs: how many are shown at most.

    Returns:
        the file; None, and nothing written, where there are no near-duplicates.
    """
    near = ~duplicates.exact
    across = near & duplicates.across
    where = " across splits" if across.any() else ""
    found = duplicates.rows[across if across.any() else near]
    if not len(found) or pairs < 1:
        return None
    chosen = _spread(_once_each(found), pairs)
    labels = [str(label) for label in duplicates.manifest.table["label"]]
    sheet = Sheet(
        f"{_name(duplicates.manifest)}: near-duplicates{where}",
        f"{len(chosen)} of {len(found):,} pairs, from the nearest to the furthest that count; "
        f"distance in bits of {BITS}",
        cells=len(chosen),
        columns=_PAIR_COLUMNS,
        pictures=2,
        lines=2,
    )
    for i, j, distance in chosen.tolist():
        captions = [[_place(duplicates.manifest, row), labels[row]] for row in (i, j)]
        captions[0][0] += f"  ·  {distance} bits"
        images = [_image(stack, row) for row in (i, j)]
        sheet.add(*images, captions=captions, alarm=labels[i] != labels[j])
    return sheet.save(path)


def _class_sheet(
    manifest: Manifest, stack: ImageStack, rows: np.ndarray, chosen: np.ndarray, path: Path
) -> Path:
    label = str(manifest.table["label"].iat[rows[0]])
    splits = manifest.table["split"].to_numpy(dtype=object)[rows]
    counts = [(split, int((splits == split).sum())) for split in SPLITS]
    by_split = ", ".join(f"{split} {n:,}" for split, n in counts if n) or "no splits"
    shown = "all shown" if len(chosen) == len(rows) else f"{len(chosen)} drawn at random"
    sheet = Sheet(
        f"{_name(manifest)}: {label}",
        f"{len(rows):,} images ({by_split}); {shown}; captions: split and row of the manifest",
        cells=len(chosen),
        columns=_COLUMNS,
        lines=1,
    )
    for row in chosen:
        sheet.add(_image(stack, row), captions=[[_place(manifest, row)]])
    return sheet.save(path)


def _image(stack: ImageStack, row: int) -> Tensor:
    """One image [C, H, W], through a map of its own, whose pages are given back at once."""
    return stack.select([row]).tensor()[0]


def _name(manifest: Manifest) -> str:
    names = [name for name in manifest.table["dataset"].unique() if name]
    return ", ".join(names) or "data set"


def _place(manifest: Manifest, row: int) -> str:
    return f"{str(manifest.table['split'].iat[row]) or 'row'} {row}"


def _filename(label: str) -> str:
    """A class's name with nothing in it that a file's name may not have."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", label).strip("_") or "class"


def _over_splits(rows: np.ndarray, splits: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Rows drawn so that each split has as even a share as it has images; in order of splits."""
    rng = np.random.default_rng(seed)
    there = [rng.permutation(rows[splits == split]) for split in (*SPLITS, "")]
    quota = [0] * len(there)
    while sum(quota) < min(limit, len(rows)):
        for k, of_split in enumerate(there):
            if quota[k] < len(of_split) and sum(quota) < limit:
                quota[k] += 1
    return np.concatenate([np.sort(r[:n]) for r, n in zip(there, quota, strict=True)])


def _once_each(pairs: np.ndarray) -> np.ndarray:
    """Pairs in order of distance, leaving out those of which an image was shown before."""
    seen: set[int] = set()
    kept = []
    for pair in pairs[np.argsort(pairs[:, 2], kind="stable")].tolist():
        if seen.isdisjoint(pair[:2]):
            seen.update(pair[:2])
            kept.append(pair)
    return np.array(kept, dtype=np.int64)


def _spread(pairs: np.ndarray, limit: int) -> np.ndarray:
    """At most so many of the pairs, evenly spaced, with the first and the last."""
    if len(pairs) <= limit:
        return pairs
    return pairs[np.linspace(0, len(pairs) - 1, limit).round().astype(np.int64)]
