"""The table of what each arm was trained with."""

import re
from collections.abc import Sequence

import pandas as pd

from frerec.report.blocks import groups
from frerec.report.parsing import number
from frerec.report.run import EXCLUDED, TRAINING, Cell, Run
from frerec.report.tabular import EMPTY, Row, Table, thousands

# What a cell may have recorded of itself as a whole -> the column's title.
RECORDED = {
    "wall_seconds": "Wall seconds a cell",
    "peak_memory_mib": "Peak memory, MiB",
    "gpu_peak_memory_mib": "GPU peak memory, MiB",
}
_EQUAL = {"steps": "optimiser steps", "images_seen": "images seen"}
_NAMED = 3  # cells of a warning


def training_table(run: Run) -> Table:
    """What each arm was trained with; warns where the arms did not get the same steps.

    Samples left out as memorised have a column where a cell of the run leaves them out, and so
    have wall time, peak memory and the commit of the code where a cell recorded them.
    """
    rows, records, warnings = [], [], []
    excluding = any(EXCLUDED in cell.training for cell in run.finished)
    recorded = [key for key in RECORDED if any(_value(c, key) is not None for c in run.finished)]
    keys = (*TRAINING, *((EXCLUDED,) if excluding else ()), *recorded)
    commits = any(commit_of(cell) for cell in run.finished)
    for key, what in _EQUAL.items():
        without = list(dict.fromkeys(c.id for c in run.finished if key not in c.training))
        if without:
            more = "" if len(without) <= _NAMED else f" and {len(without) - _NAMED} more"
            warnings.append(
                f"{what}: not recorded by {', '.join(without[:_NAMED])}{more}; whether all arms "
                "had the same is not known."
            )
    for block in groups(run):
        for key, what in _EQUAL.items():
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
            texts = [_span(values) for values in spans.values()]
            made_by = ", ".join(sorted({commit_of(cell) for cell in done} - {""}))
            texts += [_short(made_by)] if commits else []
            rows.append(Row(block.title, (arm, str(len(done)), *texts)))
            record: dict[str, object] = {**block.axes, "arm": arm, "seeds": len(done)}
            for key, values in spans.items():
                record[f"{key}_min"] = values[0] if values else None
                record[f"{key}_max"] = values[-1] if values else None
            record["commits"] = made_by
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
            *(RECORDED[key] for key in recorded),
            *(("Commit",) if commits else ()),
        ),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=() if warnings or not rows else (equal + "number of images (checked).",),
        warnings=tuple(warnings),
        wordy=(0, len(keys) + 2) if commits else (0,),
        section="training",
    )


def commit_of(cell: Cell) -> str:
    """Commit of frerec that ran the cell, "+ changes" where its files were changed; "" if unknown.

    It is the last attempt's, where a cell was resumed.
    """
    commit = cell.environment.get("git_commit")
    if not commit:
        return ""
    return f"{commit} + changes" if cell.environment.get("git_dirty") else str(commit)


def _short(commits: str) -> str:
    """Commits with the ten digits that name them."""
    return re.sub(r"\b([0-9a-f]{10})[0-9a-f]+", r"\1", commits) or EMPTY


def _value(cell: Cell, key: str) -> float | None:
    return number(cell.environment.get(key)) if key in RECORDED else cell.training.get(key)


def _span(values: Sequence[float]) -> str:
    if not values:
        return EMPTY
    low, high = thousands(values[0]), thousands(values[-1])
    return low if low == high else f"{low} to {high}"
