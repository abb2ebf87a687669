"""What the tracker is told of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from omegaconf import OmegaConf
from torch import nn

from frerec.benchmark.cell_record import cell_name, manifest_table, predictions_table
from frerec.evaluation.predictions import Predictions
from frerec.tracking import TrackedRun, Tracker
from frerec.tracking.environment import provenance
from frerec.tracking.private import public_axes

if TYPE_CHECKING:
    from frerec.benchmark.cell import Cell


@contextmanager
def tracked_cell(tracker: Tracker, cell: Cell, directory: Path, group: str) -> Iterator[TrackedRun]:
    """The cell's run: its configuration, axes and origin, tagged with data set, arm, classifier.

    The manifest is not in it: it is the same in all cells, and goes with the report's run.
    """
    axes = {k: v for k, v in public_axes(cell.axes).items() if v != ""}
    with tracker.run(
        cell_name({**cell.axes, **axes}),
        group=group,
        cell_id=cell.id,
        config={
            "cell": cell.id,
            **axes,
            "environment": provenance(),
            "config": OmegaConf.to_container(cell.config, resolve=True),
        },
        directory=directory,
        tags=[str(axes[axis]) for axis in ("data", "arm", "classifier")],
    ) as run:
        yield run


def public_manifests(cells: Iterable[Cell]) -> dict[str, pd.DataFrame]:
    """Which images each data set of the cells has, by its name, as a tracker may have it."""
    found: dict[str, pd.DataFrame] = {}
    for cell in cells:
        name = str(cell.axes["data"])
        if name not in found:
            found[name] = manifest_table(cell.stages.data.manifest)
    return found


def track_results(
    run: TrackedRun,
    cell: Cell,
    made: Mapping[str, Predictions],
    scores: Mapping[str, Mapping[str, float]],
    best: nn.Module,
) -> None:
    """The cell's metrics as the run's summary, its predictions by row number, its best weights."""
    run.summary({f"test/{k}": v for k, v in scores.get("test", {}).items()})
    run.summary({f"best_val/{k}": v for k, v in scores["val"].items()})
    rows = {split: cell.stages.data.rows(split) for split in made}
    run.table("predictions", predictions_table(made, rows))
    run.model(f"classifier-{cell.id}", best.state_dict)
