"""The output folder: whose images are there, what a killed run left, what the end writes."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from frerec.bulk import replacing
from frerec.bulk.files import STAGING, list_images, write_csv
from frerec.bulk.images import Failure
from frerec.bulk.ledger import among, compare, entries, read_ledger, replaced, write_ledger
from frerec.bulk.plan import Plan
from frerec.bulk.stamps import source_stamps, stamp_of
from frerec.errors import ConfigError
from frerec.training_tools import write_json

RECORD = "frerec.json"  # which model the images went through
LABELS = "labels.csv"
SKIPPED = "skipped.csv"
_PATIENCE = 10.0  # seconds; the readers of a killed run take some to notice


class Output:
    """A folder of calibrated images, resumed or new.

    An image that is there is taken for done where it was made with this record and of the source
    that the plan names, unchanged since; the table ``frerec.parquet`` says of what each was made.

    Attributes:
        folder: Where it is.
        work: Where the images of :attr:`todo` are to be written: the folder itself or, where some
            replace others, one in it.
        there: How many of the plan's images need not be made.
        todo: The rows that are to be made.
    """

    def __init__(
        self, folder: Path, plan: Plan, record: dict[str, Any], *, overwrite: bool
    ) -> None:
        """Open it; nothing of another model, source or of anybody else is overwritten unasked.

        Args:
            folder: The output.
            plan: What is to be there in the end.
            record: The model and the settings, by which the pixels differ.
            overwrite: Make images again that are there and differ in what they were made of.

        Raises:
            ConfigError: If it is a file, or holds images that differ (unless ``overwrite``).
        """
        self.folder, self._plan, self._record = folder, plan, record
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"output={folder}: is a file; give a folder")
        replacing.finish(folder)
        wanted = entries(
            plan.table["target"], stamp_of(sorted(record.items())), source_stamps(plan)
        )
        ledger = read_ledger(folder)
        images = list(list_images(folder))
        there = among(wanted["target"], images)
        settings, source = compare(ledger, wanted)
        done = pc.and_(there, pc.and_(settings, source))
        differs = pc.and_(there, pc.invert(done))
        if not overwrite:
            self._refuse(images, differs, settings)
        folder.mkdir(parents=True, exist_ok=True)
        for _ in list_images(folder, tidy=True):
            pass
        self._replaces = bool(pc.any(differs).as_py())
        missing = wanted.filter(pc.invert(done))
        if self._replaces:
            made = replacing.waiting(folder, missing)
            replacing.begin(folder, missing)
            done = pc.or_(done, among(wanted["target"], made["target"]))
            self.work = folder / STAGING
        else:
            write_json(folder / RECORD, record)
            write_ledger(folder, replaced(ledger, missing))
            self.work = folder
        self.todo = Plan(plan.root, plan.table.filter(pc.invert(done)), plan.notes)
        self.there = len(plan) - len(self.todo)

    def close(self, failures: Sequence[Failure]) -> None:
        """Put new images in the place of old ones; write the skipped ones and the others' labels.

        What a killed actor left half written goes too: its successor did the image again.

        Args:
            failures: Rows of :attr:`todo` that have no output. Where they have an older one, that
                stays.
        """
        skipped = {self.todo.target(f.row) for f in failures}
        if self._replaces:
            replacing.commit(self.folder, self._record, skipped)
        else:
            replacing.discard(self.folder)  # of a replacement that was given up
        for _ in list_images(self.folder, tidy=True):
            pass
        write_csv(
            self.folder / SKIPPED,
            ("image", "reason"),
            ((self.todo.source(f.row), f.reason) for f in failures),
            wanted=bool(failures),
        )
        targets, labels = self._plan.table["target"], self._plan.table["label"]
        write_csv(
            self.folder / LABELS,
            ("image", "label"),
            (
                (target.as_py(), label.as_py())
                for target, label in zip(targets, labels, strict=True)
                if label.as_py() is not None and target.as_py() not in skipped
            ),
            wanted=self._plan.has_labels(),
        )

    def _refuse(self, images: Sequence[str], differs: Any, same_settings: Any) -> None:
        """Refuse what is there and is not what this run would write."""
        row = pc.index(differs, True).as_py()
        if row >= 0 and same_settings[row].as_py():
            raise ConfigError(
                f"{self.folder / self._plan.target(row)}: was made of another"
                f" {self._plan.source(row)} than is in the input now; give overwrite=true to make"
                " such images again, or another output="
            )
        foreign = self._plan.target(row) if row >= 0 else None
        if foreign is None and _read_record(self.folder / RECORD) != self._record:
            foreign = next(iter(images), None)
        if foreign is not None:
            how = ", ".join(f"{k}={v}" for k, v in self._record.items() if k != "model")
            raise ConfigError(
                f"{self.folder / foreign}: exists and was not made by this model with {how};"
                " give overwrite=true or another output="
            )


@contextmanager
def sole_writer(folder: Path, *, key: str = "output") -> Iterator[None]:
    """Hold a folder's lock: another run's temporary files are not to be taken for leftovers.

    The lock goes with the process, however it ends, and leaves no file. File systems and systems
    without such locks go without.

    Args:
        folder: Made if it does not exist.
        key: The setting that names it, for the error.

    Raises:
        ConfigError: If another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{key}={folder}: is a file; give a folder")
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
                        f"{key}={folder}: another run writes there; wait for it, or choose"
                        f" another {key}="
                    ) from None
                time.sleep(0.1)
            except OSError:
                break
        yield
    finally:
        os.close(handle)


def _read_record(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None  # not ours, or damaged: then nothing there is known to be this model's
