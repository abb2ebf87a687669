"""Samples by a command of the user's, kept as the command left them beside a manifest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frerec.data.manifest import Manifest
from frerec.errors import DataError
from frerec.samples.loader import load_samples
from frerec.samples.ratio import take_counts
from frerec.samples.writer import CARD, MANIFEST, UNFINISHED
from frerec.training_tools import write_json

if TYPE_CHECKING:
    from frerec.generators.command import CommandGenerator


def run_into(
    directory: Path,
    command: CommandGenerator,
    origin: Mapping[str, Any],
    *,
    counts: Mapping[str, int],
    size: tuple[int, int],
) -> Manifest:
    """Run the command into ``directory``, or take what an equal call left there.

    Args:
        directory: Gets the command's own files, ``command.log``, ``manifest.parquet`` and
            ``samples.json``.
        command: What to run.
        origin: All that the samples depend on, with ``seed`` and ``classes``.
        counts: Images a class.
        size: Pixels a side and channels, for the command's placeholders.

    Raises:
        DataError: If the command fails or leaves too few images, or ``directory`` holds other
            files.
    """
    origin = json.loads(json.dumps(origin))
    classes, unfinished = origin["classes"], directory / UNFINISHED
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / CARD).is_file():
        _refuse_other(directory / CARD, origin)
        return load_samples(directory, classes=classes, allow_missing=True)
    if unfinished.is_file():  # of a command that failed or was killed: all here is its own
        for entry in directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    elif any(directory.iterdir()):
        raise DataError(f"{directory}: holds other files; name an empty folder for the samples")
    write_json(unfinished, origin)
    output = command.write(
        counts,
        classes,
        directory,
        seed=origin["seed"],
        image_size=size[0],
        channels=size[1],
    )
    found = command.load(output, classes)
    found = take_counts(found, counts, seed=origin["seed"])
    _rooted(found, directory).write(directory / MANIFEST)
    write_json(directory / CARD, {**origin, "counts": dict(counts)})
    unfinished.unlink()
    return load_samples(directory, classes=classes, allow_missing=True)


def _rooted(manifest: Manifest, root: Path) -> Manifest:
    """The same images with addresses relative to a folder above."""
    prefix = manifest.root.resolve().relative_to(root.resolve()).as_posix()
    table = manifest.table.copy()
    if prefix != ".":
        table["image"] = [f"{prefix}/{image}" for image in table["image"]]
    return Manifest(table, root, manifest.classes)


def _refuse_other(card: Path, origin: Mapping[str, Any]) -> None:
    try:
        found = json.loads(card.read_text(encoding="utf-8"))
        differing = [key for key, value in origin.items() if found.get(key) != value]
    except (ValueError, AttributeError):
        raise DataError(f"{card}: damaged; delete its folder to make the samples anew") from None
    if differing:
        raise DataError(
            f"{card.parent}: holds samples made with another {' and '.join(differing)}; name"
            " another folder or delete this one"
        )
