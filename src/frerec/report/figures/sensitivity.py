"""How the result depends on SHR's band r and neighbours K, where a run varies them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from frerec.evaluation.statistics import mean_interval
from frerec.report.comparisons import arm_order
from frerec.report.figures.panels import ACROSS, arm_looks
from frerec.report.run import Cell, Run
from frerec.report.style import Look, Theme
from frerec.report.tabular import fixed

RATIO, NEIGHBOURS = "calibrator.shr.ratio", "calibrator.shr.neighbours"
PAPER: Mapping[str, float] = {RATIO: 0.5, NEIGHBOURS: 200}
NAMES: Mapping[str, str] = {RATIO: "r, fraction of the Nyquist radius", NEIGHBOURS: "K, neighbours"}
_SHORT: Mapping[str, str] = {RATIO: "r", NEIGHBOURS: "K"}
_SPREAD = 0.02  # of the axis, between the arms at one setting


@dataclass(frozen=True)
class Curve:
    """Test AUCs of the arms along one axis; everything else is fixed.

    Attributes:
        axis: RATIO or NEIGHBOURS.
        title: data set, classifier, and where the other axis is held.
        arms: arm -> value of the axis -> AUC of each seed; an arm that the axis does not touch
            has the same cells at every value.
        untouched: those arms.
    """

    axis: str
    title: str
    arms: Mapping[str, Mapping[float, list[float]]]
    untouched: frozenset[str]


@dataclass(frozen=True)
class HeatMap:
    """Mean test AUC of one arm over both axes: ``auc [K, r]``, NaN where there is no result."""

    title: str
    ratios: tuple[float, ...]
    neighbours: tuple[float, ...]
    auc: np.ndarray


def curves(run: Run) -> list[Curve]:
    """A curve a varied axis, data set, generator, classifier and value of the further axes.

    Where both r and K vary, the other one is held at the value that is nearest to the paper's.
    """
    found = []
    for (title, rest), cells in _families(run).items():
        for axis in _varied(cells):
            other = next(key for key in PAPER if key != axis)
            held = _values(cells, other)
            at = min(held, key=lambda value: abs(value - PAPER[other])) if held else None
            here = [c for c in cells if at is None or _value(c, other) == at]
            arms: dict[str, dict[float, list[float]]] = {}
            ids: dict[str, set[frozenset[str]]] = {}
            for arm in arm_order(run):
                own = [c for c in here if c.arm == arm]
                by_value = {v: [c for c in own if _value(c, axis) == v] for v in _values(own, axis)}
                if by_value:
                    arms[arm] = {v: [c.test["auc"] for c in cs] for v, cs in by_value.items()}
                    ids[arm] = {frozenset(c.id for c in cs) for cs in by_value.values()}
            untouched = frozenset(arm for arm in arms if len(arms[arm]) > 1 and len(ids[arm]) == 1)
            parts = [title, rest, f"{_SHORT[other]} = {at:g}" if len(held) > 1 else ""]
            found.append(Curve(axis, ", ".join(filter(None, parts)), arms, untouched))
    return found


def heat_maps(run: Run) -> list[HeatMap]:
    """A map a family and arm that depends on both axes."""
    found = []
    for (title, rest), cells in _families(run).items():
        if len(_varied(cells)) < 2:
            continue
        for arm in arm_order(run):
            own = [c for c in cells if c.arm == arm]
            if len({c.id for c in own}) == len({c.seed for c in own}):
                continue  # neither axis touches it
            ratios, neighbours = _values(own, RATIO), _values(own, NEIGHBOURS)
            auc = np.full((len(neighbours), len(ratios)), np.nan)
            for k, count in enumerate(neighbours):
                for r, ratio in enumerate(ratios):
                    at = (ratio, count)
                    seeds = [c.test["auc"] for c in own
                             if (_value(c, RATIO), _value(c, NEIGHBOURS)) == at]  # fmt: skip
                    auc[k, r] = np.mean(seeds) if seeds else np.nan
            parts = [arm, title, rest]
            found.append(HeatMap(", ".join(filter(None, parts)), ratios, neighbours, auc))
    return found


def sensitivity_figure(found: Sequence[Curve], run: Run, theme: Theme) -> Figure:
    """A panel a curve: seeds as dots, their mean and 95 % interval, the paper's value marked."""
    looks = arm_looks(run, theme)
    columns = min(2, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(4.8 * columns, 3.6 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    handles = {}
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    for panel, curve in zip(panels.flat, found, strict=False):
        touched = [arm for arm in curve.arms if arm not in curve.untouched]
        for arm, values in curve.arms.items():
            place = touched.index(arm) if arm in touched else 0
            shift = (place - (len(touched) - 1) / 2) * _SPREAD
            handles[arm] = _curve(panel, curve, arm, values, looks[arm], shift)
        panel.axvline(PAPER[curve.axis], color=theme.muted, lw=1, ls=(0, (4, 3)), zorder=0)
        ticks = sorted({value for values in curve.arms.values() for value in values})
        last = PAPER[curve.axis] >= ticks[-1]
        panel.annotate("paper", (PAPER[curve.axis], 1.0), xycoords=("data", "axes fraction"),
                       xytext=(-4 if last else 4, -3), textcoords="offset points", va="top",
                       ha="right" if last else "left", fontsize=8.5, color=theme.muted)  # fmt: skip
        if curve.axis == NEIGHBOURS:
            panel.set_xscale("log")
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
        panel.margins(x=0.08)
        low, high = panel.get_ylim()
        panel.set_ylim(
            max(low, 0), min(high, 1)
        )  # intervals of two seeds may leave what AUCs can be
        panel.set_title(curve.title, fontsize=10)
        panel.set_xlabel(NAMES[curve.axis])
        panel.set_ylabel("test AUC")
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=4, fontsize=9)
    return figure


def heat_map_figure(found: Sequence[HeatMap], theme: Theme) -> Figure:
    """Mean test AUC over r and K, one scale; the paper's setting has a frame."""
    columns = min(ACROSS, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(0.9 + 3.5 * columns, 0.4 + 3.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    values = np.concatenate([found_map.auc.ravel() for found_map in found])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    for panel, each in zip(panels.flat, found, strict=False):
        shown = panel.imshow(each.auc, cmap="cividis", vmin=low, vmax=high, origin="lower",
                             aspect="auto")  # fmt: skip
        for (k, r), value in np.ndenumerate(each.auc):
            if np.isfinite(value):
                light = value > (low + high) / 2
                panel.text(r, k, fixed(float(value)), ha="center", va="center", fontsize=8.5,
                           color="#14181d" if light else "#ffffff")  # fmt: skip
        if PAPER[RATIO] in each.ratios and PAPER[NEIGHBOURS] in each.neighbours:
            place = (each.ratios.index(PAPER[RATIO]) - 0.5,
                     each.neighbours.index(PAPER[NEIGHBOURS]) - 0.5)  # fmt: skip
            panel.add_patch(Rectangle(place, 1, 1, fill=False, ec="#d55e00", lw=2))
        panel.set_xticks(range(len(each.ratios)), [f"{value:g}" for value in each.ratios])
        panel.set_yticks(range(len(each.neighbours)), [f"{value:g}" for value in each.neighbours])
        panel.set_xlabel(NAMES[RATIO])
        panel.set_ylabel(NAMES[NEIGHBOURS])
        panel.set_title(each.title, fontsize=10)
        panel.grid(visible=False)
    bar = figure.colorbar(shown, ax=panels, shrink=0.9)
    bar.set_label("mean test AUC", color=theme.text)
    bar.outline.set_visible(False)
    return figure


def sensitivity_alt(found: Sequence[Curve]) -> str:
    """The means at every value in words."""
    parts = []
    for curve in found:
        for arm, values in curve.arms.items():
            if arm not in curve.untouched:
                means = ", ".join(f"{v:g}: {fixed(float(np.mean(x)))}" for v, x in values.items())
                parts.append(f"{curve.title}, {arm}, {_SHORT[curve.axis]} {means}")
    return "Line plots of the mean test AUC. " + "; ".join(parts) + "."


def heat_map_alt(found: Sequence[HeatMap]) -> str:
    """The best and the worst setting of each map in words."""
    parts = []
    for each in found:
        ends = []
        for name, place in (
            ("highest", np.nanargmax(each.auc)),
            ("lowest", np.nanargmin(each.auc)),
        ):
            k, r = np.unravel_index(int(place), each.auc.shape)
            at = f"r {each.ratios[r]:g}, K {each.neighbours[k]:g}"
            ends.append(f"{name} {fixed(float(each.auc[k, r]))} at {at}")
        parts.append(f"{each.title}: {', '.join(ends)}")
    return "Maps of the mean test AUC over r and K. " + "; ".join(parts) + "."


def _curve(
    panel: Axes,
    curve: Curve,
    arm: str,
    values: Mapping[float, list[float]],
    look: Look,
    shift: float,
) -> Line2D:
    if arm in curve.untouched:
        level = float(np.mean(next(iter(values.values()))))
        return panel.axhline(level, color=look.colour, ls=look.line, lw=1.2)
    low, high = min(PAPER[curve.axis], *values), max(PAPER[curve.axis], *values)
    span = high - low or 1.0

    def at(value: float, further: float = 0.0) -> float:
        if curve.axis == NEIGHBOURS:
            return float(value * (high / low if high > low else 2.0) ** (shift + further))
        return value + (shift + further) * span

    means = []
    for value, seeds in values.items():
        estimate = mean_interval(seeds)
        means.append(estimate.mean)
        beside = [at(value, _SPREAD / 3)] * len(seeds)
        panel.plot(beside, seeds, ls="", marker=look.marker, ms=3.5, alpha=0.6, color=look.colour,
                   mec="none")  # fmt: skip
        if estimate.low is not None and estimate.high is not None:
            panel.vlines(at(value), estimate.low, estimate.high, color=look.colour, lw=1.3)
    (line,) = panel.plot([at(value) for value in values], means, color=look.colour, ls=look.line,
                         marker=look.marker, ms=6, lw=1.6)  # fmt: skip
    return line


def _families(run: Run) -> dict[tuple[str, str], list[Cell]]:
    """Finished cells that differ in r, K, arm and seed alone, by their titles.

    A cell without a generator belongs to the family of every generator.
    """
    generators = list(dict.fromkeys(c.generator for c in run.cells if c.generator)) or [""]
    several = len({c.data for c in run.cells}) > 1
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in run.finished:
        for generator in [cell.generator] if cell.generator else generators:
            title = ", ".join(
                ([cell.data] if several else [])
                + ([generator] if len(generators) > 1 else [])
                + [cell.classifier]
            )
            rest = ", ".join(f"{key} {value}" for key, value in cell.extra if key not in PAPER)
            found.setdefault((title, rest), []).append(cell)
    return found


def _varied(cells: Sequence[Cell]) -> list[str]:
    return [axis for axis in PAPER if len(_values(cells, axis)) > 1]


def _values(cells: Sequence[Cell], axis: str) -> tuple[float, ...]:
    return tuple(sorted({v for cell in cells if (v := _value(cell, axis)) is not None}))


def _value(cell: Cell, axis: str) -> float | None:
    try:
        return float(dict(cell.extra)[axis])
    except (KeyError, ValueError):
        return None
