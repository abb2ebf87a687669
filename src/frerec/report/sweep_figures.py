"""A sweep's figures: history, importances, slices and parallel coordinates."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from frerec.report.figures import FORMATS, FigureFiles, save_figure
from frerec.report.style import Theme
from frerec.report.sweep_run import Sweep, Trial
from frerec.report.tabular import fixed


def write_sweep_figures(
    sweep: Sweep, shares: Mapping[str, float], folder: Path, formats: Sequence[str] = FORMATS
) -> list[FigureFiles]:
    """Draw what the sweep has trials for.

    Args:
        sweep: the sweep.
        shares: importances by key; none are drawn where there are none.
        folder: gets NAME.SUFFIX and NAME_dark.SUFFIX; it must exist.
        formats: the suffixes, of FORMATS; without any, nothing is drawn.

    Returns:
        The figures in the order of the page.
    """
    best = sweep.best
    if best is None or not formats:
        return []
    objective, where = sweep.objective, f"trial {best.number}"
    listed = ", ".join(f"{key} {fixed(share, 2)}" for key, share in shares.items())
    drawn: list[tuple[str, Callable[[Theme], Figure], str, str, str]] = [
        (
            "history",
            lambda theme: history_figure(sweep, theme),
            "History",
            f"Value of each trial by number; the best is {where} with {fixed(best.value)}.",
            f"{objective} of each complete trial, and the best so far.",
        ),
        (
            "importances",
            lambda theme: importances_figure(shares, theme),
            "Importances",
            f"Bar chart of shares: {listed}.",
            f"Share of the variance of {objective} over the space that each parameter explains, "
            f"by fANOVA on {len(sweep.complete)} complete trials.",
        ),
        (
            "parallel",
            lambda theme: parallel_figure(sweep, theme),
            "Parallel coordinates",
            f"One line a trial through its values; the best one is {where}: {_values(best)}.",
            f"A line a complete trial, coloured by {objective}; the best one is strongest.",
        ),
        (
            "slices",
            lambda theme: slices_figure(sweep, theme),
            "Objective against each parameter",
            f"Scatter plots of {objective} against each parameter.",
            "One point a complete trial; the diamond is the best one. Other parameters vary along: "
            "a pattern here is no effect of one parameter alone.",
        ),
    ]
    return [
        save_figure(
            folder, name, draw, title=title, alt=alt, caption=caption, section="results",
            formats=formats,
        )
        for name, draw, title, alt, caption in drawn
        if shares or name != "importances"
    ]  # fmt: skip


def history_figure(sweep: Sweep, theme: Theme) -> Figure:
    """Values by trial number, and the best so far."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    panel = figure.subplots()
    numbers = [trial.number for trial in sweep.complete]
    values = np.array([trial.value for trial in sweep.complete], dtype=float)
    best = np.maximum.accumulate(values) if sweep.maximize else np.minimum.accumulate(values)
    panel.plot(numbers, values, "o", ms=5, color=theme.cycle[2], alpha=0.8, mec="none",
               label="a trial")  # fmt: skip
    panel.step(numbers, best, where="post", color=theme.cycle[1], lw=1.8, label="best so far")
    panel.set_xlabel("trial")
    panel.set_ylabel(sweep.objective)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=2, fontsize=9.5)
    return figure


def importances_figure(shares: Mapping[str, float], theme: Theme) -> Figure:
    """Shares as bars, the largest on top."""
    figure = Figure(figsize=(6.4, 1.0 + 0.4 * len(shares)), layout="constrained")
    panel = figure.subplots()
    keys = list(shares)
    panel.barh(range(len(keys)), [shares[key] for key in keys], height=0.6, color=theme.cycle[2])
    for y, key in enumerate(keys):
        panel.annotate(f" {shares[key]:.2f}", (shares[key], y), va="center", fontsize=9.5)
    panel.set_yticks(range(len(keys)), keys)
    panel.invert_yaxis()
    panel.grid(axis="y", visible=False)
    panel.set_xlim(0, max(1.0, *shares.values()) * 1.08)
    panel.set_xlabel("share of the variance")
    return figure


