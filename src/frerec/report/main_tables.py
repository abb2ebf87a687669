"""The main table in two forms: AUC of all arms and classifiers, and every metric of each arm."""

from collections.abc import Mapping, Sequence

import pandas as pd

from frerec.evaluation.bootstrap import Interval
from frerec.evaluation.delong import delong_interval
from frerec.evaluation.hierarchical import hierarchical_interval
from frerec.evaluation.metrics import METRICS
from frerec.evaluation.statistics import Estimate, mean_interval
from frerec.report.blocks import Group, axis_titles, describe, groups
from frerec.report.comparisons import claimed_best, compare
from frerec.report.headroom import ROW as HEADROOM
from frerec.report.headroom import Headroom, headroom_notes, headrooms
from frerec.report.published import CLASSIFIERS, PublishedAUC, counterpart, lookup
from frerec.report.run import Cell, Run
from frerec.report.tabular import EMPTY, Row, Table, estimate, fixed, signed

_METRIC_TITLES = {
    "average_precision": "Average precision",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "brier": "Brier",
    "ece": "ECE",
}
_DOUBTS = 5  # cells that are named
_BOLD = (
    "Bold: the highest mean of its block, where every paired comparison of that arm, with the "
    "second highest too, is claimed in its favour."
)
_NOT_BOLD = (
    "Nothing is bold: no arm has the highest mean and all of its paired comparisons, with the "
    "second highest too, claimed in its favour."
)
_WHOLE = (
    "The paper's numbers are of its whole training set; of a smaller one no difference is formed."
)
_NOT_TESTED = "Nothing is bold: no two arms could be tested over seeds and over patients."


def over_seeds(cells: Sequence[Cell], metric: str) -> Estimate | None:
    """Mean and t interval of a test metric over the cells; None without any."""
    return mean_interval([cell.test[metric] for cell in cells]) if cells else None


def overview_table(run: Run) -> Table:
    """Data set x classifier x arm, as the paper's main table: AUC, the paper's, the difference."""
    blocks = groups(run)
    classifiers = list(dict.fromkeys(block.classifier for block in blocks))
    of_paper = any(block.published for block in blocks)
    columns, wanted = ["Arm"], [name for name in CLASSIFIERS if of_paper]
    for classifier in classifiers:
        columns.append(classifier)
        if of_paper and (name := counterpart(classifier)) is not None:
            columns += [f"Paper's {name}", "Ours − paper's"]
            wanted = [other for other in wanted if other != name]
    columns += [f"Paper's {name}" for name in wanted]
    found = headrooms(blocks)
    rows, records = [], []
    for title, members in _by_title(run, blocks).items():
        best = {name: claimed_best(run, block) for name, block in members.items()}
        for arm in dict.fromkeys(arm for block in members.values() for arm in block.arms):
            cells, strong = [arm], []
            for classifier in classifiers:
                block = members.get(classifier)
                mean = over_seeds(block.finished(arm), "auc") if block else None
                strong += [len(cells)] if best.get(classifier) == arm else []
                cells.append(estimate(mean))
                paper = lookup(_published(members), arm, classifier)
                if of_paper and counterpart(classifier) is not None:
                    gap = _gap(mean, paper, block)
                    cells += [fixed(paper.auc if paper else None), signed(gap)]
                if block is not None:
                    record = _overview_record(block, arm, mean, paper)
                    records.append(record | found[block.title].record())
            paper = lookup(_published(members), arm, "")
            cells += [fixed(paper.by_classifier[name] if paper else None) for name in wanted]
            rows.append(Row(title, tuple(cells), tuple(strong)))
        rows += _headroom_row(title, members, classifiers, columns, found)
    return Table(
        key="overview",
        title="AUC by data set, classifier and arm",
        caption="Test AUC: mean over the seeds with its 95 % Student-t interval"
        + (
            "; beside it what the paper printed, and the difference where the classifier is the "
            "same."
            if of_paper
            else "."
        ),
        group_title="Data set",
        columns=tuple(columns),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=(*_of_whole(blocks), *headroom_notes(found), _bold_note(run, rows)),
    )


