"""How the result depends on SHR's band r and neighbours K, where a run varies them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from frerec.evaluation.statistics import mean_interval
from frerec.report.figures.panels import ACROSS, arm_looks
from frerec.report.figures.varied import NEIGHBOURS, PAPER, RATIO, SHORT, Curve, HeatMap
from frerec.report.run import Run
from frerec.report.style import Look, Theme
from frerec.report.tabular import fixed

NAMES: Mapping[str, str] = {RATIO: "r, fraction of the Nyquist radius", NEIGHBOURS: "K, neighbours"}
_LEAST_MARGIN = 0.005  # of AUC, above and below all seeds
_SPREAD = 0.02  # of the axis, between the arms at one setting


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
        seeds = [auc for values in curve.arms.values() for each in values.values() for auc in each]
        margin = max(0.15 * (max(seeds) - min(seeds)), _LEAST_MARGIN)
        # An interval of two seeds would leave no room for anything else: it is cut.
        panel.set_ylim(max(min(seeds) - margin, 0), min(max(seeds) + margin, 1))
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
                words = fixed(float(value))
                if each.seeds[each.seeds > 0].min() < each.seeds.max():
                    words += f"\n{each.seeds[k, r]} seed{'s' if each.seeds[k, r] > 1 else ''}"
                panel.text(r, k, words, ha="center", va="center", fontsize=8.5,
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
                parts.append(f"{curve.title}, {arm}, {SHORT[curve.axis]} {means}")
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
        beside = [at(value, 0.6 * _SPREAD)] * len(seeds)
        panel.plot(beside, seeds, ls="", marker=look.marker, ms=3.5, alpha=0.6, color=look.colour,
                   mec="none")  # fmt: skip
        if estimate.low is not None and estimate.high is not None:
            panel.vlines(at(value), estimate.low, estimate.high, color=look.colour, lw=1.3)
    (line,) = panel.plot([at(value) for value in values], means, color=look.colour, ls=look.line,
                         marker=look.marker, ms=6, lw=1.6)  # fmt: skip
    return line