def slices_figure(sweep: Sweep, theme: Theme) -> Figure:
    """The objective against each parameter, at most three panels a row."""
    keys = list(sweep.space)
    columns = min(3, len(keys))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(max(4.2, 3.1 * columns), 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for panel, key in zip(panels, keys, strict=False):
        _slice(panel, sweep, key, theme)
    for panel in panels[len(keys) :]:
        panel.set_visible(False)
    for row in range(rows):
        panels[row * columns].set_ylabel(sweep.objective)
    return figure


def _slice(panel: Axes, sweep: Sweep, key: str, theme: Theme) -> None:
    known = [trial for trial in sweep.complete if key in trial.params]
    choices = sweep.choices(key)
    values = [t.params[key] if choices is None else choices.index(t.params[key]) for t in known]
    heights = [float(trial.value or 0.0) for trial in known]
    panel.plot(values, heights, "o", ms=5, alpha=0.75, mec="none", color=theme.cycle[2])
    best = sweep.best
    if best is not None and best in known:
        row = known.index(best)
        panel.plot(values[row], heights[row], "D", ms=8, color=theme.cycle[1], mec=theme.ground)
    if choices is not None:
        panel.set_xticks(
            range(len(choices)), [str(one) for one in choices], rotation=30, ha="right"
        )
        panel.set_xlim(-0.5, len(choices) - 0.5)
    elif sweep.logarithmic(key):
        panel.set_xscale("log")
    panel.set_xlabel(key, fontsize=9.5)


def parallel_figure(sweep: Sweep, theme: Theme) -> Figure:
    """One line a complete trial through an axis a parameter and one for the objective."""
    trials = [t for t in sweep.complete if all(key in t.params for key in sweep.space)]
    sign = 1.0 if sweep.maximize else -1.0
    trials.sort(key=lambda trial: sign * float(trial.value or 0.0))
    keys = [*sweep.space, sweep.objective]
    figure = Figure(figsize=(max(6.4, 1.9 * len(keys)), 4.4), layout="constrained")
    panel = figure.subplots()
    values = np.array([trial.value for trial in trials], dtype=float)
    spread = Normalize(values.min(), max(values.max(), values.min() + 1e-9))
    worst, good = theme.muted, theme.cycle[2]
    colours = LinearSegmentedColormap.from_list("sweep", [worst, good])
    places = {key: _places(sweep, key, trials) for key in keys}
    for row, trial in enumerate(trials):
        last = trial is trials[-1]
        panel.plot(range(len(keys)), [places[key][0][row] for key in keys],
                   color=theme.cycle[1] if last else colours(spread(values[row])),
                   lw=2.6 if last else 1.2, alpha=1.0 if last else 0.7, zorder=3 if last else 2,
                   clip_on=False)  # fmt: skip
    box = {"fc": theme.ground, "ec": "none", "alpha": 0.75, "pad": 1}
    for x, key in enumerate(keys):
        panel.axvline(x, color=theme.muted, lw=1, zorder=1)
        for height, text in places[key][1]:
            panel.annotate(text, (x, height), xytext=(4, 0), textcoords="offset points",
                           va="center", fontsize=8.5, color=theme.text, zorder=4,
                           bbox=box)  # fmt: skip
    panel.set_xticks(range(len(keys)), [key.replace(".", ".\n") for key in keys], fontsize=9)
    panel.set_yticks([])
    panel.set_ylim(-0.04, 1.04)
    panel.set_xlim(-0.1, len(keys) - 0.75)
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return figure


def _places(
    sweep: Sweep, key: str, trials: list[Trial]
) -> tuple[list[float], list[tuple[float, str]]]:
    """Heights in [0, 1] of the trials on an axis, and the axis' marks."""
    if key == sweep.objective:
        values = [float(trial.value or 0.0) for trial in trials]
        low, high = min(values), max(values)
        return _scaled(values, low, high, logarithmic=False)
    choices = sweep.choices(key)
    if choices is not None:
        steps = max(len(choices) - 1, 1)
        heights = [choices.index(trial.params[key]) / steps for trial in trials]
        return heights, [(index / steps, str(one)) for index, one in enumerate(choices)]
    attributes = sweep.distributions[key]["attributes"]
    numbers = [float(trial.params[key]) for trial in trials]
    low, high = float(attributes["low"]), float(attributes["high"])
    return _scaled(numbers, low, high, logarithmic=sweep.logarithmic(key))


def _scaled(
    values: list[float], low: float, high: float, *, logarithmic: bool
) -> tuple[list[float], list[tuple[float, str]]]:
    def place(value: float) -> float:
        if high <= low:
            return 0.5
        if logarithmic:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    middle = math.sqrt(low * high) if logarithmic else (low + high) / 2
    marks = [low] if high <= low else [low, middle, high]
    return [place(v) for v in values], [(place(mark), f"{mark:.3g}") for mark in marks]


def _values(trial: Trial) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in trial.params.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
