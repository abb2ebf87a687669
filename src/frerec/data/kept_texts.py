"""Small texts that are found out once and kept in an SQLite file, which may be thrown away."""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_SCHEMA = "CREATE TABLE IF NOT EXISTS texts (key TEXT PRIMARY KEY, text TEXT NOT NULL)"
_ASK = "SELECT text FROM texts WHERE key = ?"
_KEEP = "INSERT OR REPLACE INTO texts VALUES (?, ?)"


def key_of(*parts: Any) -> str:
    """What a text is kept under: a hash of whatever it depends on, plain values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class KeptTexts:
    """Texts by key. A file that cannot be read or written is passed over.

    Args:
        store: the open file; None keeps nothing.
    """

    def __init__(self, store: sqlite3.Connection | None) -> None:
        self._store = store

    def read(self, keys: Sequence[str]) -> dict[str, str]:
        """Those of the texts that are kept."""
        found: dict[str, str] = {}
        if self._store is not None:
            with contextlib.suppress(sqlite3.Error):
                for key in keys:
                    row = self._store.execute(_ASK, (key,)).fetchone()
                    if row and isinstance(row[0], str):
                        found[key] = row[0]
        return found

    def write(self, texts: Mapping[str, str]) -> None:
        """Keep texts, at once or not at all."""
        if self._store is not None and texts:
            with contextlib.suppress(sqlite3.Error), self._store:
                self._store.executemany(_KEEP, list(texts.items()))


@contextlib.contextmanager
def kept_texts(path: Path | None) -> Iterator[KeptTexts]:
    """Open a file of texts, or none, for use by one thread."""
    store = None
    if path is not None:
        with contextlib.suppress(sqlite3.Error, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            store = sqlite3.connect(path, timeout=30)
            store.execute(_SCHEMA)
    try:
        yield KeptTexts(store)
    finally:
        if store is not None:
            store.close()
