"""How many samples are used, nested: those of a smaller ratio are among those of a larger one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from frerec.data.address import Blob
from frerec.data.manifest import Manifest
from frerec.data.splits import shuffled
from frerec.errors import ConfigError, DataError
from frerec.samples.set_folder import CARD

_NUMBERED = re.compile(r"\d{6,}\.png")


def balanced_counts(real_counts: Mapping[str, int], ratio: float) -> dict[str, int]:
    """Samples a class for ``ratio`` samples per real image, rounded half up, at least one.

    Raises:
        ConfigError: If ``ratio`` is not above 0.
    """
    if not (ratio > 0 and math.isfinite(ratio)):
        raise ConfigError(f"samples.ratio={ratio}: expected a number above 0")
    return {name: max(int(n * ratio + 0.5), 1) if n else 0 for name, n in real_counts.items()}


def take_ratio(
    manifest: Manifest, real_counts: Mapping[str, int], ratio: float, *, seed: int
) -> Manifest:
    """Keep ``ratio`` samples per real image in every class, see :func:`balanced_counts`.

    Which ones is a matter of their names and the seed alone: the samples of ratio 0.5 are among
    those of 1, in whatever order the table is. Images that `frerec generate` numbered go by their
    number, so that they are those that a smaller ratio would have generated.

    Args:
        manifest: Samples.
        real_counts: Real training images a class.
        ratio: Above 0.
        seed: Of the order; without effect on what `frerec generate` wrote.

    Returns:
        The rows that are kept, in their order.

    Raises:
        DataError: If a class has too few samples.
        ConfigError: If ``ratio`` is not above 0.
    """
    counts = balanced_counts(real_counts, ratio)
    have = manifest.table["label"].value_counts().to_dict()
    short = [f"{c} {have.get(c, 0)} of {n}" for c, n in counts.items() if have.get(c, 0) < n]
    if short:
        most = min(have.get(c, 0) / n for c, n in real_counts.items() if n)
        most = math.floor(most * 1000) / 1000
        remedy = f"at most samples.ratio={most:g}, or more samples" if most else "more samples"
        raise DataError(
            f"samples.ratio={ratio}: too few samples in {manifest.root} ({', '.join(short)}); give"
            f" {remedy}"
        )
    return take_counts(manifest, counts, seed=seed)


def take_counts(manifest: Manifest, counts: Mapping[str, int], *, seed: int) -> Manifest:
    """Keep so many samples a class, none of classes that are left out; order as in `take_ratio`.

    Raises:
        DataError: If a class has too few samples, or is none of the manifest's.
        ConfigError: If a count is negative.
    """
    unknown = [name for name in counts if name not in manifest.classes]
    if unknown:
        raise DataError(
            f"samples.counts: {unknown[0]} is none of the classes {', '.join(manifest.classes)}"
        )
    names = manifest.table["image"].to_numpy(dtype=object)
    labels = manifest.table["label"].to_numpy(dtype=object)
    numbered = _is_numbered(manifest)
    keep = np.zeros(len(manifest), dtype=bool)
    for label, count in counts.items():
        rows = np.flatnonzero(labels == label)
        if count < 0:
            raise ConfigError(f"samples.counts: {label}: {count}, expected 0 or more images")
        if len(rows) < count:
            raise DataError(
                f"samples.counts: {label}: {count}, but {manifest.root} has {len(rows)} samples of"
                " it; give fewer, or more samples"
            )
        keep[rows[_order(names[rows], seed, numbered=numbered)[:count]]] = True
    return manifest.take(keep)


def _order(names: np.ndarray, seed: int, *, numbered: bool) -> np.ndarray:
    by_name = np.argsort(names, kind="stable")  # where hashes or numbers are equal
    if not numbered:
        return np.asarray(by_name[shuffled(names[by_name], f"samples:{seed}")])
    numbers = [int(PurePosixPath(str(name)).stem) for name in names[by_name]]
    return np.asarray(by_name[np.argsort(numbers, kind="stable")])


def _is_numbered(manifest: Manifest) -> bool:
    """Whether `frerec generate` wrote the images, as CLASS/000000.png beside its card."""
    if not len(manifest):
        return False
    blobs = [address.blob for address in manifest.addresses]
    if not all(_NUMBERED.fullmatch(blob.filename) for blob in blobs):
        return False
    blob = blobs[0]
    if not blob.member:
        return (blob.path.parent.parent / CARD).is_file()
    top = PurePosixPath(blob.member).parent.parent
    return Blob(blob.path, (top / CARD).as_posix()).exists()
