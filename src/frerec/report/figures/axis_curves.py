"""Test AUC along an axis of the grid: the dose-response figure, learning curves, and others."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from frerec.evaluation.statistics import mean_interval
from frerec.report.blocks import DOSE
from frerec.report.cells import TRAIN_SIZE
from frerec.report.figures.along import CLEAN, Along, Line
from frerec.report.figures.panels import arm_looks, panel_grid
from frerec.report.run import Run
from frerec.report.style import Look, Theme
from frerec.report.tabular import fixed

NAMES: Mapping[str, str] = {
    DOSE: "dose of the damage to the samples' high band\n(0: clean real images, 1: full damage)",
    TRAIN_SIZE: "real training images a class (log scale)",
    "samples.ratio": "samples for each real training image",
}
_LEAST_MARGIN = 0.005  # of AUC, above and below all seeds
_SPREAD, _WIDEST = 0.022, 0.066  # of the axis: between two arms at one value, between all
_EDGE = 0.012  # of the panel: where the seeds of the first level stand, and between the levels
_BAND = 0.13  # opacity
_HANDLE, _LETTER = 0.75, 0.085  # inches of the legend: an entry's line and gaps, a letter


def axis_figure(found: Sequence[Along], run: Run, theme: Theme) -> Figure:
    """A panel each: seeds as dots, mean and 95 % interval; arms that stay as levels with bands."""
    looks = dict(arm_looks(run, theme))
    looks[CLEAN] = Look(theme.muted, (0, (7, 2)), "None")
    figure, grid = panel_grid(len(found), 5.6 if len(found) < 2 else 4.4, 3.9)
    panels = figure.subplots(*grid, squeeze=False)
    handles: dict[str, Line2D] = {}
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    for panel, each in zip(panels.flat, found, strict=False):
        if each.logarithmic:
            panel.set_xscale("log")
        touched = [arm for arm, line in each.lines.items() if not line.level]
        levels = [arm for arm, line in each.lines.items() if line.level]
        step = min(_SPREAD, _WIDEST / max(len(touched) - 1, 1))
        for arm, line in each.lines.items():
            if line.level:
                seeds = None if arm == CLEAN else _EDGE * (1 + levels.index(arm))
                _level(panel, line, looks[arm], seeds)
            else:
                shift = (touched.index(arm) - (len(touched) - 1) / 2) * step
                _curve(panel, each, line, looks[arm], shift, 0.45 * step)
            handles[arm] = Line2D([], [], color=looks[arm].colour, ls=looks[arm].line, lw=1.6,
                                  marker="None" if line.level else looks[arm].marker, ms=6,
                                  label=arm)  # fmt: skip
        panel.set_xticks(list(each.ticks), list(each.ticks.values()))
        panel.minorticks_off()
        panel.set_xlim(*_limits(each))
        panel.set_ylim(*_heights(each))
        panel.set_title(each.title, fontsize=10)
        panel.set_xlabel(NAMES.get(each.axis, each.axis))
        if panel.get_subplotspec().is_first_col():
            panel.set_ylabel("test AUC")
    entries: list[Artist] = [*handles.values()]
    if any(line.level for each in found for line in each.lines.values()):
        entries.append(Patch(fc=theme.muted, alpha=2 * _BAND, label="band: 95 % interval"))
    room = int(figure.get_figwidth() / (_HANDLE + _LETTER * max(map(len, handles)))) or 1
    across = -(-len(entries) // -(-len(entries) // room))  # even lines, none cut
    figure.legend(handles=entries, loc="outside upper left", ncols=across, fontsize=9,
                  handlelength=2.8)  # fmt: skip
    return figure


def axis_alt(found: Sequence[Along]) -> str:
    """The means at every value in words."""
    parts = []
    for each in found:
        for arm, line in each.lines.items():
            means = [
                f"{each.ticks[at]}: {fixed(float(np.mean([*seeds.values()])))}"
                for at, seeds in line.values.items()
            ]
            text = f"the same at every value {means[0].split(': ')[-1]}" if line.level else ""
            words = text or ", ".join(means).replace("\n", " ")
            parts.append(f"{each.title}, {arm}: {words}")
    return f"Mean test AUC by {found[0].axis}. " + "; ".join(parts) + "."


def axis_caption(found: Sequence[Along]) -> str:
    """What is drawn, and of how many seeds."""
    lines = [line for each in found for line in each.lines.values()]
    counts = sorted({len(seeds) for line in lines for seeds in line.values.values()})
    words = [
        "Test AUC: dots are seeds, large markers their mean, bars its 95 % Student-t interval, cut "
        "where it leaves the panel; arms are moved a little sideways so that they do not cover "
        "each other. An arm with results at one value alone is in the tables only.",
        f"{counts[-1]} seed{'s' if counts[-1] > 1 else ''} each."
        if len(counts) == 1
        else f"{counts[0]} to {counts[-1]} seeds each, see the tables.",
    ]
    if any(line.level for line in lines):
        words.append(
            "Horizontal lines are arms that the axis does not touch, their seeds at the left edge."
        )
    if any(CLEAN in each.lines for each in found):
        words.append("Clean ceiling: gda at dose 0, whose samples are real images.")
    return " ".join(words)


def _limits(each: Along) -> tuple[float, float]:
    low, high = min(each.ticks), max(each.ticks)
    if each.logarithmic:
        factor = (high / low) ** 0.1 if high > low else 1.5
        return low / factor, high * factor
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _heights(each: Along) -> tuple[float, float]:
    """All seeds and the bands' middles; an interval of two seeds would leave no room: it is cut."""
    seeds = [
        auc for line in each.lines.values() for at in line.values.values() for auc in at.values()
    ]
    margin = max(0.15 * (max(seeds) - min(seeds)), _LEAST_MARGIN)
    return max(min(seeds) - margin, 0), min(max(seeds) + margin, 1)


def _level(panel: Axes, line: Line, look: Look, place: float | None) -> None:
    """Mean and interval over the whole width, the seeds at `place` of it."""
    seeds = [*next(iter(line.values.values())).values()]
    mean = mean_interval(seeds)
    if place is not None:
        panel.plot([place] * len(seeds), seeds, ls="", marker="o", ms=3.2, alpha=0.8, mec="none",
                   color=look.colour, transform=panel.get_yaxis_transform())  # fmt: skip
    if mean.low is not None and mean.high is not None:
        panel.axhspan(mean.low, mean.high, color=look.colour, alpha=_BAND, lw=0, zorder=0.5)
    panel.axhline(mean.mean, color=look.colour, ls=look.line, lw=1.4, zorder=1.5)


def _curve(panel: Axes, each: Along, line: Line, look: Look, shift: float, beside: float) -> None:
    """Means with intervals, moved by `shift` of the axis; the seeds further by `beside`."""
    low, high = min(each.ticks), max(each.ticks)

    def at(value: float, further: float = 0.0) -> float:
        if each.logarithmic:
            return float(value * (high / low) ** (shift + further))
        return value + (shift + further) * (high - low)

    means = []
    for value, by_seed in line.values.items():
        seeds = [*by_seed.values()]
        mean = mean_interval(seeds)
        means.append(mean.mean)
        panel.plot([at(value, beside)] * len(seeds), seeds, ls="", marker="o", ms=3.2,
                   alpha=0.6, color=look.colour, mec="none")  # fmt: skip
        if mean.low is not None and mean.high is not None:
            panel.vlines(at(value), mean.low, mean.high, color=look.colour, lw=1.3)
    panel.plot([at(value) for value in line.values], means, color=look.colour, ls=look.line,
               marker=look.marker, ms=6, lw=1.6)  # fmt: skip
