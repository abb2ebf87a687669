"""Runs of their own for the stages before a cell: the generator's training, the calibrator's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frerec.config import plain
from frerec.tracking import TrackedRun, Tracker
from frerec.tracking.environment import provenance


@dataclass(frozen=True)
class StageTracking:
    """Opens a run for a stage that is being made; cells that find it in the store open none.

    Attributes:
        tracker: The benchmark's.
        group: The benchmark's name.
        folder: Where the tracker's local files of stages lie.
    """

    tracker: Tracker
    group: str
    folder: Path

    @contextmanager
    def run(self, job_type: str, key: str, config: Any) -> Iterator[TrackedRun]:
        """A run of the ``generator`` or ``calibrator`` with this key."""
        settings = plain(config)
        name = settings.get("name") or str(settings.get("_target_")).rpartition(".")[2]
        with self.tracker.run(
            f"{job_type} {name}",
            group=self.group,
            cell_id=f"{job_type}-{key}",
            config={job_type: settings, "environment": provenance()},
            directory=self.folder / f"{job_type}-{key}",
            job_type=job_type,
            tags=[name],
        ) as run:
            yield run


@contextmanager
def tracked_stage(
    track: StageTracking | None, job_type: str, key: str, config: Any
) -> Iterator[TrackedRun]:
    """A run of a stage that is trained; one that keeps nothing where nobody asked."""
    if track is None or "training" not in config:
        yield TrackedRun()
        return
    with track.run(job_type, key, config) as run:
        yield run


def replay(run: TrackedRun, folder: Path) -> None:
    """Tell a run the numbers that a training left in ``log.jsonl``, or in one of each fold."""
    for file in sorted(folder.rglob("log.jsonl")):
        fold = file.parent.relative_to(folder).as_posix()
        prefix = "" if fold == "." else f"{fold}/"
        for line in file.read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            step = values.pop("step")
            values.pop("time", None)
            found = {f"{prefix}{k}": float(v) for k, v in values.items() if v is not None}
            run.metrics(found, step)
