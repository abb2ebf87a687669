"""What was decoded so far, a line a row, so that an interrupted pass can go on."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO


class Journal:
    """Facts by row of the stack, appended as they become known.

    A row is noted once its pixels were handed to the system. The last line of a journal whose
    writer was killed may be torn; it is passed over, and the row is decoded again.

    Args:
        path: the file; None keeps nothing.
        subject: what the rows are rows of; a journal of something else is begun anew.
    """

    def __init__(self, path: Path | None, subject: str) -> None:
        self.path = path
        self.subject = subject
        self.facts: dict[int, dict[str, Any]] = {}
        self._file: TextIO | None = None
        if path is not None and path.is_file():
            self._read(path.read_text(encoding="utf-8").splitlines())

    def _read(self, lines: list[str]) -> None:
        if lines[:1] != [json.dumps(self.subject)]:
            return
        for line in lines[1:]:
            try:
                row, facts = json.loads(line)
            except ValueError:
                return
            self.facts[int(row)] = facts

    @property
    def done(self) -> list[int]:
        """The rows that are noted."""
        return sorted(self.facts)

    def add(self, row: int, facts: dict[str, Any]) -> None:
        """Note a row."""
        if self._file is not None:
            self._file.write(json.dumps([row, facts]) + "\n")
            self._file.flush()

    def remove(self) -> None:
        """Forget everything, once the stack is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Journal":
        if self.path is not None:
            self._file = self.path.open("w", encoding="utf-8")
            self._file.write(json.dumps(self.subject) + "\n")
            for row, facts in self.facts.items():
                self.add(row, facts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
