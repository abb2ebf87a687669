"""The files of an output folder: walking it, leftovers of killed runs, and tables."""

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from frerec.errors import DataError

STAGING = ".frerec-new"
"""Folder in the output that holds images which will replace others, until all are made."""

_PARTIAL = re.compile(
    r"\.png\.[0-9a-f]{8}\.partial$"
    r"|^(frerec\.json|frerec\.parquet|(labels|skipped)\.csv)\..*\.partial$"
)


def list_files(folder: Path) -> Iterator[str]:
    """Posix paths of all files below a folder, hidden ones too; links to folders are followed.

    What waits to replace others is not part of it.
    """
    seen: set[str] = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        relative = Path(place).relative_to(folder).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        inner[:] = sorted(name for name in inner if prefix or name != STAGING)
        yield from (prefix + name for name in sorted(files))


def list_images(folder: Path, *, tidy: bool = False) -> Iterator[str]:
    """Names of the PNG files; with ``tidy``, temporary ones are removed on the way."""
    for name in list_files(folder):
        if name.endswith(".png"):
            yield name
        elif tidy and _PARTIAL.search(name.rpartition("/")[2]):
            (folder / name).unlink(missing_ok=True)


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, wanted: bool
) -> None:
    """A CSV file under a temporary name, then renamed; none at all where it is not wanted.

    Raises:
        DataError: If it cannot be written.
    """
    if not wanted:
        path.unlink(missing_ok=True)
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written ({error.strerror}); free space") from None
