"""A run's results along any numeric axis of the grid but SHR's r and K, as curves to draw."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from frerec.report.blocks import DOSE, arm_order, axis_number, axis_titles
from frerec.report.cells import ALL, TRAIN_SIZE, WITHHELD, Cell
from frerec.report.headroom import CEILING, GDA
from frerec.report.run import Run
from frerec.report.sensitivity_table import SETTINGS
from frerec.report.tabular import thousands

CLEAN = "clean ceiling"  # gda at dose 0: its samples are real images
STEMS: Mapping[str, str] = {DOSE: "dose", TRAIN_SIZE: "train_size"}
_SHR = frozenset(axis for axes in SETTINGS.values() for axis in axes)
_WIDE = 8  # times: an axis over a larger range is logarithmic


@dataclass(frozen=True)
class Line:
    """One arm.

    Attributes:
        values: place on the axis -> test AUC by seed.
        level: True where the axis does not touch it: the same cells at every value.
    """

    values: Mapping[float, Mapping[int, float]]
    level: bool


@dataclass(frozen=True)
class Along:
    """The arms along one axis; everything else is fixed.

    Attributes:
        axis: the setting.
        title: data set, generator where there are several, classifier, values of further axes.
        ticks: place on the axis -> its label.
        lines: arm -> its line; CLEAN among them along the dose.
    """

    axis: str
    title: str
    ticks: Mapping[float, str]
    lines: Mapping[str, Line]

    @property
    def logarithmic(self) -> bool:
        """Whether the axis is of factors: always for numbers of images."""
        low, high = min(self.ticks), max(self.ticks)
        return low > 0 and (self.axis == TRAIN_SIZE or high / low >= _WIDE)


def axes_along(run: Run) -> dict[str, list[Along]]:
    """Axis -> a panel a data set, generator, classifier and value of the further axes.

    Only axes of which an arm has results at two values or more that are numbers, and only the arms
    that have so many in one of the panels. "all" of the train size stands at the number of real
    images a class that its cells recorded.
    """
    axes = dict.fromkeys(key for cell in run.finished for key, _ in cell.extra if key not in _SHR)
    found = {axis: _along(_panels(run, axis)) for axis in axes}
    return {axis: panels for axis, panels in found.items() if panels}


def _along(panels: Sequence[Along]) -> list[Along]:
    """Without the arms that no panel follows along the axis."""
    followed = {
        arm
        for each in panels
        for arm, line in each.lines.items()
        if line.level or len(line.values) > 1
    }
    return [
        replace(each, lines={arm: line for arm, line in each.lines.items() if arm in followed})
        for each in panels
    ]


def stem(axis: str) -> str:
    """The file name of an axis's figure."""
    return STEMS.get(axis) or re.sub(r"\W+", "_", axis).strip("_").lower()


def _families(run: Run, axis: str) -> dict[tuple[str, ...], list[Cell]]:
    """Finished cells that differ in the axis, arm and seed alone, by the parts of their title.

    A cell without a generator belongs to the family of every generator that has one like it.
    """
    several = len({cell.data for cell in run.cells}) > 1
    many = len({cell.generator for cell in run.cells if cell.generator}) > 1
    alike: dict[tuple[object, ...], list[Cell]] = {}
    for cell in run.finished:
        if axis in dict(cell.extra):
            rest = tuple(entry for entry in cell.extra if entry[0] != axis)
            alike.setdefault((cell.data, cell.classifier, rest), []).append(cell)
    families = {}
    for cells in alike.values():
        others = axis_titles(entry for entry in cells[0].extra if entry[0] != axis)
        for generator in list(dict.fromkeys(c.generator for c in cells if c.generator)) or [""]:
            parts = [cells[0].data] if several else []
            parts += [generator] if many and generator else []
            title = (*parts, cells[0].classifier, *others)
            families[title] = [cell for cell in cells if cell.generator in (generator, "")]
    return families


def _panels(run: Run, axis: str) -> list[Along]:
    panels = []
    for title, cells in _families(run, axis).items():
        places, labels = _places(cells, axis)
        lines = {}
        for arm in arm_order(run):
            own = [cell for cell in cells if cell.arm == arm]
            if line := _line(own, axis, places):
                lines[arm] = line
        moving = [line for line in lines.values() if not line.level and len(line.values) > 1]
        if not moving:
            continue  # nor is a generator's family that has raw alone
        if axis == DOSE and CEILING not in lines and 0.0 in (at := _values(lines, GDA)):
            lines[CLEAN] = Line(dict.fromkeys(places.values(), at[0.0]), level=True)
        used = {place for line in lines.values() for place in line.values}
        ticks = {place: labels[text] for text, place in places.items() if place in used}
        panels.append(Along(axis, ", ".join(title), dict(sorted(ticks.items())), lines))
    return panels


def _values(lines: Mapping[str, Line], arm: str) -> Mapping[float, Mapping[int, float]]:
    return lines[arm].values if arm in lines else {}


def _line(cells: Sequence[Cell], axis: str, places: Mapping[str, float]) -> Line | None:
    """An arm's line; None where it has no result at a place."""
    values: dict[float, dict[int, float]] = {}
    ids: dict[float, set[str]] = {}
    for cell in cells:
        place = places.get(dict(cell.extra)[axis])
        if place is not None:
            values.setdefault(place, {})[cell.seed] = cell.test["auc"]
            ids.setdefault(place, set()).add(cell.id)
    if not values:
        return None
    sets = list(ids.values())
    level = len(sets) > 1 and all(found == sets[0] for found in sets)
    return Line(dict(sorted(values.items())), level)


def _places(cells: Sequence[Cell], axis: str) -> tuple[dict[str, float], dict[str, str]]:
    """Text of a value -> its place, and its label; none for a value that is no number."""
    texts = dict.fromkeys(dict(cell.extra)[axis] for cell in cells)
    places = {text: at for text in texts if math.isfinite(at := axis_number(text))}
    form = thousands if axis == TRAIN_SIZE else "{:g}".format
    labels = {text: form(at) for text, at in places.items()}
    if axis == TRAIN_SIZE and ALL in texts:
        recorded = _recorded([cell for cell in cells if dict(cell.extra)[axis] == ALL])
        # Where it was not recorded: behind all others, without a number.
        places[ALL] = 2 * max(places.values(), default=1.0) if recorded is None else recorded
        labels[ALL] = ALL if recorded is None else f"{ALL}\n({thousands(recorded)})"
    return places, labels


def _recorded(cells: Sequence[Cell]) -> float | None:
    """Real training images a class, without what a ceiling got beyond them."""
    found = [
        (cell.training["train_real"] - cell.training.get(WITHHELD, 0))
        / cell.predictions["test"].probabilities.shape[1]
        for cell in cells
        if cell.training.get("train_real") and "test" in cell.predictions
    ]
    return float(np.median(found)) if found else None
