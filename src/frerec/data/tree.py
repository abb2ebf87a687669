"""A data set's files by relative name, whether they lie in a folder or in a zip archive."""

import io
import os
import posixpath
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

import pandas as pd

from frerec.data.address import (
    ARCHIVE_SUFFIX,
    SEPARATOR,
    Blob,
    check_relative,
    open_archive,
    unaddressable,
)
from frerec.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


class Tree(Protocol):
    """Names are posix paths relative to the data set's top, whatever holds it."""

    root: Path
    """What a manifest's addresses are relative to: the folder, or the archive's folder."""

    @property
    def name(self) -> str:
        """As messages write it."""
        ...

    def files(self, folder: str = "", suffixes: Sequence[str] | None = IMAGE_SUFFIXES) -> list[str]:
        """Names of all files below a folder, sorted; a suffix counts in any case.

        Hidden files, and the ones that macOS adds to archives, are left out.
        """
        ...

    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders right below a folder, sorted."""
        ...

    def __contains__(self, name: str) -> bool:
        """Whether there is a file of this name."""
        ...

    def address(self, name: str) -> str:
        """What a manifest writes for a file."""
        ...

    def blob(self, name: str) -> Blob:
        """A file's bytes."""
        ...


def entries(tree: Tree, limit: int = 6) -> str:
    """What lies at the top, for messages."""
    names = sorted({name.partition("/")[0] for name in tree.files(suffixes=None)})
    shown = ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
    return shown or "nothing"


def open_tree(root: str | Path, *, key: str = "data.root") -> Tree:
    """The files of a folder, of a zip archive, or of a folder in one (`archive.zip::folder`).

    Raises:
        DataError: there is no such thing, or it is neither.
    """
    outer, _, inner = str(root).partition(SEPARATOR)
    path = Path(outer).expanduser()
    if path.is_file() and path.suffix.lower() == ARCHIVE_SUFFIX:
        return ZipTree(path.absolute(), inner.strip("/"))
    if not path.is_dir() or inner:
        what = "neither a folder nor a zip archive" if path.exists() else "no such folder"
        raise DataError(f"{key}={root}: {what}; give the folder (or zip) that holds the data set")
    return FolderTree(path.absolute())


class FolderTree:
    """Files on disk; linked folders are followed, each real folder once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = str(root)

    def files(self, folder: str = "", suffixes: Sequence[str] | None = IMAGE_SUFFIXES) -> list[str]:
        """See `Tree`."""
        if folder:
            check_relative(folder, self.name)
        return _with_suffix(list_files(self.root / folder, self.root), suffixes)

    def folders(self, folder: str = "") -> list[str]:
        """See `Tree`."""
        place = self.root / folder
        inner = place.iterdir() if place.is_dir() else []
        found = [path for path in inner if path.is_dir() and not ignored(path.name)]
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def __contains__(self, name: str) -> bool:
        return (self.root / name).is_file()

    def address(self, name: str) -> str:
        """See `Tree`."""
        if SEPARATOR in name:
            raise unaddressable(name)
        return name

    def blob(self, name: str) -> Blob:
        """See `Tree`."""
        check_relative(name, self.name)
        return Blob(self.root / name)


class ZipTree:
    """Members of a zip archive, which is never extracted."""

    def __init__(self, archive: Path, inner: str = "") -> None:
        self.archive = archive
        self.root = archive.parent
        self.name = f"{archive}{SEPARATOR}{inner}" if inner else str(archive)
        self._prefix = f"{inner}/" if inner else ""

    @cached_property
    def _members(self) -> dict[str, str]:
        """Members by their names relative to the inner folder.

        Raises:
            DataError: a member whose name leads out of the archive.
        """
        found = {}
        for member in open_archive(self.archive).namelist():
            check_relative(member, self.archive)
            visible = not any(ignored(part) for part in PurePosixPath(member).parts)
            if member.startswith(self._prefix) and not member.endswith("/") and visible:
                found[posixpath.normpath(member[len(self._prefix) :])] = member
        return found

    def files(self, folder: str = "", suffixes: Sequence[str] | None = IMAGE_SUFFIXES) -> list[str]:
        """See `Tree`."""
        prefix = f"{folder}/" if folder else ""
        return _with_suffix(sorted(n for n in self._members if n.startswith(prefix)), suffixes)

    def folders(self, folder: str = "") -> list[str]:
        """See `Tree`."""
        prefix = f"{folder}/" if folder else ""
        inner = {name[len(prefix) :] for name in self.files(folder, None)}
        return sorted({prefix + name.partition("/")[0] for name in inner if "/" in name})

    def __contains__(self, name: str) -> bool:
        return posixpath.normpath(name) in self._members

    def address(self, name: str) -> str:
        """See `Tree`."""
        if SEPARATOR in name:
            raise unaddressable(name)
        member = self._members.get(posixpath.normpath(name), self._prefix + name)
        return f"{self.archive.name}{SEPARATOR}{member}"

    def blob(self, name: str) -> Blob:
        """See `Tree`."""
        check_relative(name, self.archive)
        return Blob(self.archive, self._members.get(posixpath.normpath(name), self._prefix + name))


def read_table(
    tree: Tree, name: str, columns: Sequence[str] = (), *, hint: str = "", limit: int = 8
) -> pd.DataFrame:
    """A CSV table (gzipped where its name says so), all cells as stripped text, blanks as "".

    Args:
        tree: where it lies.
        name: its name.
        columns: those that it must have; names are stripped of blanks around them.
        hint: what to do, at the end of the message.
        limit: how many of the columns found are named in the message.

    Raises:
        DataError: no such file; not a CSV table; a column is missing.
    """
    hint = f"; {hint}" if hint else ""
    blob = tree.blob(name)
    if not blob.exists():
        raise DataError(f"{blob.name}: no such file{hint}")
    try:
        with warnings.catch_warnings():  # lines that end in a comma where the header does not
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.BytesIO(blob.read()),
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                index_col=False,
                compression="gzip" if name.lower().endswith(".gz") else None,
            )
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{blob.name}: cannot be read as a CSV table ({reason})") from None
    table.columns = [str(column).strip() for column in table.columns]
    absent = [column for column in columns if column not in table]
    if absent:
        have = ", ".join(table.columns[:limit]) + (", ..." if len(table.columns) > limit else "")
        raise DataError(f"{blob.name}: no column {absent[0]}; it has {have}{hint}")
    return pd.DataFrame({name: table[name].fillna("").str.strip() for name in table.columns})


def ignored(name: str) -> bool:
    """Hidden files and the ones that macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def list_files(folder: Path, root: Path) -> list[str]:
    """Posix paths, relative to root and sorted, of all files below a folder that are not hidden.

    Linked folders are followed, each real folder once.
    """
    found: list[str] = []
    seen: set[str] = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not ignored(name))
        relative = Path(place).relative_to(root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        found += [prefix + name for name in files if not ignored(name)]
    return sorted(found)


def _with_suffix(names: list[str], suffixes: Sequence[str] | None) -> list[str]:
    if suffixes is None:
        return names
    return [name for name in names if name.lower().endswith(tuple(suffixes))]
