"""What an image's bytes are, so that the same content is known wherever it lies.

Hashing a large data set takes minutes, and every process has to know the hashes. So they are kept,
as build tools keep them, under the file's path, size and time of change: a file that is written
again is hashed again.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from frerec.data.address import SEPARATOR, Address
from frerec.data.kept_texts import kept_texts, key_of
from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers.npz import row_bytes
from frerec.errors import DataError

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
    with kept_texts(cache) as store:
        names = {key: key_of(*key) for key in tasks}
        kept = store.read(list(names.values()))
        known = {key: kept[name] for key, name in names.items() if name in kept}
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
            store.write({names[key]: digest for key, digest in some if digest})
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


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
