"""The paired comparisons between arms, in three families, each corrected by Holm."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from frerec.errors import DataError
from frerec.evaluation.comparison import ALPHA, ArmComparison, compare_arms, verdict
from frerec.evaluation.predictions import Predictions
from frerec.evaluation.statistics import PairedDifference, holm
from frerec.report.blocks import ARMS, Group, arm_order, describe, groups, summary, varied
from frerec.report.headroom import CEILING
from frerec.report.run import Cell, Run
from frerec.report.tabular import NO_BREAK, p_text, signed

__all__ = [
    "ARMS",
    "CONTROLS",
    "FAMILIES",
    "PAIRS",
    "Comparison",
    "Group",
    "arm_order",
    "claimed_best",
    "compare",
    "describe",
    "groups",
    "summary",
]

# (first, second) and what first - second tells: what a run is made to find out.
PAIRS: Mapping[tuple[str, str], str] = {
    ("gda", "raw"): "Do synthetic images help?",
    ("frerec", "gda"): "Does FreRec help when synthetic images are added?",
    ("frerec", "raw"): "Do synthetic images and FreRec together help?",
    ("frerec", "raw_frerec"): "With FreRec everywhere, do synthetic images help?",
    ("raw_frerec", "raw"): "Does FreRec help by itself, without any synthetic image?",
}
# Why it is so [ours]: few, because each one more costs all of them power.
CONTROLS: Mapping[tuple[str, str], str] = {
    ("frerec", "gda_radial"): "Does FreRec do more than one gain curve over the frequency?",
    ("frerec", "frerec_synthetic_only"): "Does it help to calibrate the real images too?",
    ("shr", "gda"): "Does SHR alone help?",
    ("rhm_no_fesa", "gda"): "Does RHM without FESA help?",
    ("rhm", "gda"): "Does RHM alone help?",
    ("ceiling", "raw"): "Would more real images help, is there room at all?",
}
FAMILIES: Mapping[str, Mapping[tuple[str, str], str]] = {"primary": PAIRS, "controls": CONTROLS}
# [ours] What a run tests at other settings than its default one (of SHR's r and K, of how many
# samples) is corrected by itself: to look further must not cost the main question its power.
AXES_FAMILY = "axes"


@dataclass(frozen=True)
class Comparison:
    """first - second in test AUC on the same images, paired by seed.

    `family` says what its question is of, `corrected_with` the family that Holm's correction was
    made over: the same in the default setting of the further axes, AXES_FAMILY at any other.
    `cells` are the ids of what was compared. `holm_p` is the larger p value, over seeds and over
    patients, corrected over the comparisons of that family in all of the run.
    """

    group: Group
    family: str
    corrected_with: str
    cells: frozenset[str]
    first: str
    second: str
    result: ArmComparison
    holm_p: float | None

    @property
    def difference(self) -> PairedDifference:
        """Mean difference with interval and test over the seeds."""
        return self.result.seeds

    @property
    def claimed(self) -> bool:
        """True where one arm is said to be higher than the other."""
        return self.holm_p is not None and self.holm_p < ALPHA

    @property
    def words(self) -> str:
        """What it shows."""
        return verdict(self.result, self.holm_p, first=self.first, second=self.second)

    @property
    def question(self) -> str:
        """What it was made for."""
        return FAMILIES[self.family][self.first, self.second]

    @property
    def sentence(self) -> str:
        """The whole finding in one sentence."""
        estimate, both = self.difference.estimate, self.result.both
        facts = [f"{signed(estimate.mean)} AUC"]
        if both.low is not None and both.high is not None:
            facts.append(f"95 % interval {signed(both.low)} to {signed(both.high)}")
        facts.append(f"{estimate.n} seed{'s' if estimate.n > 1 else ''}")
        if self.holm_p is not None:
            facts.append(f"Holm p = {p_text(self.holm_p)}".replace("= <", "<"))
        facts = [fact.replace(" ", NO_BREAK) for fact in facts]
        return f"{self.first} against {self.second}: {self.words} ({', '.join(facts)})"


@lru_cache(maxsize=2)  # the tables and the page ask for the same ones
def compare(run: Run) -> tuple[Comparison, ...]:
    """All comparisons of FAMILIES whose arms share a finished seed, Holm-corrected by family.

    Those of the default setting come first, so that what no axis changes counts among them.

    Raises:
        DataError: where two cells to be compared were not tested on the same images.
    """
    found: list[Comparison] = []
    blocks = sorted(((varied(run, group), group) for group in groups(run)), key=lambda b: b[0])
    for family, pairs in FAMILIES.items():
        seen: set[frozenset[str]] = set()
        for other_setting, group in blocks:
            for first, second in pairs:
                ids = frozenset(cell.id for arm in (first, second) for cell in group.finished(arm))
                # The same cells may stand in several groups, but are one comparison.
                if ids in seen or (result := _compare(group, first, second)) is None:
                    continue
                seen.add(ids)
                corrected = AXES_FAMILY if other_setting else family
                found.append(Comparison(group, family, corrected, ids, first, second, result, None))
    return tuple(_corrected(found))


def _corrected(found: list[Comparison]) -> list[Comparison]:
    p_values: dict[int, float | None] = {}
    for family in {c.corrected_with for c in found}:
        members = [i for i, c in enumerate(found) if c.corrected_with == family]
        holm_p = holm([found[i].result.p for i in members])
        p_values |= dict(zip(members, holm_p, strict=True))
    return [replace(c, holm_p=p_values[i]) for i, c in enumerate(found)]


def claimed_best(run: Run, group: Group) -> str | None:
    """The arm that may be printed bold, None for most groups.

    The ceiling is no method and takes no part. The highest mean alone is no reason [ours]: every
    comparison that the arm takes part in is claimed in its favour, and the one with the second
    highest mean is among them. What the group shares with another, and is listed there, counts too.
    """
    means = {
        arm: sum(cell.test["auc"] for cell in done) / len(done)
        for arm in group.arms
        if arm != CEILING and (done := group.finished(arm))
    }
    ranked = sorted(means, key=lambda arm: means[arm], reverse=True)
    if len(ranked) < 2:
        return None
    ids = {cell.id for arm in group.arms for cell in group.finished(arm)}
    own = [
        c
        for c in compare(run)
        if c.cells <= ids and ranked[0] in (c.first, c.second) and c.first != CEILING
    ]
    won = {
        c.second if c.first == ranked[0] else c.first
        for c in own
        if c.claimed and (c.difference.estimate.mean > 0) == (c.first == ranked[0])
    }
    return ranked[0] if len(won) == len(own) and ranked[1] in won else None


def _compare(group: Group, first: str, second: str) -> ArmComparison | None:
    arms = [{cell.seed: cell for cell in group.finished(arm)} for arm in (first, second)]
    shared = arms[0].keys() & arms[1].keys()
    tested = [{seed: _test(arm[seed]) for seed in sorted(shared)} for arm in arms]
    try:
        return compare_arms(tested[0], tested[1])
    except DataError as error:
        raise DataError(f"{group.title}, {first} against {second}: {error}") from error


def _test(cell: Cell) -> Predictions:
    return cell.predictions["test"]
