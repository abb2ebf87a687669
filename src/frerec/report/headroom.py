"""How much there is to gain: the ceiling against raw, and that against the spread over seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frerec.evaluation.statistics import Estimate, paired_difference
from frerec.report.blocks import DOSE, Group, axis_number
from frerec.report.cells import ALL, TRAIN_SIZE, WITHHELD, Cell
from frerec.report.tabular import EMPTY, NO_BREAK, estimate, fixed, interval, signed, thousands

RAW, GDA, CEILING = "raw", "gda", "ceiling"
ROW = "headroom"
NO_ARM = "no ceiling arm"
ALL_IN_USE = "every real training image is in use"
UNCERTAIN = "its interval holds zero"
LITTLE = "no comparison of augmentations can show much here"
MEANING = (
    "Headroom: mean test AUC of the ceiling (real images in the place of the samples) minus that "
    "of raw over the seeds that both have, with its 95 % Student-t interval; sd: the larger one of "
    "two sample standard deviations over these seeds, of raw's AUC and of the paired difference "
    "[ours]."
)
_FLOOR = 1e-12  # standard deviations below are rounding


@dataclass(frozen=True)
class Headroom:
    """What the best samples could bring in one block.

    Attributes:
        ceiling: what stands for it, "ceiling" or "gda at dose 0"; "" where nothing does.
        difference: ceiling - raw in test AUC, paired by seed; None where it is not known.
        raw_sd: sample standard deviation of raw's AUC over these seeds; None of one seed.
        difference_sd: likewise of the paired difference.
        images: the ceiling's extra real images, (least, most) of its cells; None where not
            recorded.
        samples: the same of gda's samples.
        unknown: why there is none, in words; "" where it is known.
        cells: ids of the cells that it rests on.
    """

    ceiling: str = ""
    difference: Estimate | None = None
    raw_sd: float | None = None
    difference_sd: float | None = None
    images: tuple[int, int] | None = None
    samples: tuple[int, int] | None = None
    unknown: str = ""
    cells: frozenset[str] = frozenset()

    @property
    def seed_sd(self) -> float | None:
        """The spread over seeds [ours]: the larger one of both standard deviations."""
        if self.raw_sd is None or self.difference_sd is None:
            return None
        return max(self.raw_sd, self.difference_sd)

    @property
    def ratio(self) -> float | None:
        """Headroom over `seed_sd`; None where one is not known or there is no spread."""
        if self.difference is None or self.seed_sd is None or self.seed_sd < _FLOOR:
            return None
        return self.difference.mean / self.seed_sd

    @property
    def little(self) -> bool:
        """Whether the headroom is not larger than the spread over seeds."""
        if self.difference is None or self.seed_sd is None:
            return False
        return self.difference.mean <= self.seed_sd

    @property
    def uncertain(self) -> bool:
        """Whether its interval holds zero, so that there may be no headroom at all."""
        low = None if self.difference is None else self.difference.low
        return low is not None and low <= 0

    @property
    def fewer(self) -> bool:
        """Whether the ceiling got fewer real images than gda got samples."""
        return bool(self.images and self.samples and self.images[0] < self.samples[1])

    @property
    def cell(self) -> str:
        """For a table: the difference, its interval, and how many sd it is."""
        if self.difference is None:
            return EMPTY
        ratio = "" if self.ratio is None else f", {fixed(self.ratio, 1)}{NO_BREAK}sd"
        return estimate(self.difference, difference=True) + ratio

    @property
    def sentence(self) -> str:
        """All of it in one line, without a full stop."""
        if self.difference is None:
            return f"headroom not known: {self.unknown}"
        n = self.difference.n
        facts = f"headroom {signed(self.difference.mean)} AUC"
        if n > 1:
            facts += f" {interval(self.difference, difference=True)}"
        facts += f" over {n} seed{'s' if n > 1 else ''}"
        if self.seed_sd is None:
            facts += ", whose spread one seed does not tell"
        else:
            times = "" if self.ratio is None else f", {fixed(self.ratio, 1)} sd"
            facts += (
                f"{times} (sd of raw {fixed(self.raw_sd)}, of the paired difference "
                f"{fixed(self.difference_sd)})"
            )
        end = f"; {LITTLE}" if self.little else f"; {UNCERTAIN}" if self.uncertain else ""
        return f"{facts}; {self._of_images}{end}"

    @property
    def _of_images(self) -> str:
        what = f"the ceiling ({self.ceiling})" if self.ceiling != CEILING else "the ceiling"
        if self.images is None:
            return f"{what} did not record how many extra real images it got"
        text = f"{what} got {_count(self.images)} extra real images"
        if self.samples is None:
            return text
        if self.fewer:
            return (
                f"{text}, fewer than gda's {_count(self.samples)} samples: as many could bring more"
            )
        same = self.images == self.samples
        return f"{text}, {'as many as gda has samples' if same else _more(self.samples)}"

    def record(self) -> dict[str, object]:
        """Columns for the CSV and JSON files, empty where it is not known."""
        found = self.difference
        return {
            "headroom": found.mean if found else None,
            "headroom_low": found.low if found else None,
            "headroom_high": found.high if found else None,
            "headroom_seeds": found.n if found else 0,
            "raw_sd": self.raw_sd,
            "difference_sd": self.difference_sd,
            "seed_sd": self.seed_sd,
            "headroom_to_sd": self.ratio,
            "ceiling": self.ceiling or None,
            "ceiling_images": self.images[0] if self.images else None,
            "gda_samples": self.samples[1] if self.samples else None,
        }


def headroom(block: Group, blocks: Iterable[Group]) -> Headroom:
    """Compare the ceiling of a block with its raw.

    The ceiling is the arm of that name, else gda at dose 0 of a block of the same data set,
    classifier and other axes with the same cells of raw: there its samples are real images.

    Args:
        block: the block.
        blocks: all of the run, for the one at dose 0.
    """
    raw = block.finished(RAW)
    name, ceiling = _ceiling(block, blocks)
    if not name:
        return Headroom(unknown=NO_ARM if dict(block.extra).get(TRAIN_SIZE) != ALL else ALL_IN_USE)
    if not raw:
        return Headroom(name, unknown="raw has no result")
    if not ceiling:
        return Headroom(name, unknown="the ceiling has no result")
    images, samples = _counts(map(_extra, ceiling, [raw] * len(ceiling))), _samples(block)
    if images is not None and images[1] == 0:
        return Headroom(name, unknown="no real image was left for the ceiling")
    first, second = ({cell.seed: cell.test["auc"] for cell in cells} for cells in (ceiling, raw))
    paired = paired_difference(first, second)
    if paired is None:
        return Headroom(name, unknown="the ceiling and raw share no finished seed")
    reference = np.array([second[seed] for seed in paired.seeds])
    differences = np.array([first[seed] for seed in paired.seeds]) - reference
    ids = frozenset(c.id for c in (*raw, *ceiling) if c.seed in paired.seeds)
    return Headroom(
        name, paired.estimate, _sd(reference), _sd(differences), images, samples, cells=ids
    )


def headrooms(blocks: Sequence[Group]) -> dict[str, Headroom]:
    """The headroom of every block by its title."""
    return {block.title: headroom(block, blocks) for block in blocks}


def headroom_notes(found: Mapping[str, Headroom], *, doubtful_only: bool = False) -> list[str]:
    """What to write under a table.

    Args:
        found: title of a block -> its headroom; blocks that share it get one sentence.
        doubtful_only: leaves out the sentence of a headroom that stands in the table itself and is
            larger than the spread and than zero, of as many images as gda has samples.
    """
    shared: dict[Headroom, list[str]] = {}
    for title, each in found.items():
        shared.setdefault(each, []).append(title)
    known = any(each.difference is not None for each in shared)
    notes = [MEANING] if known else []
    for each, titles in shared.items():
        fine = each.seed_sd is not None and not (each.little or each.uncertain or each.fewer)
        if doubtful_only and each.difference is not None and fine:
            continue
        everywhere = each.difference is None and len(shared) == 1
        where = "" if everywhere else f"{_together(titles, each)}: "
        text = f"{where}{each.sentence}."
        notes.append(text[0].upper() + text[1:] if everywhere else text)
    return notes


def _ceiling(block: Group, blocks: Iterable[Group]) -> tuple[str, tuple[Cell, ...]]:
    if CEILING in block.arms:
        return CEILING, block.finished(CEILING)
    own = {cell.id for cell in block.arms.get(RAW, ())}
    for other in blocks:
        at = dict(other.extra).get(DOSE)
        if (
            at is None
            or axis_number(at) != 0
            or GDA not in other.arms
            or _rest(other) != _rest(block)
        ):
            continue
        if own & {cell.id for cell in other.arms.get(RAW, ())}:
            return "gda at dose 0", other.finished(GDA)
    return "", ()


def _rest(block: Group) -> tuple[object, ...]:
    """What two blocks share that differ in the dose alone, or in the generator."""
    others = tuple((axis, value) for axis, value in block.extra if axis != DOSE)
    return block.data, block.classifier, others


def _extra(cell: Cell, raw: Sequence[Cell]) -> float | None:
    """The real images that a cell got beyond raw's: recorded as withheld, or as samples."""
    for key in (WITHHELD, "train_synthetic"):
        if cell.training.get(key):
            return cell.training[key]
    own = cell.training.get("train_real")
    base = next((c.training.get("train_real") for c in raw if c.seed == cell.seed), None)
    return None if own is None or base is None else own - base


def _samples(block: Group) -> tuple[int, int] | None:
    return _counts(cell.training.get("train_synthetic") for cell in block.finished(GDA))


def _counts(values: Iterable[float | None]) -> tuple[int, int] | None:
    """Least and most; None where a cell recorded none."""
    found = list(values)
    known = [round(value) for value in found if value is not None]
    return (min(known), max(known)) if known and len(known) == len(found) else None


def _sd(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None


def _count(values: tuple[int, int]) -> str:
    least, most = map(thousands, values)
    return least if least == most else f"{least} to {most}"


def _more(samples: tuple[int, int]) -> str:
    return f"more than gda's {_count(samples)} samples"


def _together(titles: Sequence[str], each: Headroom) -> str:
    """The titles as one: what they have in common where they are of the same cells."""
    parts = [title.split(", ") for title in titles]
    common = [part for part in parts[0] if all(part in other for other in parts)]
    return ", ".join(common) if each.cells and common else "; ".join(titles)
