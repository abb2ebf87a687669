"""A run's results over SHR's band r and neighbours K, as curves and maps to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from frerec.report import published
from frerec.report.blocks import arm_order, axis_titles
from frerec.report.run import Cell, Run
from frerec.report.sensitivity_table import SETTINGS, settings_of

RATIO, NEIGHBOURS = "ratio", "neighbours"  # as `settings_of` calls them
PAPER: Mapping[str, float] = {RATIO: published.RATIO, NEIGHBOURS: published.NEIGHBOURS}
SHORT: Mapping[str, str] = {RATIO: "r", NEIGHBOURS: "K"}
_AXES = frozenset(axis for axes in SETTINGS.values() for axis in axes)

Setting = Mapping[str, float | None]  # r and K of a cell


@dataclass(frozen=True)
class Curve:
    """Test AUCs of the arms along one setting; everything else is fixed.

    Attributes:
        axis: RATIO or NEIGHBOURS.
        title: data set, classifier, and where the other setting is held.
        arms: arm -> value of the setting -> AUC of each seed; an arm that the setting does not
            touch has the same cells at every value.
        untouched: those arms.
    """

    axis: str
    title: str
    arms: Mapping[str, Mapping[float, list[float]]]
    untouched: frozenset[str]


@dataclass(frozen=True)
class HeatMap:
    """Mean test AUC of one arm over both settings.

    Attributes:
        title: arm, data set, classifier.
        ratios: r of the columns.
        neighbours: K of the rows.
        auc: float64 ``[K, r]``, NaN where there is no result.
        seeds: int64 ``[K, r]``, how many each mean is of.
    """

    title: str
    ratios: tuple[float, ...]
    neighbours: tuple[float, ...]
    auc: np.ndarray
    seeds: np.ndarray


def curves(run: Run) -> list[Curve]:
    """A curve a varied setting, data set, generator, classifier and value of the further axes.

    A run over r is one whatever the axis is called (of FreRec, or of SHR by itself), and a cell
    without the axis stands at its configuration's value. Where both r and K vary, the other one is
    held at the value that is nearest to the paper's.
    """
    found = []
    for (title, rest), cells in _families(run).items():
        for axis in _varied(cells):
            other = next(key for key in PAPER if key != axis)
            held = _values(cells, other) if other in _varied(cells) else ()
            at = min(held, key=lambda value: abs(value - PAPER[other])) if held else None
            here = [(c, s) for c, s in cells if at is None or s[other] == at]
            arms: dict[str, dict[float, list[float]]] = {}
            ids: dict[str, set[frozenset[str]]] = {}
            for arm in arm_order(run):
                own = [(c, s) for c, s in here if c.arm == arm]
                by_value = {
                    v: {c.id: c.test["auc"] for c, s in own if s[axis] == v}
                    for v in _values(own, axis)
                }
                if by_value:
                    arms[arm] = {v: list(values.values()) for v, values in by_value.items()}
                    ids[arm] = {frozenset(values) for values in by_value.values()}
            untouched = frozenset(arm for arm in arms if len(arms[arm]) > 1 and len(ids[arm]) == 1)
            parts = [title, rest, f"{SHORT[other]} = {at:g}" if len(held) > 1 else ""]
            found.append(Curve(axis, ", ".join(filter(None, parts)), arms, untouched))
    return found


def heat_maps(run: Run) -> list[HeatMap]:
    """A map a family and arm that depends on both settings."""
    found = []
    for (title, rest), cells in _families(run).items():
        if len(_varied(cells)) < 2:
            continue
        for arm in arm_order(run):
            own = [(c, s) for c, s in cells if c.arm == arm]
            if len({c.id for c, _ in own}) == len({c.seed for c, _ in own}):
                continue  # neither setting touches it
            ratios, neighbours = _values(own, RATIO), _values(own, NEIGHBOURS)
            auc = np.full((len(neighbours), len(ratios)), np.nan)
            seeds = np.zeros(auc.shape, dtype=np.int64)
            for k, count in enumerate(neighbours):
                for r, ratio in enumerate(ratios):
                    at = {c.id: c.test["auc"] for c, s in own
                          if (s[RATIO], s[NEIGHBOURS]) == (ratio, count)}  # fmt: skip
                    auc[k, r] = np.mean(list(at.values())) if at else np.nan
                    seeds[k, r] = len(at)
            parts = [arm, title, rest]
            name = ", ".join(filter(None, parts))
            found.append(HeatMap(name, ratios, neighbours, auc, seeds))
    return found


def uneven_seeds(found: Sequence[Curve]) -> str:
    """A sentence where the settings of an arm have different numbers of seeds, else nothing."""
    parts = []
    for curve in found:
        for arm, values in curve.arms.items():
            counts = {value: len(seeds) for value, seeds in values.items()}
            if len(set(counts.values())) > 1:
                each = ", ".join(f"{value:g}: {count}" for value, count in counts.items())
                parts.append(f"{curve.title}, {arm} at {SHORT[curve.axis]} {each}")
    return f"Different numbers of seeds: {'; '.join(parts)}." if parts else ""


def _families(run: Run) -> dict[tuple[str, str], list[tuple[Cell, Setting]]]:
    """Finished cells that differ in r, K, arm and seed alone, with their settings, by their titles.

    A cell without a generator belongs to the family of every generator. There are none where no
    axis of the run varies r or K.
    """
    if not any(key in _AXES for cell in run.cells for key, _ in cell.extra):
        return {}
    generators = list(dict.fromkeys(c.generator for c in run.cells if c.generator)) or [""]
    several = len({c.data for c in run.cells}) > 1
    found: dict[tuple[str, str], list[tuple[Cell, Setting]]] = {}
    for cell in run.finished:
        settings = settings_of(cell)
        for generator in [cell.generator] if cell.generator else generators:
            title = ", ".join(
                ([cell.data] if several else [])
                + ([generator] if len(generators) > 1 else [])
                + [cell.classifier]
            )
            rest = ", ".join(axis_titles((k, v) for k, v in cell.extra if k not in _AXES))
            found.setdefault((title, rest), []).append((cell, settings))
    return found


def _varied(cells: Sequence[tuple[Cell, Setting]]) -> list[str]:
    """The settings of which an arm has several values."""
    arms = {cell.arm for cell, _ in cells}
    return [
        axis
        for axis in PAPER
        if any(len(_values([(c, s) for c, s in cells if c.arm == arm], axis)) > 1 for arm in arms)
    ]


def _values(cells: Sequence[tuple[Cell, Setting]], axis: str) -> tuple[float, ...]:
    return tuple(sorted({v for _, settings in cells if (v := settings[axis]) is not None}))
