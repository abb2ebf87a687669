"""The folder of a set that frerec wrote: what is in it, what is left out, whether it is finished.

While ``samples.unfinished.json`` is there, nobody reads the set. Images that are left out after a
look at them stay on the disk: ``drawn.parquet`` lists all that were made, ``manifest.parquet``
those that are kept, and :func:`restore` undoes it.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from frerec.data.manifest import Manifest
from frerec.errors import DataError
from frerec.training_tools import write_json

CARD, UNFINISHED = "samples.json", "samples.unfinished.json"
MANIFEST, DRAWN = "manifest.parquet", "drawn.parquet"
DESCRIPTION = (  # what `frerec generate` says of a whole set, beside it
    *("card.json", "card.md", "samples.png", "signature.png", "signature.npz"),
    *("memorisation.png", "memorisation.json", "memorisation.parquet"),
)
MEMORISED = "memorised"  # folder of our own PNG files that are left out, as memorised/CLASS/NAME


def read_card(path: Path) -> dict[str, Any]:
    """What made the samples.

    Raises:
        DataError: If the file is damaged.
    """
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        card.get("seed")
    except (ValueError, AttributeError):
        raise DataError(f"{path}: damaged; delete its folder to make the samples anew") from None
    return card


def differing(card: Mapping[str, Any], origin: Mapping[str, Any]) -> list[str]:
    """Keys of an origin that a card has otherwise, or not."""
    return [key for key, value in origin.items() if card.get(key) != value]


def leave_out(
    directory: Path, images: Collection[str], *, move: bool, unreadable: Collection[str] = ()
) -> None:
    """Take images out of the manifest; safe against a kill while the set is unfinished.

    Args:
        directory: Of a whole set.
        images: Names in its manifest.
        move: Move their files, which are ``CLASS/NAME``, to ``memorised/CLASS/NAME``, for those
            who read the folders without the manifest.
        unreadable: More names; their files stay where they are.
    """
    if not images and not unreadable:
        return
    drawn = Manifest.read(directory / MANIFEST)
    drawn.write(directory / DRAWN)
    left_out = drawn.table["image"].isin(list(images)).to_numpy()
    out_of_it = left_out | drawn.table["image"].isin(list(unreadable)).to_numpy()
    drawn.take(np.flatnonzero(~out_of_it)).write(directory / MANIFEST)
    if move:
        for name in drawn.table["image"][left_out]:
            (directory / MEMORISED / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).replace(directory / MEMORISED / name)


def restore(directory: Path) -> None:
    """Make the set whole again: all files in their places, all in the manifest."""
    memorised = directory / MEMORISED
    for file in sorted(memorised.glob("*/*.png")):
        target = directory / file.relative_to(memorised)
        target.parent.mkdir(exist_ok=True)
        file.replace(target)
    for folder in (*memorised.glob("*"), memorised):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if (directory / DRAWN).is_file():
        (directory / DRAWN).replace(directory / MANIFEST)


def finish(
    directory: Path,
    *,
    excluded: Mapping[str, int] | None = None,
    unreadable: Mapping[str, int] | None = None,
) -> None:
    """Say that a set is complete and can be read.

    Args:
        directory: Its folder, with a card.
        excluded: Images left out by class, for the card.
        unreadable: The same of those left out because they could not be read.
    """
    said = {"excluded": excluded, "unreadable": unreadable}
    added = {key: dict(counts) for key, counts in said.items() if counts is not None}
    if added:
        write_json(directory / CARD, {**read_card(directory / CARD), **added})
    (directory / UNFINISHED).unlink(missing_ok=True)
