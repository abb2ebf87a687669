"""Replacing images that are there: the new ones wait in a folder until all of them are made.

So a run that is killed or fails leaves the old images as they were, and one that is run again goes
on with those that wait. Once all are made they are renamed to their places; that is finished by
the next run where it was interrupted.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.compute as pc

from frerec.bulk.files import STAGING, list_images
from frerec.bulk.ledger import (
    among,
    compare,
    read_ledger,
    replaced,
    without,
    write_ledger,
)
from frerec.errors import DataError
from frerec.training_tools import write_json

RECORD = "frerec.json"  # in the waiting folder: all are made, and on the way to their places


def waiting(output: Path, wanted: Any) -> Any:
    """Those of the wanted rows that wait already; what else waits is removed.

    Args:
        output: The output folder.
        wanted: Rows as :func:`frerec.bulk.ledger.entries` makes them.
    """
    folder = output / STAGING
    settings, source = compare(read_ledger(folder), wanted)
    known = wanted.filter(pc.and_(settings, source))
    made = known.filter(among(known["target"], list(list_images(folder, tidy=True))))
    keep = set(made["target"].to_pylist())
    for name in list(list_images(folder)):
        if name not in keep:
            (folder / name).unlink()
    return made


def begin(output: Path, rows: Any) -> None:
    """Make the folder for these rows, of which some may wait already."""
    folder = output / STAGING
    folder.mkdir(parents=True, exist_ok=True)
    write_ledger(folder, rows)


def commit(output: Path, record: dict[str, Any], failed: Iterable[str]) -> None:
    """All rows are made but those that failed: from here on they belong to the output."""
    folder = output / STAGING
    write_ledger(folder, without(read_ledger(folder), failed))
    write_json(folder / RECORD, record)
    finish(output)


def finish(output: Path) -> None:
    """Move what is committed to its places, however far an interrupted run came with that.

    Raises:
        DataError: If an image cannot be moved.
    """
    folder = output / STAGING
    if not (folder / RECORD).is_file():
        return
    rows, ledger = read_ledger(folder), read_ledger(output)
    # Meanwhile it is not known of what these images were made.
    write_ledger(output, without(ledger, rows["target"]))
    for target in rows["target"]:
        name = target.as_py()
        if (folder / name).is_file():
            _move(folder / name, output / name)
    write_ledger(output, replaced(ledger, rows))
    write_json(output / RECORD, json.loads((folder / RECORD).read_text()))
    discard(output)


def discard(output: Path) -> None:
    """Remove the waiting folder."""
    shutil.rmtree(output / STAGING, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(source, target)  # noqa: PTH105 - a million of them
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            partial = target.with_name(f"{target.name}.{uuid4().hex[:8]}.partial")
            shutil.copyfile(source, partial)  # a folder that is a link to another disk
            partial.replace(target)
            source.unlink()
    except OSError as error:
        raise DataError(
            f"{target}: cannot be replaced ({error.strerror or error}); free space or the folder,"
            " then run the same command again to go on"
        ) from None
