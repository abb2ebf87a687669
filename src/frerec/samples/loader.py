"""Read a generator's samples: folders, tables, npz, zip, and what `frerec generate` wrote."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frerec.data.address import ARCHIVE_SUFFIX, SEPARATOR
from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.side_labels import STYLEGAN, TABLE
from frerec.data.tree import FolderTree, Tree, open_tree
from frerec.errors import ConfigError, DataError
from frerec.samples.label_map import map_labels
from frerec.samples.listings import (
    SAMPLE_KEYS,
    Keys,
    Listing,
    from_array,
    from_folders,
    from_stylegan,
    from_table,
    refuse_labels_beside,
)
from frerec.samples.own_outputs import from_generated, is_generated, missing_calibrated
from frerec.samples.set_folder import MANIFEST

log = logging.getLogger(__name__)

ARRAYS, CSV = ".npz", ".csv"
KINDS = "a folder, a .zip or .npz of images, or a .csv that names them"


def load_samples(
    path: Path,
    *,
    classes: Sequence[str],
    labels: Path | None = None,
    label_map: Mapping[Any, Any] | None = None,
    dataset: str = "samples",
    allow_missing: bool = False,
    keys: Keys = SAMPLE_KEYS,
) -> Manifest:
    """List labelled samples; the images are not decoded here.

    Args:
        path: One of

            - an output of ``frerec generate``, whose own manifest is read;
            - a folder or zip (or a zip's folder, ``archive.zip::folder``): with ``dataset.json``,
              as StyleGAN's data set tool writes it; with ``labels.csv``; or with a folder a class,
              with images at any depth. An output of ``frerec calibrate`` is one of these;
            - an npz, see :mod:`frerec.data.image_arrays`;
            - a CSV table with the columns ``image`` (relative to its folder) and ``label``.
        classes: The real data's classes, in order. Samples without labels are taken where there is
            only one.
        labels: A CSV file with the columns ``image`` (relative to ``path``) and ``label``; counts
            before what lies beside the images.
        label_map: From a name or number in the samples to the real data's; to None leaves its
            images out.
        dataset: Name of these samples in the manifest.
        allow_missing: Accept that a real class has no sample.
        keys: What messages call ``path``, ``labels`` and ``label_map``.

    Returns:
        A manifest with source "synthetic" and split "train". Every image is a group of its own,
        but for those of which ``frerec generate`` knows the patient.

    Raises:
        DataError: If the set is missing, empty, damaged or unfinished, the labels do not fit or
            name a missing or outlying file, a class is none of the real ones, or a real class has
            no sample.
        ConfigError: If ``label_map`` maps to no real class or from no name in the samples, or
            ``labels`` is given for a set that has its own.
    """
    path = Path(path)
    known = {*classes, *map(str, label_map or ())}
    listing = _list(path, Path(labels) if labels else None, known, keys)
    kept, names = _labelled(listing, classes, dict(label_map or {}), keys)
    absent = [name for name in classes if name not in set(names)]
    if absent and not allow_missing:
        raise DataError(
            f"{path}: no samples of the class {', '.join(absent)}; add some, or map another name"
            f" to it with {keys.label_map}"
        )
    images = [listing.images[row] for row in kept]
    manifest = Manifest.build(
        listing.root,
        images=images,
        labels=names,
        splits=["train"] * len(kept),
        # A real image of the same relative path is another patient.
        groups=[f"sample:{dataset}:{image}" for image in images],
        source="synthetic",
        dataset=dataset,
        classes=classes,
    )
    if listing.groups is not None:
        manifest = _with_groups(manifest, dict(zip(listing.images, listing.groups, strict=True)))
    validate(manifest, min_classes=1)
    return manifest


def _list(path: Path, labels: Path | None, known: set[str], keys: Keys) -> Listing:
    suffix = path.suffix.lower()
    if path.is_file() and suffix == ARRAYS:
        refuse_labels_beside(path, labels, "its arrays (arr_1 or labels)", keys)
        return from_array(path)
    if path.is_file() and suffix == CSV:
        refuse_labels_beside(path, labels, "its column label", keys)
        return from_table(FolderTree(path.absolute().parent), path)
    if path.is_file() and suffix != ARCHIVE_SUFFIX:
        raise DataError(f"{keys.path}={path}: expected {KINDS}")
    if not path.exists() and SEPARATOR not in str(path):
        raise DataError(f"{path}: no such folder of samples; set {keys.path} to {KINDS}")
    tree = open_tree(path, key=keys.path)
    if is_generated(tree):
        refuse_labels_beside(path, labels, MANIFEST, keys)
        return from_generated(tree)
    missing = missing_calibrated(tree)
    if missing:
        log.warning(
            "%s: %d images that frerec calibrate was to write are not there; unless they were"
            " removed on purpose, run it again to finish",
            path,
            missing,
        )
    return _from_tree(tree, labels, known, keys)


def _from_tree(tree: Tree, labels: Path | None, known: set[str], keys: Keys) -> Listing:
    if labels is not None:
        return from_table(tree, labels, keys)
    if STYLEGAN in tree:
        return from_stylegan(tree)
    if TABLE in tree:
        return from_table(tree)
    return from_folders(tree, known, keys)


def _labelled(
    listing: Listing, classes: Sequence[str], label_map: dict[Any, Any], keys: Keys
) -> tuple[list[int], list[str]]:
    """The rows that are kept, and the real data's class of each."""
    how = listing.unlabelled.replace("samples.labels", keys.labels)
    if listing.labels is None:
        if len(classes) == 1 and not label_map:
            return list(range(len(listing.images))), [classes[0]] * len(listing.images)
        if label_map:
            raise ConfigError(
                f"{keys.label_map}: the samples in {listing.name} have no labels to map; {how}"
            )
        raise DataError(
            f"{listing.name}: its {len(listing.images)} images have no labels, the real data have"
            f" the classes {', '.join(classes)}; {how}"
        )
    mapped = map_labels(listing.labels, label_map, classes, listing.name, key=keys.label_map)
    pairs = [(row, label) for row, label in enumerate(mapped) if label is not None]
    if not pairs:
        raise DataError(f"{listing.name}: {keys.label_map} leaves out every image")
    return [row for row, _ in pairs], [label for _, label in pairs]


def _with_groups(manifest: Manifest, patients: Mapping[str, str]) -> Manifest:
    """The groups that the samples' own manifest has, pseudonyms already."""
    own = manifest.table["group"].tolist()
    given = [patients[image] for image in manifest.table["image"]]
    groups = np.array([a or b for a, b in zip(given, own, strict=True)], dtype=object)
    return manifest.with_columns(group=groups.astype(str))
