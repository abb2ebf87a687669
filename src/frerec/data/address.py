"""Where an image lies: a file, a member of a zip archive, or one image in a file of many.

A manifest names images by address, relative to its root:

    images/1.png                        a file
    archive.zip::images/1.png           a member of a zip archive, never extracted
    P1/P1_t1.nii.gz::077                one image of a file that holds many
    archive.zip::P1/P1_t1.nii.gz::077   both

A file or folder whose own name holds `::` cannot be addressed.
"""

import hashlib
import io
import os
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from frerec.errors import DataError

SEPARATOR = "::"
ARCHIVE_SUFFIX = ".zip"
MEMBER_LIMIT = 2**31
"""Most bytes of an archive's member that are decompressed into memory, 2 GiB."""

IMAGE_MEMBER_LIMIT = 2**29
"""The same for a member whose name is that of one image, 512 MiB: several are read at a time. It is
more than the pixel limit's worth of uncompressed 16-bit colour."""

_IMAGE_SUFFIXES = ("", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom")
_OPEN_ARCHIVES = 8
_BLOCK = 2**20
_SMALL_BLOCK = 2**12
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions of which `zipfile` never unpacks more than it is asked for; of the others, all that
the block's worth of compressed bytes unpacks to."""


@dataclass(frozen=True)
class Blob:
    """One file's bytes, on disk or as a member of a zip archive.

    Attributes:
        path: the file on disk, which is the archive where there is a member.
        member: the archive's member, "" for a plain file.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """As messages and manifests write it."""
        return f"{self.path}{SEPARATOR}{self.member}" if self.member else str(self.path)

    @property
    def filename(self) -> str:
        """The last part of the name, with its suffix."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    def exists(self) -> bool:
        """Whether there is such a file, or such a member."""
        if not self.path.is_file():
            return False
        return not self.member or self.member in open_archive(self.path).NameToInfo

    def size(self) -> int:
        """Bytes, decompressed."""
        return self._info().file_size if self.member else self.path.stat().st_size

    def stamp(self) -> tuple[str, int, int, str]:
        """Changes whenever the file on disk is written: path, size, time of change, member.

        Raises:
            DataError: no such file.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            raise DataError(f"{self.path}: no such file") from None
        # The second time is the system's own: tools that restore the first one cannot set it.
        changed = stat.st_mtime_ns + stat.st_ctime_ns
        return (str(self.path), stat.st_size, changed, self.member)

    def open(self) -> BinaryIO:
        """The bytes as a seekable stream; a member is decompressed into memory first.

        Raises:
            DataError: no such file or member; a damaged, encrypted or enormous member.
        """
        if self.member:
            return self._decompressed()
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            raise DataError(f"{self.path}: no such file") from None
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None

    def stream(self) -> BinaryIO:
        """The bytes front to back, in bounded memory; errors as `open`, and while reading."""
        if not self.member:
            return self.open()
        try:
            return open_archive(self.path).open(self._info())  # type: ignore[return-value]
        except (zipfile.BadZipFile, RuntimeError, OSError, NotImplementedError) as error:
            raise self._unreadable(error) from None

    def read(self) -> bytes:
        """All bytes; errors as `open`."""
        if self.member:
            return self._decompressed().getvalue()
        with self.open() as file:
            try:
                return file.read()
            except OSError as error:
                raise DataError(f"{self.name}: cannot be read ({error.strerror})") from None

    def sha256(self) -> str:
        """The hash of the bytes, hexadecimal; errors as `open`."""
        digest = hashlib.sha256()
        for block in self._blocks():
            digest.update(block)
        return digest.hexdigest()

    def _info(self) -> zipfile.ZipInfo:
        info = open_archive(self.path).NameToInfo.get(self.member)
        if info is None:
            raise DataError(f"{self.name}: no such member in this archive")
        return info

    def _decompressed(self) -> io.BytesIO:
        """The member's bytes, held once, at their beginning."""
        info = self._info()
        limit = IMAGE_MEMBER_LIMIT if suffix_of(self.member) in _IMAGE_SUFFIXES else MEMBER_LIMIT
        if info.file_size > limit:
            raise DataError(
                f"{self.name}: {info.file_size / 2**20:.0f} MiB when decompressed, more than the "
                f"limit of {limit / 2**20:.0f}; check the archive, or unpack it"
            )
        data = io.BytesIO()
        for block in self._blocks():
            data.write(block)
        data.seek(0)
        return data

    def _blocks(self) -> Iterator[bytes]:
        """The bytes front to back, a block at a time; errors as `open`."""
        plain = not self.member or self._info().compress_type in _BOUNDED
        with self.stream() as file:
            try:
                while block := file.read(_BLOCK if plain else _SMALL_BLOCK):
                    yield block
            except Exception as error:  # zlib.error, lzma.LZMAError, ... have no common base
                raise self._unreadable(error) from None

    def _unreadable(self, error: BaseException) -> DataError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return DataError(
            f"{self.name}: cannot be read ({reason}); replace it, or leave it out with "
            f"data.on_error=skip"
        )


@dataclass(frozen=True)
class Address:
    """A blob, and which of its images where it holds many ("" otherwise)."""

    blob: Blob
    index: str = ""

    @property
    def name(self) -> str:
        """As messages write it."""
        return f"{self.blob.name}{SEPARATOR}{self.index}" if self.index else self.blob.name


def parse_address(root: Path, text: str) -> Address:
    """Take an address apart, relative to a root folder.

    Raises:
        DataError: too many parts, or a part that is absolute or leads out of its folder.
    """
    file, *rest = text.split(SEPARATOR)
    check_relative(file, root)
    member = rest.pop(0) if rest and file.lower().endswith(ARCHIVE_SUFFIX) else ""
    if member:
        check_relative(member, file)
    if len(rest) > 1 or "" in rest:
        raise DataError(
            f"{text}: expected FILE, FILE::INDEX, ZIP::MEMBER or ZIP::MEMBER::INDEX; a name that "
            f"holds {SEPARATOR} cannot be addressed, rename the file or folder"
        )
    if rest and rest[0].lower().endswith(_IMAGE_SUFFIXES[1:]):
        raise unaddressable(text)
    return Address(Blob(Path(root) / file, member), rest[0] if rest else "")


def unaddressable(name: str) -> DataError:
    """The error for a file whose own name, or whose folder's, holds the separator."""
    return DataError(
        f"{name}: a name that holds {SEPARATOR} cannot be addressed; rename the file or folder"
    )


def suffix_of(name: str) -> str:
    """What a name says of its format: its suffix in lower case, "" for none.

    A number after the last dot says nothing: files of DICOM are often named by a UID, 1.2.840.113.
    """
    suffix = PurePosixPath(name).suffix.lower()
    return "" if suffix[1:].isdecimal() else suffix


def without_archive(text: str) -> str:
    """An address as it would be with its archive unpacked in place."""
    file, separator, rest = text.partition(SEPARATOR)
    return rest if separator and file.lower().endswith(ARCHIVE_SUFFIX) else text


def address_of(path: Path | str | Address) -> Address:
    """The address of a file on disk (a path is taken as it is, absolute or not)."""
    return path if isinstance(path, Address) else Address(Blob(Path(path)))


def check_relative(name: str, where: object) -> None:
    """Raise DataError where a name is absolute or leads out of where it belongs."""
    if not (name.startswith("/") or ".." in name or "\\" in name or ":" in name):
        return  # nearly all: taking a name apart costs more than finding a file
    windows = PureWindowsPath(name)
    if PurePosixPath(name).is_absolute() or windows.is_absolute() or windows.drive:
        raise DataError(f"image {name}: absolute path; paths are relative to {where}")
    if ".." in PurePosixPath(name).parts or ".." in windows.parts:
        raise DataError(f"image {name}: '..' may not lead out of {where}")


_archives: "OrderedDict[tuple[str, int, int], zipfile.ZipFile]" = OrderedDict()
_archives_lock = threading.Lock()


def open_archive(path: Path) -> zipfile.ZipFile:
    """An archive, open for reading from any thread; the last few stay open.

    Raises:
        DataError: missing, or no zip archive.
    """
    try:
        stat = path.stat()
        key = (f"{os.getpid()}:{path}", stat.st_size, stat.st_mtime_ns)
        with _archives_lock:
            if key not in _archives:
                _archives[key] = zipfile.ZipFile(path)
            _archives.move_to_end(key)
            while len(_archives) > _OPEN_ARCHIVES:
                _archives.popitem(last=False)
            return _archives[key]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: cannot be read as a zip archive ({reason})") from None
