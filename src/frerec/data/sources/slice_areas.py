"""How much brain and tumour each slice of a volume shows, measured once and remembered."""

import hashlib
import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from frerec.data.address import Blob
from frerec.data.readers.nifti import load_volume
from frerec.errors import DataError

_FORMAT = 1
"""Part of every key: raise it when measuring changes."""


@dataclass(frozen=True)
class SliceAreas:
    """Areas in pixels, a number for each axial slice from the feet up.

    Attributes:
        pixels: of a whole slice.
        brain: that differ from the background, the median of the volume's eight corners. [ours]
        tumour: where the segmentation is not 0.
    """

    pixels: int
    brain: list[int]
    tumour: list[int]


def slice_areas(volume: Blob, seg: Blob, *, cache: Path | None = None) -> SliceAreas:
    """Measure a volume against its segmentation.

    Args:
        volume: a NIfTI file of a brain without its skull, on a constant background.
        seg: a NIfTI file of the same shape.
        cache: a folder of earlier measurements, by path, size and time of change of both files.

    Raises:
        DataError: a file that cannot be read or is not finite; shapes that differ.
    """
    stamps = [_FORMAT, volume.stamp(), seg.stamp()]
    key = hashlib.sha256(json.dumps(stamps).encode()).hexdigest()[:32]
    kept = None if cache is None else cache / f"{key}.json"
    known = _read(kept)
    if known is not None:
        return known
    tumour = _tumour(seg)
    values = load_volume(volume)
    if values.shape != tumour.shape:
        raise DataError(
            f"{volume.name}: {_size(values)} voxels, but its segmentation {seg.filename} has "
            f"{_size(tumour)}; replace one of them, or leave both out with data.on_error=skip"
        )
    background = np.median(values[np.ix_(*((0, -1) for _ in range(3)))])
    areas = SliceAreas(
        pixels=values.shape[0] * values.shape[1],
        brain=np.count_nonzero(values != background, axis=(0, 1)).tolist(),
        tumour=np.count_nonzero(tumour, axis=(0, 1)).tolist(),
    )
    _write(kept, areas)
    return areas


def choose_slices(
    areas: SliceAreas, *, min_brain: float, min_tumour: int, step: int, limit: int | None
) -> tuple[list[int], list[int]]:
    """Numbers of the slices without tumour, and of those with enough of it.

    Args:
        areas: of one volume.
        min_brain: fraction of a slice's pixels, at least.
        min_tumour: pixels, at least; slices with some, but less, are in neither list.
        step: only slices 0, step, 2 step, ...
        limit: at most so many in either list, evenly spread over it; None for all.
    """
    good = [
        k for k in range(0, len(areas.brain), step) if areas.brain[k] >= min_brain * areas.pixels
    ]
    without = [k for k in good if areas.tumour[k] == 0]
    with_tumour = [k for k in good if areas.tumour[k] >= min_tumour]
    return _spread(without, limit), _spread(with_tumour, limit)


def _spread(slices: list[int], limit: int | None) -> list[int]:
    """At most `limit` of them, at the middles of as many equal parts."""
    if limit is None or len(slices) <= limit:
        return slices
    return [slices[(2 * i + 1) * len(slices) // (2 * limit)] for i in range(limit)]


def _tumour(seg: Blob) -> np.ndarray:
    """Where the segmentation is not 0, bool [X, Y, Z]."""
    tumour: np.ndarray = load_volume(seg) != 0
    return tumour


def _size(values: np.ndarray) -> str:
    return "x".join(str(n) for n in values.shape)


def _read(path: Path | None) -> SliceAreas | None:
    if path is None:
        return None
    try:
        return SliceAreas(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not measured yet, or cut short
        return None


def _write(path: Path | None, areas: SliceAreas) -> None:
    """Keep a measurement, atomically; where that fails it will be measured again."""
    if path is None:
        return
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(asdict(areas)), encoding="utf-8")
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