def _headroom_row(
    title: str,
    members: Mapping[str, Group],
    classifiers: Sequence[str],
    columns: Sequence[str],
    found: Mapping[str, Headroom],
) -> list[Row]:
    """The last row of an overview's block, where the headroom of a classifier is known."""
    known = {name: found[block.title] for name, block in members.items()}
    if all(each.difference is None for each in known.values()):
        return []
    of_classifier = {name: known[name].cell for name in classifiers if name in known}
    return [Row(title, (HEADROOM, *(of_classifier.get(name, EMPTY) for name in columns[1:])))]


def _by_title(run: Run, blocks: Sequence[Group]) -> dict[str, dict[str, Group]]:
    """The blocks by what they share beside the classifier, as text."""
    several = len({block.generator for block in blocks}) > 1
    found: dict[str, dict[str, Group]] = {}
    for block in blocks:
        parts = [block.data or run.dataset]
        parts += [block.generator] if several and block.generator else []
        title = ", ".join([*parts, *axis_titles(block.extra)])
        found.setdefault(title, {})[block.classifier] = block
    return found


def _published(members: Mapping[str, Group]) -> str | None:
    return next(iter(members.values())).published


def _overview_record(
    block: Group, arm: str, mean: Estimate | None, paper: PublishedAUC | None
) -> dict[str, object]:
    return {
        **block.axes,
        "arm": arm,
        "seeds": mean.n if mean else 0,
        "auc": mean.mean if mean else None,
        "low": mean.low if mean else None,
        "high": mean.high if mean else None,
        **_paper_record(paper, _gap(mean, paper, block)),
    }


def main_table(run: Run) -> Table:
    """Classifier x arm: test metrics over the seeds, the paper's AUC beside."""
    blocks = groups(run)
    with_paper = any(block.published for block in blocks)
    columns = ["Arm", "Seeds", "AUC [95\u00a0%\u00a0interval]", "Over seeds and patients"]
    columns += ["Paper's AUC", "Ours − paper's"] if with_paper else []
    columns += list(_METRIC_TITLES.values())
    found = headrooms(blocks)
    rows, records = [], []
    other_classifier = False
    for block in blocks:
        best = claimed_best(run, block)
        for arm, cells in block.arms.items():
            done = block.finished(arm)
            means = {m: over_seeds(done, m) for m in METRICS}
            both, patients = _both(done), _over_patients(done)
            paper = lookup(block.published, arm, block.classifier)
            other_classifier |= paper is not None and paper.auc is None
            gap = _gap(means["auc"], paper, block)
            text = [arm, f"{len(done)} of {len(cells)}", estimate(means["auc"]), _both_text(both)]
            text += [_paper_text(paper), signed(gap)] if with_paper else []
            text += [fixed(e.mean if (e := means[m]) else None) for m in _METRIC_TITLES]
            rows.append(Row(block.title, tuple(text), (2,) if arm == best else ()))
            record: dict[str, object] = {**block.axes, "arm": arm}
            record |= {"seeds_finished": len(done), "seeds_planned": len(cells)}
            record |= _metric_record(means, both, patients) | _paper_record(paper, gap)
            records.append(record | found[block.title].record())
        if (room := found[block.title]).difference is not None:
            text = [HEADROOM, str(room.difference.n), room.cell]
            rows.append(Row(block.title, (*text, *[EMPTY] * (len(columns) - len(text)))))
    arms = dict.fromkeys(arm for block in blocks for arm in block.arms)
    notes = [*(f"{arm}: {describe(arm)}." for arm in arms), *_of_whole(blocks)]
    if other_classifier:
        notes.append(
            "† The paper has no such classifier: the range over its DenseNet, ResNet50 and "
            "ViT-B/16 stands there for orientation, and no difference is formed."
        )
    return Table(
        key="table",
        title="Main table",
        caption="Test results on real images: mean over the seeds, for AUC with its 95 % "
        "Student-t interval and with that of the hierarchical bootstrap over seeds and patients. "
        "The best checkpoint was chosen by validation AUC.",
        group_title="Classifier",
        columns=tuple(columns),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=(*notes, *headroom_notes(found, doubtful_only=True), _bold_note(run, rows)),
        warnings=_warnings(run),
    )


