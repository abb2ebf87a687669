"""The output folder: whose images are there, what a killed run left, what the end writes."""

import csv
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frerec.bulk.images import Failure
from frerec.bulk.plan import Plan
from frerec.errors import ConfigError, DataError
from frerec.training_tools import write_json

RECORD = "frerec.json"  # which model the images went through
LABELS = "labels.csv"
SKIPPED = "skipped.csv"
_PARTIAL = re.compile(
    r"\.png\.[0-9a-f]{8}\.partial$|^(frerec\.json|(labels|skipped)\.csv)\..*\.partial$"
)
_PATIENCE = 10.0  # seconds; the readers of a killed run take some to notice


class Output:
    """A folder of calibrated images, resumed or new.

    Attributes:
        folder: Where it is.
        there: How many of the plan's images it had already.
        todo: The rows that are missing.
    """

    def __init__(
        self, folder: Path, plan: Plan, record: dict[str, Any], *, overwrite: bool
    ) -> None:
        """Open it; nothing of another model or of anybody else is overwritten unasked.

        Raises:
            ConfigError: If it is a file, or holds PNG files that were not made with this record.
        """
        self.folder, self._plan, self._record = folder, plan, record
        path = folder / RECORD
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"output={folder}: is a file; give a folder")
        same = path.is_file() and _read_record(path) == record
        if not same and not overwrite:
            foreign = next((name for name in _files(folder) if name.endswith(".png")), None)
            if foreign is not None:
                how = ", ".join(f"{k}={v}" for k, v in record.items() if k != "model")
                raise ConfigError(
                    f"{folder / foreign}: exists and was not made by this model with {how};"
                    " give overwrite=true or another output="
                )
        folder.mkdir(parents=True, exist_ok=True)
        # While images are being replaced, those that are there are of unknown origin.
        write_json(path, {"replacing": record} if overwrite else record)
        done = list(self._finished())
        self.todo = plan if overwrite else plan.without(done)
        self.there = len(plan) - len(self.todo)

    def close(self, failures: Sequence[Failure]) -> None:
        """Write the record, the skipped images and the labels of the others.

        What a killed actor left half written goes too: its successor did the image again.

        Args:
            failures: Rows of :attr:`todo` that have no output.
        """
        for _ in self._finished():
            pass
        skipped = {self.todo.target(f.row) for f in failures}
        _write_table(
            self.folder / SKIPPED,
            ("image", "reason"),
            ((self.todo.source(f.row), f.reason) for f in failures),
            wanted=bool(failures),
        )
        targets, labels = self._plan.table["target"], self._plan.table["label"]
        _write_table(
            self.folder / LABELS,
            ("image", "label"),
            (
                (target.as_py(), label.as_py())
                for target, label in zip(targets, labels, strict=True)
                if label.as_py() is not None and target.as_py() not in skipped
            ),
            wanted=self._plan.has_labels(),
        )
        write_json(self.folder / RECORD, self._record)

    def _finished(self) -> Iterator[str]:
        """Names of the PNG files; temporary ones are removed on the way."""
        for name in _files(self.folder):
            if _PARTIAL.search(name.rpartition("/")[2]):
                (self.folder / name).unlink(missing_ok=True)
            elif name.endswith(".png"):
                yield name


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder's lock: another run's temporary files are not to be taken for leftovers.

    The lock goes with the process, however it ends, and leaves no file. File systems and systems
    without such locks go without.

    Raises:
        ConfigError: If another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"output={folder}: is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ConfigError(
                        f"output={folder}: another run writes there; wait for it, or choose"
                        " another output="
                    ) from None
                time.sleep(0.1)
            except OSError:
                break
        yield
    finally:
        os.close(handle)


def _files(folder: Path) -> Iterator[str]:
    """Posix paths of all files below a folder, hidden ones too; links to folders are followed."""
    seen: set[str] = set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner.sort()
        relative = Path(place).relative_to(folder).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        yield from (prefix + name for name in sorted(files))


def _read_record(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None  # not ours, or damaged: then nothing there is known to be this model's


def _write_table(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, wanted: bool
) -> None:
    """A CSV file under a temporary name, then renamed; none at all where it is not wanted."""
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
