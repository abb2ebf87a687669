"""Who goes to train, val and test: by patient, balanced by class, the same for any row order.

Order comes from hashing names with the seed rather than from a generator's stream, so that it
depends neither on the order of the rows nor on which other images there are.
"""

import hashlib

import numpy as np
import pandas as pd

from frerec.data.address import without_archive
from frerec.data.leaks import independent_groups, resolve_leaks
from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError


def assign_splits(
    manifest: Manifest,
    *,
    val_fraction: float = 0.15,
    test_fraction: float = 0.2,
    seed: int = 0,
    leaks: str = "error",
    near_duplicates: str = "ignore",
) -> Manifest:
    """Give every image a split, honouring the splits that the source has.

    Only what is missing is cut, always out of train: first test, `test_fraction` of the training
    images, then val, `val_fraction` of the training images that remain. [ours] So a source with
    train and test gets a val, and one with all three stays as it is. The cut keeps patients
    together (and identical images, and near-duplicates where they are known), has the same share of
    every class as nearly as the groups allow, and puts every class into every split. A fraction of
    0 leaves that split out. Synthetic images always go to train.

    Returns:
        the manifest with `split` set; images that must stay together share their `group`.

    Raises:
        DataError: a leak (see `resolve_leaks`); no training images; a class with too few
            independent groups for one in each split.
        ConfigError: a fraction outside [0, 1), or a policy that does not exist.
    """
    check_fractions(val_fraction, test_fraction)
    manifest = resolve_leaks(manifest, leaks, near_duplicates)
    table = manifest.table
    split = table["split"].to_numpy(dtype=object).copy()
    real = (table["source"] == "real").to_numpy()
    split[split == ""] = "train"
    if not ((split == "train") & real).any():
        raise DataError(f"{manifest.root}: no training images; found only {', '.join(set(split))}")
    group = independent_groups(manifest)
    wanted = splits_to_cut(manifest, val_fraction=val_fraction, test_fraction=test_fraction)
    for position, (name, fraction) in enumerate(wanted):
        rows = np.flatnonzero((split == "train") & real)
        still_to_cut = len(wanted) - position - 1
        chosen = _cut(manifest.take(rows), group[rows], fraction, f"{name}:{seed}", still_to_cut)
        split[rows[chosen]] = name
    _check_coverage(manifest, split, group, real, [name for name, _ in wanted])
    first = table["group"].groupby(group).transform("min")
    return manifest.with_columns(split=pd.array(split, dtype="str"), group=first.astype("str"))


def splits_to_cut(
    manifest: Manifest, *, val_fraction: float, test_fraction: float
) -> list[tuple[str, float]]:
    """The splits that `assign_splits` would cut, in this order, with their fractions."""
    have = set(manifest.table["split"][manifest.table["source"] == "real"])
    fractions = (("test", test_fraction), ("val", val_fraction))
    return [(name, share) for name, share in fractions if share > 0 and name not in have]


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Raise ConfigError for a fraction outside [0, 1)."""
    for name, fraction in (("val", val_fraction), ("test", test_fraction)):
        if not 0 <= fraction < 1:
            raise ConfigError(f"data.{name}_fraction={fraction}: expected 0 or more, less than 1")


def take_train_size(manifest: Manifest, per_class: int, *, seed: int = 0) -> Manifest:
    """Keep this many real training images a class; val, test and synthetic images stay.

    The subsets are nested: with the same seed, the 50 are among the 100.

    Raises:
        DataError: a class has fewer training images.
        ConfigError: `per_class` is not positive.
    """
    if per_class < 1:
        raise ConfigError(f"data.train_size={per_class}: expected 1 or more images a class")
    rows = manifest.where(split="train", source="real")
    labels = manifest.label_indices()[rows]
    have = np.bincount(labels, minlength=len(manifest.classes))
    short = [f"{c} {n}" for c, n in zip(manifest.classes, have, strict=True) if n < per_class]
    if short:
        raise DataError(
            f"data.train_size={per_class}: too few training images in {', '.join(short)}; give at "
            f"most {int(have.min())}"
        )
    keep = np.ones(len(manifest), dtype=bool)
    keep[rows] = False
    names = manifest.table["image"].to_numpy()[rows]
    for c in range(len(manifest.classes)):
        of_class = np.flatnonzero(labels == c)
        keep[rows[of_class[shuffled(names[of_class], f"size:{seed}")[:per_class]]]] = True
    return manifest.take(keep)


def shuffled(names: np.ndarray, salt: str) -> np.ndarray:
    """A pseudo-random order of names that does not depend on the order they come in.

    Nor does it depend on whether the files lie in an archive.
    """
    plain = [without_archive(str(name)) for name in names]
    keys = [hashlib.sha256(f"{salt}:{name}".encode()).hexdigest() for name in plain]
    return np.argsort(keys, kind="stable")


def _cut(
    manifest: Manifest, group: np.ndarray, fraction: float, salt: str, still_to_cut: int
) -> np.ndarray:
    """Choose whole groups with about this fraction of each class; bool [N].

    Greedy: in a random order, a group is taken where it brings the class counts nearer to their
    targets (squared error over class size). Groups are not sorted by size, which would put the
    patients with most images into the cut. A class keeps one group for train and one for each
    split still to cut; one that got nothing gets its smallest group that can be spared.
    """
    codes, inverse = np.unique(group, return_inverse=True)
    counts = np.zeros((len(codes), len(manifest.classes)))
    np.add.at(counts, (inverse, manifest.label_indices()), 1)
    first = manifest.table["image"].groupby(inverse).min().to_numpy()
    total = counts.sum(axis=0)
    weight = 1 / np.maximum(total, 1)
    target = np.maximum(fraction * total, np.minimum(total, 1))
    left = (counts > 0).sum(axis=0)  # groups that train still has, by class
    spare = 1 + still_to_cut
    taken = np.zeros(len(codes), dtype=bool)
    held = np.zeros_like(target)
    order = shuffled(first, salt)

    def take(g: int) -> None:
        nonlocal left, held
        taken[g] = True
        held = held + counts[g]
        left = left - (counts[g] > 0)

    for g in order:
        x, has = counts[g], counts[g] > 0
        gain = ((2 * (held - target) + x) * x * weight).sum()
        if gain < 0 and (left[has] > spare).all():
            take(g)
    for c in np.flatnonzero((held == 0) & (total > 0)):
        if held[c]:
            continue
        able = [
            g
            for g in order
            if counts[g, c] and not taken[g] and (left[counts[g] > 0] > spare).all()
        ]
        if able:
            take(min(able, key=lambda g: counts[g].sum()))
    return taken[inverse]


def _check_coverage(
    manifest: Manifest, split: np.ndarray, group: np.ndarray, real: np.ndarray, cut: list[str]
) -> None:
    """Raise DataError where a class is missing from a split that was cut here."""
    labels = manifest.label_indices()
    for c, name in enumerate(manifest.classes):
        of_class = real & (labels == c)
        absent = [s for s in ("train", *cut) if cut and not (of_class & (split == s)).any()]
        if absent and of_class.any():
            raise DataError(
                f"class {name}: {int(of_class.sum())} images in {len(set(group[of_class]))} "
                f"independent groups (patients) leave none for {' and '.join(absent)}; add images, "
                f"give the splits, or set data.{cut[-1]}_fraction=0"
            )
