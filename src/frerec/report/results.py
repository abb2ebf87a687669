"""The results of a run cell by cell, and the cells that have none."""

import pandas as pd

from frerec.evaluation.metrics import METRICS
from frerec.report.cells import EXCLUDED, TRAINING, WITHHELD
from frerec.report.parsing import number
from frerec.report.run import Run
from frerec.report.tabular import EMPTY, Row, Table
from frerec.report.training_table import RECORDED, commit_of


def unfinished_table(run: Run) -> Table:
    """The cells that have no result, with their errors."""
    cells = list({cell.id: cell for cell in run.cells if not cell.finished}.values())
    return Table(
        key="unfinished",
        title="Cells without a result",
        caption="Failed, running and pending cells; none of them is in the tables above.",
        group_title="",
        columns=("Cell", "Arm", "Classifier", "Seed", "State", "Error"),
        rows=tuple(
            Row("", (c.id, c.arm, c.classifier, str(c.seed), c.state, _first_line(c.error)))
            for c in cells
        ),
        frame=pd.DataFrame(
            [
                {
                    "id": c.id,
                    "arm": c.arm,
                    "classifier": c.classifier,
                    "seed": c.seed,
                    "state": c.state,
                    "error": _first_line(c.error),
                }
                for c in cells
            ]
        ),
        notes=(
            "Run the same benchmark command again: finished cells are kept, the others are run.",
        ),
        wordy=(0, 1, 2, 4, 5),
        section="unfinished",
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else EMPTY


def results_frame(run: Run) -> pd.DataFrame:
    """A row a cell: axes, state, seconds, results, training, time, memory, commit, error."""
    records = []
    for cell in run.cells:
        record: dict[str, object] = {
            "id": cell.id,
            "data": cell.data,
            "generator": cell.generator,
            "arm": cell.arm,
            "classifier": cell.classifier,
            "seed": cell.seed,
            **dict(cell.extra),
            "state": cell.state,
            "seconds": cell.seconds,
        }
        record |= {f"test_{m}": cell.test.get(m) for m in METRICS}
        record |= {f"val_{m}": cell.val.get(m) for m in METRICS}
        record |= {
            f"training_{key}": cell.training.get(key) for key in (*TRAINING, EXCLUDED, WITHHELD)
        }
        record |= {key: number(cell.environment.get(key)) for key in RECORDED}
        record["commit"] = commit_of(cell)
        record["error"] = _first_line(cell.error) if cell.error else ""
        records.append(record)
    return pd.DataFrame(records)
