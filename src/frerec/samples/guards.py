"""What a folder for samples must not hold: links, and classes named as files of frerec's."""

import os
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from frerec.data.side_labels import STYLEGAN, TABLE
from frerec.errors import DataError
from frerec.samples.set_folder import CARD, DRAWN, MANIFEST, MEMORISED, UNFINISHED

COMPANIONS = ("generator",)  # folders that may lie beside those of the classes
RESERVED = (  # what lies beside the folders of the classes, or is read there; as patterns
    *(CARD, UNFINISHED, MANIFEST, DRAWN, MEMORISED, STYLEGAN, TABLE, *COMPANIONS),
    *("card.*", "samples.png", "signature.*", "memorisation.*"),
    *("output", "counts.json", "command.log", "*.partial", "*.tmp"),
)


def check_class_names(classes: Sequence[str]) -> None:
    """Refuse classes that cannot be folders beside the files that frerec writes.

    Raises:
        DataError: Names the class.
    """
    for name in classes:
        if (
            name in ("", ".", "..")
            or any(c in name for c in "/\\:")
            or not name.isprintable()
            or name != name.strip()
            or any(fnmatchcase(name.casefold(), pattern) for pattern in RESERVED)
        ):
            raise DataError(f"class {name!r}: cannot be a folder's name; rename it in the labels")


def refuse_links(directory: Path, *, but: Collection[str] = ()) -> None:
    """Refuse symbolic links in a folder to write into: files elsewhere would be overwritten.

    Args:
        directory: Looked through at any depth; may itself be a link.
        but: Folders right below it whose content is not looked at; they must be no links.

    Raises:
        DataError: Names the first link.
    """
    for link in _links(directory, but):
        raise DataError(f"{link}: a link, which is not written through; delete it")


def _links(folder: Path, but: Collection[str]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_symlink():
                yield folder / entry.name
            elif entry.name not in but and entry.is_dir(follow_symlinks=False):
                yield from _links(folder / entry.name, ())
