"""What tells whether the file of an image is still the one that it was, without reading it."""

import hashlib
import os
import zipfile
from typing import Any

import pyarrow as pa

from frerec.bulk.plan import Plan
from frerec.data.address import ARCHIVE_SUFFIX, SEPARATOR, open_archive, parse_address


def source_stamps(plan: Plan) -> Any:
    """A number for each row's source, an Arrow array of int64 ``[rows]``.

    It is made of the address below the input, and of the size and the time of change of the file;
    of a zip's member, of its size and CRC instead, which the archive's directory holds. So it stays
    the same where a data set is moved as a whole, and costs one ``stat`` an image [ours]. A file
    that is not there has a stamp too; reading it is what fails.
    """
    of_file = _Stamps(plan)
    return pa.array((of_file(source.as_py()) for source in plan.table["source"]), pa.int64())


def stamp_of(*parts: Any) -> int:
    """64 bits of a hash of some plain values, signed."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


class _Stamps:
    """Remembers the last file, which may hold all images, and every archive's directory."""

    def __init__(self, plan: Plan) -> None:
        self._root = plan.root
        self._last: tuple[str, tuple[int, int] | None] | None = None
        self._archives: dict[str, zipfile.ZipFile] = {}

    def __call__(self, source: str) -> int:
        file, separator, _ = source.partition(SEPARATOR)
        if separator and file.lower().endswith(ARCHIVE_SUFFIX):
            return stamp_of(source, self._member(file, source))
        return stamp_of(source, self._file(file))

    def _file(self, file: str) -> tuple[int, int] | None:
        if self._last is None or self._last[0] != file:
            try:
                stat = os.stat(os.path.join(self._root, file))  # noqa: PTH116, PTH118 - a million
            except OSError:
                self._last = (file, None)
            else:
                self._last = (file, (stat.st_size, stat.st_mtime_ns))
        return self._last[1]

    def _member(self, file: str, source: str) -> tuple[int, int] | None:
        blob = parse_address(self._root, source).blob
        if file not in self._archives:
            self._archives[file] = open_archive(blob.path)
        info = self._archives[file].NameToInfo.get(blob.member)
        return None if info is None else (info.file_size, info.CRC)
