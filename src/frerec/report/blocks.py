"""The arms of a run, and which rows stand together."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from frerec.report.cells import ALL, TRAIN_SIZE
from frerec.report.published import SHR_AXES
from frerec.report.run import Cell, Run
from frerec.report.tabular import fixed

DOSE = "generator.dose"  # an axis: of the oracle's damage; at 0 its samples are real images

ARMS: Mapping[str, str] = {
    "raw": "real images only",
    "gda": "real and synthetic images",
    "frerec": "real and synthetic images, all of them through FreRec (the paper's method)",
    "raw_frerec": "real images only, through FreRec (the control that the paper lacks)",
    "shr": "real and synthetic images, all of them through SHR alone",
    "rhm": "real and synthetic images, all of them through RHM alone",
    "rhm_no_fesa": "real and synthetic images, all of them through RHM without FESA",
    "frerec_synthetic_only": "real images, and synthetic images through FreRec",
    "gda_one_to_one": "real images, and synthetic ones with the nearest real image's high band",
    "gda_radial": "real images, and synthetic ones with one gain curve over the radial frequency",
    "gda_fda": "real images, and synthetic ones after Fourier Domain Adaptation (low band)",
    "gda_fda_high": "real images, and synthetic ones after the same in the high band",
    "gda_amplitude_mix": "real images, and synthetic ones after FACT's amplitude mix",
    "gda_histogram": "real images, and synthetic ones with the nearest real image's histogram",
    "gda_lowpass": "real and synthetic images, all of them without their high band",
    "ceiling": "as many real images more as there are samples: what better samples could bring",
}
# Further axes in words, for titles; any other one has the name of its setting.
AXIS_WORDS: Mapping[str, str] = {
    TRAIN_SIZE: "train size",
    DOSE: "dose",
    "samples.ratio": "samples ratio",
}


@dataclass(frozen=True)
class Group:
    """The arms of one data set, generator, classifier and further axes: what may be compared.

    `arms` maps each arm to its cells in the order of the seeds; `published` is the key of the
    paper's data set, None where it has none.
    """

    title: str
    data: str
    generator: str
    classifier: str
    extra: tuple[tuple[str, str], ...]
    published: str | None
    arms: Mapping[str, tuple[Cell, ...]]

    @property
    def axes(self) -> dict[str, str]:
        """What the group's cells have in common, for the CSV files."""
        own = {"data": self.data, "generator": self.generator, "classifier": self.classifier}
        return own | dict(self.extra)

    @property
    def whole(self) -> bool:
        """Whether it trains on the whole set, as the paper does: only then its numbers compare."""
        return dict(self.extra).get(TRAIN_SIZE, ALL) == ALL

    def finished(self, arm: str) -> tuple[Cell, ...]:
        """The cells of an arm that have results."""
        return tuple(cell for cell in self.arms.get(arm, ()) if cell.finished)


def arm_order(run: Run) -> list[str]:
    """The arms of a run: the known ones in the order of ARMS, then the others as planned."""
    present = list(dict.fromkeys(cell.arm for cell in run.cells))
    return [arm for arm in ARMS if arm in present] + [arm for arm in present if arm not in ARMS]


def groups(run: Run) -> list[Group]:
    """The comparable blocks of a run, in the order of the plan.

    A cell without a generator (raw) belongs to the block of every generator.
    """
    order = arm_order(run)
    several_data = len({cell.data for cell in run.cells}) > 1
    generators = list(dict.fromkeys(cell.generator for cell in run.cells if cell.generator))
    found: list[Group] = []
    for key in dict.fromkeys((cell.data, cell.classifier, cell.extra) for cell in run.cells):
        name, classifier, extra = key
        here = [c for c in run.cells if (c.data, c.classifier, c.extra) == key]
        for generator in list(dict.fromkeys(c.generator for c in here if c.generator)) or [""]:
            members = [c for c in here if c.generator in (generator, "")]
            arms = {
                arm: tuple(sorted((c for c in members if c.arm == arm), key=lambda c: c.seed))
                for arm in order
                if any(c.arm == arm for c in members)
            }
            parts = [name] if several_data else []
            parts += [generator] if len(generators) > 1 and generator else []
            published = run.references.get(name)
            title = ", ".join([*parts, classifier, *axis_titles(extra)])
            found.append(Group(title, name, generator, classifier, extra, published, arms))
    return found


def varied(run: Run, group: Group) -> bool:
    """Whether a group is of another setting than the run's default one [ours].

    The default of a further axis is the paper's value where the axis is SHR's and the run has that
    value, otherwise the first one of the plan that the data set has. A group without the axis is
    none of another setting.
    """
    papers = {axis: value for axes, value in SHR_AXES.values() for axis in axes}
    for axis, own in group.extra:
        own_cells = [cell for cell in run.cells if cell.data == group.data]
        values = [value for cell in own_cells for name, value in cell.extra if name == axis]
        if own != next((v for v in values if axis_number(v) == papers.get(axis)), values[0]):
            return True
    return False


def axis_number(value: str) -> float:
    """The value of an axis as a number; NaN, which equals nothing, where it is none."""
    try:
        return float(value)
    except ValueError:
        return math.nan


def axis_titles(extra: Iterable[tuple[str, str]]) -> list[str]:
    """The values of further axes in words, such as "train size 100"."""
    return [f"{AXIS_WORDS.get(axis, axis)} {value}" for axis, value in extra]


def describe(arm: str) -> str:
    """An arm in words; its own name where it is none of the known ones."""
    return ARMS.get(arm, arm)


def summary(group: Group, arm: str) -> str:
    """Mean AUC of an arm for an alternative text, such as "gda 0.731 (3 seeds)"."""
    values = [cell.test["auc"] for cell in group.finished(arm)]
    mean = fixed(sum(values) / len(values)) if values else "no result"
    return f"{arm} {mean} ({len(values)} seed{'' if len(values) == 1 else 's'})"
