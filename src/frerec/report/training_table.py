"""The table of what each arm was trained with."""

from collections.abc import Sequence

import pandas as pd

from frerec.report.blocks import groups
from frerec.report.parsing import number
from frerec.report.run import EXCLUDED, TRAINING, Cell, Run
from frerec.report.tabular import EMPTY, Row, Table, thousands

# What a cell may have recorded of itself as a whole -> the column's title.
_RECORDED = {"wall_seconds": "Wall seconds a cell", "peak_memory_mib": "Peak memory, MiB"}


def training_table(run: Run) -> Table:
    """What each arm was trained with; warns where the arms did not get the same steps.

    Samples left out as memorised have a column where a cell of the run leaves them out, and so
    have wall time and peak memory where a cell recorded them.
    """
    rows, records, warnings = [], [], []
    excluding = any(EXCLUDED in cell.training for cell in run.finished)
    recorded = [key for key in _RECORDED if any(_value(c, key) is not None for c in run.finished)]
    keys = (*TRAINING, *((EXCLUDED,) if excluding else ()), *recorded)
    for block in groups(run):
        for key, what in (("steps", "optimiser steps"), ("images_seen", "images seen")):
            by_arm = {
                arm: sorted({c.training[key] for c in block.finished(arm) if key in c.training})
                for arm in block.arms
            }
            if len({value for values in by_arm.values() for value in values}) > 1:
                listed = "; ".join(f"{a} {_span(v)}" for a, v in by_arm.items() if v)
                warnings.append(f"{block.title}: the {what} are not equal: {listed}.")
        for arm in block.arms:
            done = block.finished(arm)
            if not done:
                continue
            spans = {
                key: sorted({v for c in done if (v := _value(c, key)) is not None}) for key in keys
            }
            rows.append(
                Row(block.title, (arm, str(len(done)), *(_span(v) for v in spans.values())))
            )
            record: dict[str, object] = {**block.axes, "arm": arm, "seeds": len(done)}
            for key, values in spans.items():
                record[f"{key}_min"] = values[0] if values else None
                record[f"{key}_max"] = values[-1] if values else None
            records.append(record)
    equal = "All arms of a classifier took the same number of optimiser steps and saw the same "
    return Table(
        key="training",
        title="Training",
        caption="What each arm was trained with; a range where the seeds differ.",
        group_title="Classifier",
        columns=(
            "Arm",
            "Seeds",
            "Optimiser steps",
            "Images seen",
            "Best step",
            "Real images",
            "Synthetic images",
            "Seconds a cell",
            *(("Left out as memorised",) if excluding else ()),
            *(_RECORDED[key] for key in recorded),
        ),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=() if warnings or not rows else (equal + "number of images (checked).",),
        warnings=tuple(warnings),
        section="training",
    )


def _value(cell: Cell, key: str) -> float | None:
    return number(cell.environment.get(key)) if key in _RECORDED else cell.training.get(key)


def _span(values: Sequence[float]) -> str:
    if not values:
        return EMPTY
    low, high = thousands(values[0]), thousands(values[-1])
    return low if low == high else f"{low} to {high}"
