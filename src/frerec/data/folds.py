"""Cross-validation: one of several folds is the test split."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from frerec.data.address import without_archive
from frerec.data.leaks import independent_groups
from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError

PUBLISHED = "published"


def assign_fold(manifest: Manifest, folds: int | str, fold: int, *, seed: int = 0) -> Manifest:
    """Put one fold of the real images into test and the rest into train.

    Args:
        manifest: images without splits.
        folds: how many to cut, by patient and stratified by label (scikit-learn's
            StratifiedGroupKFold over the images in order of their names), or `published` for the
            data set's own.
        fold: which one, from 0.
        seed: of the cut.

    Raises:
        ConfigError: the images have splits already; no such fold; fewer than two folds; the data
            set publishes none.
        DataError: more folds than independent groups (patients) in some class.
    """
    check_folds(folds, fold)
    table = manifest.table
    if (table["split"] != "").any():
        raise ConfigError(
            f"data.folds={folds}: the data set has its own splits; set them aside with "
            f"data.official_splits=false, or leave out data.folds"
        )
    code = _published(manifest) if folds == PUBLISHED else _cut(manifest, folds, seed)
    count = int(code.max()) + 1
    if not 0 <= fold < count:
        raise ConfigError(f"data.fold={fold}: expected 0 to {count - 1}, there are {count} folds")
    real = (table["source"] == "real").to_numpy()
    split = np.where(real & (code == fold), "test", "train")
    return manifest.with_columns(split=pd.array(split, dtype="str"))


def check_folds(folds: int | str | None, fold: int) -> None:
    """Raise ConfigError for folds that there cannot be."""
    number = isinstance(folds, int) and not isinstance(folds, bool)
    if folds is not None and folds != PUBLISHED and not (number and int(folds) >= 2):
        raise ConfigError(f"data.folds={folds}: expected null, 2 or more, or {PUBLISHED}")
    if folds is None and fold:
        raise ConfigError(f"data.fold={fold}: there are no folds; give data.folds=...")
    if fold < 0 or (number and fold >= int(folds or 0)):
        most = f" to {int(folds or 0) - 1}" if number else " or more"
        raise ConfigError(f"data.fold={fold}: expected 0{most}")


def _published(manifest: Manifest) -> np.ndarray:
    if "fold" not in manifest.table or (manifest.table["fold"] == "").any():
        raise ConfigError(
            f"data.folds={PUBLISHED}: no published folds are known (those of figshare_brain_tumor "
            f"come from its cvind.mat); give a number of folds"
        )
    return manifest.table["fold"].astype("int64").to_numpy()


def _cut(manifest: Manifest, folds: int | str, seed: int) -> np.ndarray:
    assert isinstance(folds, int)
    labels, groups = manifest.label_indices(), independent_groups(manifest)
    for number, name in enumerate(manifest.classes):
        available = len(set(groups[labels == number]))
        if 0 < available < folds:
            raise DataError(
                f"data.folds={folds}: class {name} has only {available} independent groups "
                f"(patients); give at most {available} folds"
            )
    order = np.argsort([without_archive(n) for n in manifest.table["image"]], kind="stable")
    code = np.zeros(len(manifest), dtype=np.int64)
    cutter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for number, (_, rows) in enumerate(cutter.split(order, labels[order], groups[order])):
        code[order[rows]] = number
    return code
