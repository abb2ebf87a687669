"""Write phantoms as a data set on disk: lossless PNG files and a table of labels."""

from __future__ import annotations

import csv
import secrets
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from frerec.data.phantoms.draw import PHANTOMS, iter_phantoms
from frerec.errors import DataError


def write_phantoms(
    directory: Path,
    modality: str,
    count: int,
    *,
    size: int = 64,
    seed: int = 0,
    images_per_patient: int = 1,
) -> None:
    """Write `images/CLASS/000000.png` (8 bit) and `labels.csv` (`image,label,patient_id`).

    Everything goes to a sibling with a temporary name that is renamed at the end, so `directory`
    is complete or absent. Memory does not grow with `count`.

    Args:
        directory: made here; must not exist, or be empty.
        modality: a key of `PHANTOMS`.
        count: as in `draw_phantoms`, like the other arguments.
        size: image side in pixels.
        seed: not negative.
        images_per_patient: images that share one anatomy.

    Raises:
        ConfigError: as `draw_phantoms`.
        DataError: `directory` exists and is not an empty folder.
    """
    parts = iter_phantoms(
        modality, count, size=size, seed=seed, images_per_patient=images_per_patient
    )
    directory = Path(directory)
    _require_free(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = directory.parent / f".{directory.name}.{secrets.token_hex(4)}.partial"
    try:
        classes = PHANTOMS[modality].classes
        for name in classes:
            (partial / "images" / name).mkdir(parents=True)
        with (partial / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("image", "label", "patient_id"))
            row = 0
            for part in parts:
                for pixels, label, patient in zip(
                    part.images, part.labels, part.patients, strict=True
                ):
                    image = f"images/{classes[label]}/{row:06d}.png"
                    _write_png(partial / image, pixels)
                    table.writerow((image, classes[label], f"P{patient:06d}"))
                    row += 1
        _require_free(directory)
        partial.replace(directory)  # takes the place of an empty folder too
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_free(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DataError(
            f"{directory}: expected a new or empty folder for the phantoms, found one in use; "
            "delete it or name another"
        )


def _write_png(path: Path, pixels: np.ndarray) -> None:
    """Write float32 `[C, H, W]` in [0, 1] as an 8-bit PNG, grey or RGB."""
    values = np.round(pixels * 255).astype(np.uint8)
    Image.fromarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0)).save(path)
