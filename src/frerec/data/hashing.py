"""What an image's bytes are, so that the same content is known wherever it lies.

Hashing a large data set takes minutes, and every process has to know the hashes. So they are kept,
as build tools keep them, under the file's path, size and time of change: a file that is written
again is hashed again.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from frerec.data.address import SEPARATOR, Address
from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers.npz import row_bytes
from frerec.errors import DataError

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS hashes (path TEXT, size INTEGER, changed INTEGER, part TEXT, "
    "hash TEXT NOT NULL, PRIMARY KEY (path, size, changed, part)) WITHOUT ROWID"
)
_Key = tuple[str, int, int, str]
_KEEP_EVERY = 2000
_T = TypeVar("_T")


def hash_images(
    manifest: Manifest,
    *,
    cache: Path | None = None,
    on_error: str = "raise",
    num_workers: int | None = None,
    progress: bool | None = None,
) -> Manifest:
    """Add the column `hash`, sha256 in hexadecimal.

    Of a file, or a member of a zip archive, it is the hash of its bytes; of a row of an npz array,
    of the row's bytes; of another image in a file of many (a slice, a frame), of the file's hash
    and the position.

    Args:
        manifest: images whose files exist.
        cache: an SQLite file that keeps the hashes; None for none. A cache that cannot be read or
            written is passed over.
        on_error: `skip` gives unreadable files the hash "" instead of raising; decoding names them.
        num_workers: threads.
        progress: show a bar on stderr; None for only on a terminal.

    Raises:
        DataError: a file cannot be read.
    """
    addresses = manifest.addresses
    tasks: dict[_Key, Address] = {}
    keys = []
    for address in addresses:
        unit = address if _is_array_row(address) else Address(address.blob)
        path, size, changed, member = unit.blob.stamp()
        key = (path, size, changed, f"{member}{SEPARATOR}{unit.index}")
        tasks.setdefault(key, unit)
        keys.append(key)
    with _opened(cache) as store:
        known = _known(store, list(tasks))
        absent = [key for key in tasks if key not in known]
        digest = partial(_digest, tasks, on_error)
        results = in_threads(
            digest,
            absent,
            total=len(absent),
            what="hashing files",
            num_workers=num_workers,
            progress=progress if absent else False,
        )
        for some in _batches(zip(absent, results, strict=True), _KEEP_EVERY):
            _remember(store, dict(some))
            known |= dict(some)
    hashes = [
        _of_part(known[key], address.index)
        if address.index and not _is_array_row(address)
        else known[key]
        for key, address in zip(keys, addresses, strict=True)
    ]
    return manifest.with_columns(hash=hashes)


def _is_array_row(address: Address) -> bool:
    return bool(address.index) and address.blob.filename.lower().endswith(".npz")


def _digest(tasks: dict[_Key, Address], on_error: str, key: _Key) -> str:
    address = tasks[key]
    try:
        if address.index:
            return hashlib.sha256(row_bytes(address.blob, address.index)).hexdigest()
        return address.blob.sha256()
    except DataError:
        if on_error == "raise":
            raise
        return ""


def _of_part(digest: str, index: str) -> str:
    return "" if not digest else hashlib.sha256(f"{digest}{SEPARATOR}{index}".encode()).hexdigest()


@contextlib.contextmanager
def _opened(cache: Path | None) -> Iterator[sqlite3.Connection | None]:
    store = None
    if cache is not None:
        with contextlib.suppress(sqlite3.Error, OSError):
            cache.parent.mkdir(parents=True, exist_ok=True)
            store = sqlite3.connect(cache, timeout=30)
            store.execute(_SCHEMA)
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def _known(store: sqlite3.Connection | None, keys: list[_Key]) -> dict[_Key, str]:
    found: dict[_Key, str] = {}
    if store is not None:
        question = "SELECT hash FROM hashes WHERE path=? AND size=? AND changed=? AND part=?"
        with contextlib.suppress(sqlite3.Error):
            for key in keys:
                row = store.execute(question, key).fetchone()
                if row:
                    found[key] = row[0]
    return found


def _remember(store: sqlite3.Connection | None, hashes: dict[_Key, str]) -> None:
    if store is not None and hashes:
        with contextlib.suppress(sqlite3.Error), store:
            store.executemany(
                "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?)",
                [(*key, digest) for key, digest in hashes.items() if digest],
            )


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
