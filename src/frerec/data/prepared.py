"""A source's images, checked, hashed and decoded once into a cache by content."""

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from frerec.data.checks import check_exist, missing_images, validate
from frerec.data.decode import build_stack
from frerec.data.decoding import Decoding, Skipped, refuse_skipped
from frerec.data.hashing import hash_images
from frerec.data.manifest import FACTS, Manifest
from frerec.data.perceptual import NearPairs, find_near_pairs
from frerec.data.readers import read_pixels
from frerec.data.sources import Source
from frerec.data.stack import ImageStack
from frerec.errors import ConfigError, DataError

_FORMAT = 2
"""Part of every key: raise it when decoding, resizing or the files of the cache change."""

MISSING = "no such file"
_log = logging.getLogger(__name__)
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

    def near(self, distance: int, *, progress: bool | None = None) -> NearPairs:
        """Near-duplicates by row, searched once and kept; processes wait for the one that does."""
        path = self.folder / f"near-{distance}.npz"
        with contextlib.suppress(DataError):
            return NearPairs.load(path)
        with _lock_of(self.folder):
            with contextlib.suppress(DataError):
                return NearPairs.load(path)
            hashes = self.manifest.table["phash"].tolist()
            found = find_near_pairs(hashes, distance, progress=progress)
            with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
                found.save(path)
        return found


def _lock_of(folder: Path) -> FileLock:
    return FileLock(folder.with_name(f"{folder.name}.lock"))


def prepare_images(
    source: Source,
    decoding: Decoding,
    *,
    cache_dir: Path,
    record: dict[str, Any],
    classes: Sequence[str] | None = None,
    min_classes: int = 2,
    on_error: str = "raise",
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
        on_error: `raise` at missing, unreadable or too small images, or `skip` and list them. What
            was decoded before an unreadable one was found is kept, for `skip` or for a retry.
        progress: show bars on stderr; None for only on a terminal.

    Raises:
        DataError: whatever is wrong with the data; the message names the file.
        ConfigError: `classes` are not the data's, or the cache cannot be written.
    """
    manifest = source.read()
    left_out = [Skipped(image, reason) for image, reason in manifest.left_out]
    manifest = _in_order(manifest, classes)
    validate(manifest, min_classes=min_classes, leaks=False, exist=False)
    manifest, missing = _without_missing(manifest, on_error)
    written = manifest.table
    manifest = hash_images(
        manifest,
        cache=cache_dir / "hashes.sqlite",
        on_error=on_error,
        progress=progress,
    )
    _check_unchanged(written, manifest)
    key = _key(manifest, decoding)
    folder = cache_dir / key
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _lock_of(folder):
            if not (folder / _META).is_file() or _readable_now(folder, manifest, decoding):
                _make(manifest, folder, decoding, record, on_error, progress)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise ConfigError(
            f"data.cache_dir={cache_dir}: cannot be written ({error.strerror})"
        ) from None
    unreadable = [Skipped(**item) for item in json.loads((folder / _SKIPPED).read_text("utf-8"))]
    if on_error == "raise":
        refuse_skipped(unreadable, len(manifest))
    manifest = _with_facts(manifest, folder)
    validate(manifest, min_classes=min_classes, leaks=False, exist=False)
    _warn_of_other_decoding(written, manifest)
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
    on_error: str,
    progress: bool | None,
) -> None:
    """Decode into a folder beside the final one, which keeps what an interruption leaves."""
    unfinished = folder.with_name(f"{folder.name}.tmp")
    unfinished.mkdir(exist_ok=True)
    try:
        stack, kept, skipped = build_stack(
            manifest,
            unfinished / _STACK,
            decoding,
            on_error=on_error,
            resume=True,
            progress=progress,
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
    except DataError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _readable_now(folder: Path, manifest: Manifest, decoding: Decoding) -> bool:
    """Whether an image that could not be decoded once can be now, as with a decoder installed."""
    listed = json.loads((folder / _SKIPPED).read_text("utf-8"))
    failed = {item["image"] for item in listed if "pixels" not in item["reason"]}
    for row in np.flatnonzero(manifest.table["image"].isin(list(failed)).to_numpy()):
        with contextlib.suppress(DataError):
            read_pixels(manifest.address(int(row)), options=decoding.options)
            return True
    return False


def _check_unchanged(written: pd.DataFrame, manifest: Manifest) -> None:
    """Raise DataError where a source knew hashes of its files, and they are others now."""
    if "hash" in written:
        other = np.flatnonzero((written["hash"] != manifest.table["hash"]).to_numpy())
        if len(other):
            raise DataError(
                f"{manifest.address(int(other[0])).name}: not the file that it was when the "
                f"manifest was written; {len(other)} of {len(manifest)} images have changed; "
                f"restore them, or prepare the data set again"
            )


def _warn_of_other_decoding(written: pd.DataFrame, manifest: Manifest) -> None:
    """Log how many images are decoded otherwise than a source's manifest says."""
    known = [name for name in ("pixels", "resizing") if name in written]
    if known:
        before = written.set_index("image")[known].loc[manifest.table["image"]]
        other = (before.to_numpy() != manifest.table[known].to_numpy()).any(axis=1)
        if other.any():
            _log.warning(
                "%d of %d images are decoded otherwise than when the manifest was written; compare "
                "data.modality, data.image_size, data.fit and data.crop",
                int(other.sum()),
                len(manifest),
            )


def _with_facts(manifest: Manifest, folder: Path) -> Manifest:
    """The rows that the cache holds, in its order, with what it knows of them."""
    try:
        facts = pd.read_parquet(folder / _FACTS)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{folder}: a damaged cache ({reason}); delete this folder") from None
    table = manifest.table.drop(columns=list(FACTS), errors="ignore").merge(
        facts, on="image", validate="one_to_one"
    )
    table = table.set_index("image").loc[facts["image"]].reset_index()
    return Manifest(table, manifest.root, manifest.classes)
