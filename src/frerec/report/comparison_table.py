"""The table of the paired comparisons: over seeds, over patients, over both, and in words."""

from collections.abc import Sequence

import pandas as pd

from frerec.evaluation.bootstrap import Interval
from frerec.evaluation.effect_size import Effect
from frerec.report.comparisons import AXES_FAMILY, Comparison, compare
from frerec.report.run import Run
from frerec.report.tabular import EMPTY, Row, Table, estimate, fixed, p_text, signed

_MARKS = {"primary": "", "controls": " ‡", AXES_FAMILY: " §"}  # of the families
# The CSV's header where there is no row to take it from.
_HEADER = (
    "family",
    "corrected_with",
    "first",
    "second",
    "difference",
    "low",
    "high",
    "seeds",
    "both_low",
    "both_high",
    "patients_low",
    "patients_high",
    "effect",
    "effect_low",
    "effect_high",
    "p_seeds",
    "p_patients",
    "p",
    "holm_p",
    "words",
)


def comparison_table(run: Run) -> Table:
    """The paired comparisons between arms, Holm-corrected over each family of them."""
    found = compare(run)
    return Table(
        key="comparisons",
        title="Paired comparisons",
        caption="Difference in test AUC between two arms on the same images, paired by seed. "
        "Over seeds: Student-t interval and paired t test. Over patients: DeLong's test, where a "
        "patient has several images Obuchowski's. Over both: hierarchical bootstrap.",
        group_title="Classifier",
        columns=(
            "Comparison",
            "Difference [95\u00a0%\u00a0interval over seeds]",
            "Over seeds and patients",
            "Effect size g [95\u00a0%\u00a0interval]",
            "Seeds",
            "p over seeds",
            "p over patients",
            "Holm p",
            "In words",
        ),
        rows=tuple(_row(comparison) for comparison in found),
        frame=pd.DataFrame(
            [_record(comparison) for comparison in found], columns=None if found else _HEADER
        ),
        notes=_notes(found),
        wordy=(0, 8),
        section="comparisons",
    )


def _row(c: Comparison) -> Row:
    effect = c.result.effect
    return Row(
        c.group.title,
        (
            f"{c.first} − {c.second}",
            estimate(c.difference.estimate, difference=True),
            _both(c.result.both),
            _effect(effect),
            str(c.difference.estimate.n),
            p_text(c.result.p_seeds),
            p_text(c.result.p_patients),
            p_text(c.holm_p) + ("" if c.holm_p is None else _MARKS[c.corrected_with]),
            c.words,
        ),
    )


def _effect(effect: Effect | None) -> str:
    if effect is None:
        return EMPTY
    known = effect.low is not None and effect.high is not None
    ends = f"{fixed(effect.low, 2)}, {fixed(effect.high, 2)}" if known else EMPTY
    return f"{fixed(effect.g, 2)} [{ends}]"


def _both(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"[{EMPTY}]"
    return f"[{signed(interval.low)}, {signed(interval.high)}]"


def _notes(found: Sequence[Comparison]) -> tuple[str, ...]:
    if not found:
        return ("No two arms share a finished seed yet.",)
    tested = {family: _tests(found, family) for family in _MARKS}
    if not any(tested.values()):
        return (
            "Nothing could be tested over seeds and over patients, so no difference is claimed: "
            "over seeds a test needs two of them or more, over patients two or more of each class.",
        )
    notes = [
        "Holm p: the larger p value of the two tests, so that a difference is claimed only where "
        "it holds over seeds and over patients (an intersection-union test), corrected over the "
        f"{_count(tested['primary'])} of the primary family at a family-wise level of 0.05; the "
        "words follow it. The intervals are not corrected."
    ]
    if tested["controls"]:
        notes.append(
            "‡ A control or an ablation: a secondary family of its own, corrected over its "
            f"{_count(tested['controls'])}."
        )
    if tested[AXES_FAMILY]:
        notes.append(
            "§ At another value of a further axis than the default one (the paper's r and K, or "
            "the first value of the plan): a family of its own, corrected over its "
            f"{_count(tested[AXES_FAMILY])}."
        )
    wide = [f"{c.first} − {c.second}" for c in found if c.claimed and _holds_zero(c.result.both)]
    if wide:
        notes.append(
            f"Read with care: {', '.join(dict.fromkeys(wide))}. The difference holds over seeds "
            "and over patients, but the interval over both at once, the widest, has 0 in it."
        )
    return (
        *notes,
        "No evidence of a difference does not mean equal: the interval says how large a "
        "difference the data still allow.",
        "Effect size: Hedges' g of the paired differences, in standard deviations over the seeds, "
        "with an interval by the noncentral t distribution; with few seeds it says little.",
    )


def _holds_zero(interval: Interval) -> bool:
    low, high = interval.low, interval.high
    return low is not None and high is not None and low < 0 < high


def _tests(found: Sequence[Comparison], family: str) -> int:
    return sum(c.corrected_with == family and c.holm_p is not None for c in found)


def _count(tests: int) -> str:
    return f"{tests} test{'' if tests == 1 else 's'}"


def _record(c: Comparison) -> dict[str, object]:
    estimated, effect, patients = c.difference.estimate, c.result.effect, c.result.patients
    return {
        **c.group.axes,
        "family": c.family,
        "corrected_with": c.corrected_with,
        "first": c.first,
        "second": c.second,
        "difference": estimated.mean,
        "low": estimated.low,
        "high": estimated.high,
        "seeds": estimated.n,
        "both_low": c.result.both.low,
        "both_high": c.result.both.high,
        "patients_low": patients.low,
        "patients_high": patients.high,
        "effect": effect.g if effect else None,
        "effect_low": effect.low if effect else None,
        "effect_high": effect.high if effect else None,
        "p_seeds": c.result.p_seeds,
        "p_patients": c.result.p_patients,
        "p": c.result.p,
        "holm_p": c.holm_p,
        "words": c.words,
    }
