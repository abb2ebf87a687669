"""What the tracker is told of a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf
from torch import nn

from frerec.benchmark.cell_record import cell_name, manifest_table, predictions_table
from frerec.evaluation.predictions import Predictions
from frerec.tracking import TrackedRun, Tracker
from frerec.tracking.private import public_axes

if TYPE_CHECKING:
    from frerec.benchmark.cell import Cell


@contextmanager
def tracked_cell(tracker: Tracker, cell: Cell, directory: Path, group: str) -> Iterator[TrackedRun]:
    """The cell's run: its configuration and axes, tagged with data set, arm and classifier."""
    axes = {k: v for k, v in public_axes(cell.axes).items() if v != ""}
    with tracker.run(
        cell_name({**cell.axes, **axes}),
        group=group,
        cell_id=cell.id,
        config={
            "cell": cell.id,
            **axes,
            "config": OmegaConf.to_container(cell.config, resolve=True),
        },
        directory=directory,
        tags=[str(axes[axis]) for axis in ("data", "arm", "classifier")],
    ) as run:
        run.manifest(str(cell.axes["data"]), manifest_table(cell.stages.data.manifest))
        yield run


def track_results(
    run: TrackedRun,
    cell: Cell,
    made: Mapping[str, Predictions],
    scores: Mapping[str, Mapping[str, float]],
    best: nn.Module,
) -> None:
    """The cell's metrics as the run's summary, its predictions by row number, its best weights."""
    run.summary({f"test/{k}": v for k, v in scores["test"].items()})
    run.summary({f"best_val/{k}": v for k, v in scores["val"].items()})
    rows = {split: cell.stages.data.rows(split) for split in made}
    run.table("predictions", predictions_table(made, rows))
    run.model(f"classifier-{cell.id}", best.state_dict)