def _of_whole(blocks: Sequence[Group]) -> list[str]:
    """What to say where the paper's numbers stand beside those of fewer training images."""
    fewer = any(block.published and not block.whole for block in blocks)
    return [_WHOLE] if fewer else []


def _bold_note(run: Run, rows: Sequence[Row]) -> str:
    if any(row.strong for row in rows):
        return _BOLD
    return _NOT_BOLD if any(c.holm_p is not None for c in compare(run)) else _NOT_TESTED


def _both(cells: Sequence[Cell]) -> Interval | None:
    by_seed = {cell.seed: cell.predictions["test"] for cell in cells}
    return hierarchical_interval(by_seed) if by_seed else None


def _over_patients(cells: Sequence[Cell]) -> Interval | None:
    return delong_interval([cell.predictions["test"] for cell in cells]) if cells else None


def _both_text(both: Interval | None) -> str:
    if both is None:
        return EMPTY
    if both.low is None or both.high is None:
        return f"[{EMPTY}]"
    return f"[{fixed(both.low)}, {fixed(both.high)}]"


def _gap(ours: Estimate | None, paper: PublishedAUC | None, block: Group | None) -> float | None:
    if ours is None or paper is None or paper.auc is None or block is None or not block.whole:
        return None
    return ours.mean - paper.auc


def _paper_text(paper: PublishedAUC | None) -> str:
    if paper is None:
        return EMPTY
    if paper.auc is not None:
        return f"{fixed(paper.auc)} ({paper.classifier})"
    values = paper.by_classifier.values()
    return f"{fixed(min(values))} to {fixed(max(values))} †"


def _metric_record(
    means: Mapping[str, Estimate | None], both: Interval | None, patients: Interval | None
) -> dict[str, float | None]:
    record: dict[str, float | None] = {}
    for metric, value in means.items():
        record[f"{metric}_mean"] = value.mean if value else None
        record[f"{metric}_low"] = value.low if value else None
        record[f"{metric}_high"] = value.high if value else None
    for name, found in (("both", both), ("patients", patients)):
        record[f"auc_{name}_low"] = found.low if found else None
        record[f"auc_{name}_high"] = found.high if found else None
    return record


def _paper_record(paper: PublishedAUC | None, gap: float | None) -> dict[str, object]:
    record: dict[str, object] = {
        "paper_classifier": paper.classifier if paper else None,
        "paper_auc": paper.auc if paper else None,
        "difference_to_paper": gap,
    }
    for name in CLASSIFIERS:
        key = "paper_" + name.lower().replace("/", "").replace("-", "_")
        record[key] = paper.by_classifier[name] if paper else None
    return record


def _warnings(run: Run) -> tuple[str, ...]:
    """What of the plan was not used, and cells whose record does not agree with predictions."""
    doubtful = {cell.id: cell for cell in run.cells if cell.doubts}
    texts = [
        f"cell {cell.id} ({cell.arm}, {cell.classifier}, seed {cell.seed}): "
        + cell.doubts[0]
        + (f", and {len(cell.doubts) - 1} more" if len(cell.doubts) > 1 else "")
        + "; the tables follow the predictions."
        for cell in list(doubtful.values())[:_DOUBTS]
    ]
    if len(doubtful) > _DOUBTS:
        more = len(doubtful) - _DOUBTS
        subject = "cell disagrees with its" if more == 1 else "cells disagree with their"
        texts.append(f"{more} more {subject} predictions.")
    return (*run.doubts, *texts)
