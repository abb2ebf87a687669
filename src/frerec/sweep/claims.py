"""Who works on which trial: a claim that ends with its process, however that ends."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout


class Claims(Protocol):
    """Claims of one worker on the trials of a study that workers share."""

    def exclusive(self) -> Any:
        """Context manager: no other worker is in its own at the same time."""

    def claim(self, number: int) -> bool:
        """Take a trial; False where a worker that is alive has it."""

    def release(self, number: int) -> None:
        """Give a trial back; its result is in the study."""


class FileClaims:
    """Locks on files, for a study in a file: the system drops them when a process dies.

    Args:
        folder: beside the study's file, where all its workers can lock files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._held: dict[int, FileLock] = {}

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Waits for the other workers to leave theirs."""
        with FileLock(self.folder / "study.lock"):
            yield

    def claim(self, number: int) -> bool:
        """Lock the trial's file."""
        lock = FileLock(self._file(number))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._held[number] = lock
        return True

    def release(self, number: int) -> None:
        """Unlock the trial's file, and remove it: nobody claims a trial that is done."""
        self._held.pop(number).release()
        self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"trial-{number}.lock"


class PostgresClaims:
    """Advisory locks of a PostgreSQL session: the server drops them when the session ends.

    They need a connection of their own, so no pooler that shares sessions between clients. A
    machine that vanishes without a word is noticed after about a minute.

    Args:
        engine: SQLAlchemy's, of the study's database.
        study: the study's name.
    """

    def __init__(self, engine: Any, study: str) -> None:
        from sqlalchemy import text

        self._text = text
        self._space = zlib.crc32(study.encode()) - 2**31  # PostgreSQL's int4
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        for name, value in (("idle", 30), ("interval", 10), ("count", 3)):
            self._connection.execute(text(f"SET tcp_keepalives_{name} = {value}"))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Waits for the other workers to leave theirs."""
        self._call("pg_advisory_lock", 0)
        try:
            yield
        finally:
            self._call("pg_advisory_unlock", 0)

    def claim(self, number: int) -> bool:
        """Take the trial's advisory lock."""
        return bool(self._call("pg_try_advisory_lock", number + 1))

    def release(self, number: int) -> None:
        """Give the trial's advisory lock back."""
        self._call("pg_advisory_unlock", number + 1)

    def _call(self, function: str, key: int) -> Any:
        query = self._text(f"SELECT {function}(:space, :key)")
        return self._connection.execute(query, {"space": self._space, "key": key}).scalar()
