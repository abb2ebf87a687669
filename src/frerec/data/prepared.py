"""A source's images, checked, hashed and decoded once into a cache by content."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from frerec.data.checks import check_exist, missing_images, validate
from frerec.data.decode import Decoding, Skipped, build_stack
from frerec.data.hashing import hash_images
from frerec.data.manifest import FACTS, Manifest
from frerec.data.perceptual import near_pairs
from frerec.data.sources import Source
from frerec.data.stack import ImageStack
from frerec.errors import ConfigError, DataError

_FORMAT = 2
"""Part of every key: raise it when decoding, resizing or the files of the cache change."""

MISSING = "no such file"
_STACK, _FACTS, _SKIPPED, _META = "stack.npy", "facts.parquet", "skipped.json", "meta.json"


@dataclass(frozen=True)
class PreparedImages:
    """Decoded images with all that is known of them; splits are still the source's own.

    Attributes:
        folder: the cache's folder.
        manifest: the images that could be read, with their `FACTS`; row i is row i of the stack.
        skipped: the others: missing, unreadable or too small (`on_error=skip`).
        decoding: how they were decoded.
    """

    folder: Path
    manifest: Manifest
    skipped: tuple[Skipped, ...]
    decoding: Decoding

    @property
    def stack(self) -> ImageStack:
        """The decoded images."""
        return ImageStack.open(self.folder / _STACK)

    def near_pairs(self, distance: int, *, progress: bool | None = None) -> np.ndarray:
        """Near-duplicates int64 [M, 3] (row, row, distance), searched once and kept."""
        path = self.folder / f"near-{distance}.npy"
        try:
            kept: np.ndarray = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            kept = near_pairs(self.manifest.table["phash"].tolist(), distance, progress=progress)
            unfinished = path.with_suffix(f".{id(kept)}.tmp")
            with unfinished.open("wb") as file:
                np.save(file, kept, allow_pickle=False)
            unfinished.replace(path)
        return kept


def prepare_images(
    source: Source,
    decoding: Decoding,
    *,
    cache_dir: Path,
    record: dict[str, Any],
    classes: Sequence[str] | None = None,
    min_classes: int = 2,
    progress: bool | None = None,
) -> PreparedImages:
    """Read a source, check it, and decode it unless the same content has been decoded.

    The cache's key is the hash of the files' bytes and of all that decoding depends on. Labels,
    patients and splits are not part of it: another task on the same images decodes nothing.
    Processes that want the same key wait for the one that makes it.

    Args:
        source: gives the manifest.
        decoding: how images are decoded.
        cache_dir: where decoded images and the files' hashes are kept.
        record: plain values for the cache's meta.json.
        classes: all classes in the order of their integers; None for the source's order.
        min_classes: how many must have images.
        progress: show bars on stderr; None for only on a terminal.

    Raises:
        DataError: whatever is wrong with the data; the message names the file.
        ConfigError: `classes` are not the data's, or the cache cannot be written.
    """
    manifest = source.read()
    left_out = [Skipped(image, reason) for image, reason in manifest.left_out]
    manifest = _in_order(manifest, classes)
    validate(manifest, min_classes=min_classes, leaks=False, exist=False)
    manifest, missing = _without_missing(manifest, decoding.on_error)
    manifest = hash_images(
        manifest,
        cache=cache_dir / "hashes.sqlite",
        on_error=decoding.on_error,
        progress=progress,
    )
    key = _key(manifest, decoding)
    folder = cache_dir / key
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(cache_dir / f"{key}.lock"):
            if not (folder / _META).is_file():
                _make(manifest, folder, decoding, record, progress)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise ConfigError(
            f"data.cache_dir={cache_dir}: cannot be written ({error.strerror})"
        ) from None
    manifest = _with_facts(manifest, folder)
    validate(manifest, min_classes=min_classes, leaks=False, exist=False)
    unreadable = [Skipped(**item) for item in json.loads((folder / _SKIPPED).read_text("utf-8"))]
    return PreparedImages(folder, manifest, (*left_out, *missing, *unreadable), decoding)


def _in_order(manifest: Manifest, classes: Sequence[str] | None) -> Manifest:
    """The manifest in the order of its names, with the classes in the order asked for."""
    table = manifest.table.sort_values("image", kind="stable")
    if classes is not None and sorted(classes) != sorted(manifest.classes):
        raise ConfigError(
            f"data.classes={list(classes)}: the data has the classes "
            f"{', '.join(manifest.classes)}; give them all, in the order you want"
        )
    return Manifest(table, manifest.root, tuple(classes or manifest.classes))


def _without_missing(manifest: Manifest, on_error: str) -> tuple[Manifest, list[Skipped]]:
    if on_error == "raise":
        check_exist(manifest)
        return manifest, []
    missing = missing_images(manifest)
    if len(missing) == len(manifest):
        check_exist(manifest)
    keep = np.ones(len(manifest), dtype=bool)
    keep[missing] = False
    names = [str(manifest.table["image"].iat[row]) for row in missing]
    return manifest.take(keep), [Skipped(name, MISSING) for name in names]


def _key(manifest: Manifest, decoding: Decoding) -> str:
    images = manifest.table[["image", "hash"]].to_json(orient="values")
    content = [_FORMAT, asdict(decoding), images]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _make(
    manifest: Manifest,
    folder: Path,
    decoding: Decoding,
    record: dict[str, Any],
    progress: bool | None,
) -> None:
    """Decode into a temporary folder beside the final one, and rename it."""
    unfinished = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        stack, kept, skipped = build_stack(
            manifest, unfinished / _STACK, decoding, progress=progress
        )
        facts = ["image", *(name for name in FACTS if name in kept.table)]
        kept.table[facts].to_parquet(unfinished / _FACTS, index=False)
        listed = [asdict(item) for item in skipped]
        (unfinished / _SKIPPED).write_text(json.dumps(listed, indent=1), encoding="utf-8")
        meta = {
            "format": _FORMAT,
            **record,
            **asdict(decoding),
            "shape": list(stack.shape),
            "dtype": stack.dtype,
            "skipped": len(skipped),
        }
        (unfinished / _META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _with_facts(manifest: Manifest, folder: Path) -> Manifest:
    """The rows that the cache holds, in its order, with what it knows of them."""
    try:
        facts = pd.read_parquet(folder / _FACTS)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{folder}: a damaged cache ({reason}); delete this folder") from None
    table = manifest.table.drop(columns="hash").merge(facts, on="image", validate="one_to_one")
    table = table.set_index("image").loc[facts["image"]].reset_index()
    return Manifest(table, manifest.root, manifest.classes)
