"""The tables of the report, each as text for a reader and as numbers for a program."""

from collections.abc import Sequence

import pandas as pd

from frerec.evaluation.statistics import Estimate, mean_interval
from frerec.report.comparisons import Comparison, Group, compare, describe, groups
from frerec.report.context_tables import fidelity_table, sample_table
from frerec.report.published import CLASSIFIERS, PublishedAUC, lookup
from frerec.report.quality_table import quality_table
from frerec.report.run import EXCLUDED, METRICS, TRAINING, Cell, Run
from frerec.report.tabular import EMPTY, Row, Table, estimate, fixed, p_text, signed
from frerec.report.training_table import training_table

_METRIC_TITLES = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "brier": "Brier",
}


def all_tables(run: Run) -> list[Table]:
    """Every table of a run in the order of the report; those that have nothing are left out."""
    tables = [
        main_table(run),
        comparison_table(run),
        training_table(run),
        quality_table(run),
        sample_table(run),
        fidelity_table(run),
        unfinished_table(run),
    ]
    required = {"table", "comparisons"}
    return [table for table in tables if table.rows or table.key in required]


def main_table(run: Run) -> Table:
    """Classifier x arm: test metrics over the seeds, the paper's AUC beside."""
    blocks = groups(run)
    with_paper = any(block.published for block in blocks)
    columns = ["Arm", "Seeds", "AUC [95\u00a0%\u00a0interval]"]
    columns += ["Paper's AUC", "Ours − paper's"] if with_paper else []
    columns += list(_METRIC_TITLES.values())
    rows, records = [], []
    other_classifier = False
    for block in blocks:
        for arm, cells in block.arms.items():
            done = block.finished(arm)
            means = {m: _over_seeds(done, m) for m in METRICS}
            paper = lookup(block.published, arm, block.classifier)
            other_classifier |= paper is not None and paper.auc is None
            gap = _gap(means["auc"], paper)
            text = [arm, f"{len(done)} of {len(cells)}", estimate(means["auc"])]
            text += [_paper_text(paper), signed(gap)] if with_paper else []
            text += [fixed(e.mean if (e := means[m]) else None) for m in _METRIC_TITLES]
            rows.append(Row(block.title, tuple(text)))
            records.append(_main_record(block, arm, cells, means, paper, gap))
    notes = [f"{arm}: {describe(arm)}." for arm in dict.fromkeys(row.cells[0] for row in rows)]
    if other_classifier:
        notes.append(
            "† The paper has no such classifier: the range over its DenseNet, ResNet50 and "
            "ViT-B/16 stands there for orientation, and no difference is formed."
        )
    return Table(
        key="table",
        title="Main table",
        caption="Test results on real images: mean over the seeds, for AUC with its 95 % "
        "Student-t interval. The best checkpoint was chosen by validation AUC.",
        group_title="Classifier",
        columns=tuple(columns),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=tuple(notes),
    )


def _over_seeds(cells: Sequence[Cell], metric: str) -> Estimate | None:
    return mean_interval([cell.test[metric] for cell in cells]) if cells else None


def _gap(ours: Estimate | None, paper: PublishedAUC | None) -> float | None:
    if ours is None or paper is None or paper.auc is None:
        return None
    return ours.mean - paper.auc


def _paper_text(paper: PublishedAUC | None) -> str:
    if paper is None:
        return EMPTY
    if paper.auc is not None:
        return f"{fixed(paper.auc)} ({paper.classifier})"
    values = paper.by_classifier.values()
    return f"{fixed(min(values))} to {fixed(max(values))} †"


def _main_record(
    block: Group,
    arm: str,
    cells: Sequence[Cell],
    means: dict[str, Estimate | None],
    paper: PublishedAUC | None,
    gap: float | None,
) -> dict[str, object]:
    record: dict[str, object] = {
        **block.axes,
        "arm": arm,
        "seeds_finished": len(block.finished(arm)),
        "seeds_planned": len(cells),
    }
    for metric, value in means.items():
        record[f"{metric}_mean"] = value.mean if value else None
        record[f"{metric}_low"] = value.low if value else None
        record[f"{metric}_high"] = value.high if value else None
    record["paper_classifier"] = paper.classifier if paper else None
    record["paper_auc"] = paper.auc if paper else None
    record["difference_to_paper"] = gap
    for name in CLASSIFIERS:
        key = "paper_" + name.lower().replace("/", "").replace("-", "_")
        record[key] = paper.by_classifier[name] if paper else None
    return record


def comparison_table(run: Run) -> Table:
    """The paired comparisons between arms, Holm-corrected over all of them."""
    found = compare(run)
    tested = sum(comparison.difference.p is not None for comparison in found)
    return Table(
        key="comparisons",
        title="Paired comparisons",
        caption="Difference in test AUC between two arms, paired by seed, with the 95 % "
        "Student-t interval of the mean difference and the paired t test.",
        group_title="Classifier",
        columns=(
            "Comparison",
            "Difference [95\u00a0%\u00a0interval]",
            "Seeds",
            "p",
            "Holm p",
            "In words",
        ),
        rows=tuple(
            Row(
                c.group.title,
                (
                    f"{c.first} − {c.second}",
                    estimate(c.difference.estimate, difference=True),
                    str(c.difference.estimate.n),
                    p_text(c.difference.p),
                    p_text(c.holm_p),
                    c.words,
                ),
            )
            for c in found
        ),
        frame=pd.DataFrame(
            [_comparison_record(c) for c in found], columns=None if found else _NO_COMPARISON
        ),
        notes=_comparison_notes(len(found), tested),
        wordy=(0, 5),
    )


def _comparison_notes(found: int, tested: int) -> tuple[str, ...]:
    if not found:
        return ("No two arms share a finished seed yet.",)
    if not tested:
        return ("Nothing could be tested: a paired test needs two seeds or more.",)
    return (
        f"Holm p: corrected over the {tested} test{'s' if tested > 1 else ''} of this table at a "
        "family-wise level of 0.05; the words follow it. The intervals are not corrected.",
        "No evidence of a difference does not mean equal: the interval says how large a "
        "difference the data still allow.",
    )


# The CSV's header where there is no row to take it from.
_NO_COMPARISON = ("first", "second", "difference", "low", "high", "seeds", "p", "holm_p", "words")


def _comparison_record(c: Comparison) -> dict[str, object]:
    return {
        **c.group.axes,
        "first": c.first,
        "second": c.second,
        "difference": c.difference.estimate.mean,
        "low": c.difference.estimate.low,
        "high": c.difference.estimate.high,
        "seeds": c.difference.estimate.n,
        "p": c.difference.p,
        "holm_p": c.holm_p,
        "words": c.words,
    }


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
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else EMPTY


def results_frame(run: Run) -> pd.DataFrame:
    """A row a cell: axes, state, seconds, test, validation and training values, error."""
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
        record |= {f"training_{key}": cell.training.get(key) for key in (*TRAINING, EXCLUDED)}
        record["error"] = _first_line(cell.error) if cell.error else ""
        records.append(record)
    return pd.DataFrame(records)
