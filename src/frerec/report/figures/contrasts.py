"""The paired differences between arms with their intervals: what was asked, what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from frerec.report.blocks import axis_titles
from frerec.report.comparisons import FAMILIES, Comparison, compare
from frerec.report.figures.panels import grid_size
from frerec.report.run import Run
from frerec.report.style import Look, Theme, look
from frerec.report.tabular import signed

MOST = 6  # [ours] settings in one panel: where a run has more, other figures show them
_STEP = 0.72  # of a line, between the first and the last setting at most
_CUT = 1.3  # an interval is cut at so many times the largest difference or shorter interval


@dataclass(frozen=True)
class Contrasts:
    """The comparisons of one data set, generator and classifier, by their further axes in words."""

    title: str
    settings: Mapping[str, tuple[Comparison, ...]]


def contrasts(run: Run) -> list[Contrasts]:
    """A panel each; those with more than MOST settings are left out."""
    several = len({cell.data for cell in run.cells}) > 1
    found: dict[tuple[str, str, str], dict[str, list[Comparison]]] = {}
    for each in compare(run):
        group = each.group
        setting = ", ".join(axis_titles(group.extra))
        panel = found.setdefault((group.data, group.generator, group.classifier), {})
        panel.setdefault(setting, []).append(each)
    return [
        Contrasts(
            ", ".join(filter(None, (key if several else key[1:]))),
            {setting: tuple(members) for setting, members in settings.items()},
        )
        for key, settings in found.items()
        if len(settings) <= MOST
    ]


def contrast_figure(found: Sequence[Contrasts], theme: Theme) -> Figure:
    """Differences as markers, filled where claimed; intervals over seeds, and over both."""
    names = list(dict.fromkeys(setting for each in found for setting in each.settings))
    looks = {name: look(theme, number) for number, name in enumerate(names)}
    rows, columns = grid_size(len(found))
    # A row of panels has the lines that occur in it, all of the same height.
    lines = [_pairs(found[row * columns : (row + 1) * columns]) for row in range(rows)]
    heights = [0.9 + len(pairs) * max(0.3, 0.14 * len(names)) for pairs in lines]
    figure = Figure(figsize=(1.6 + 3.3 * columns, sum(heights)), layout="constrained")
    panels = figure.subplots(
        rows, columns, sharex=True, sharey="row", squeeze=False, height_ratios=heights
    )
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    limit = _limit(found)
    for number, (panel, each) in enumerate(zip(panels.flat, found, strict=False)):
        pairs = lines[number // columns]
        panel.axvline(0, color=theme.muted, lw=1)
        for setting, members in each.settings.items():
            shift = _shift(list(each.settings).index(setting), len(each.settings))
            for comparison in members:
                y = pairs.index((comparison.first, comparison.second)) + shift
                _mark(panel, comparison, y, looks[setting], theme)
        panel.set_xlim(-limit, limit)
        panel.set_ylim(len(pairs) - 0.5, -0.5)
        panel.set_yticks(range(len(pairs)), [f"{a} − {b}" for a, b in pairs])
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="y", visible=False)
        panel.set_title(each.title, fontsize=10)
        panel.locator_params(axis="x", nbins=5)
        if number + columns >= len(found):
            panel.set_xlabel("difference in test AUC")
            panel.tick_params(labelbottom=True)
    figure.legend(handles=_handles(looks, theme), loc="outside upper left", ncols=5, fontsize=9)
    return figure


def contrast_alt(found: Sequence[Contrasts]) -> str:
    """The differences in words."""
    parts = []
    for each in found:
        for setting, members in each.settings.items():
            listed = ", ".join(
                f"{c.first} minus {c.second} {signed(c.difference.estimate.mean)} ({c.words})"
                for c in members
            )
            parts.append(f"{', '.join(filter(None, (each.title, setting)))}: {listed}")
    return f"Dot plot of the paired differences in test AUC. {'; '.join(parts)}."


def _pairs(found: Sequence[Contrasts]) -> list[tuple[str, str]]:
    """Those that occur, in the order of the families."""
    present = {
        (c.first, c.second) for each in found for members in each.settings.values() for c in members
    }
    return [pair for pairs in FAMILIES.values() for pair in pairs if pair in present]


def _shift(number: int, count: int) -> float:
    """Place of a setting about its line."""
    step = min(_STEP / max(count - 1, 1), 0.24)
    return (number - (count - 1) / 2) * step


def _limit(found: Sequence[Contrasts]) -> float:
    """Half the width of the axis: all differences, and intervals of usual lengths."""
    members = [c for each in found for part in each.settings.values() for c in part]
    means = [abs(c.difference.estimate.mean) for c in members]
    ends = sorted(max(abs(low), abs(high)) for c in members for low, high in _intervals(c))
    usual = ends[int(0.9 * (len(ends) - 1))] if ends else 0.0
    return _CUT * max(*means, usual, 0.005)


def _intervals(comparison: Comparison) -> list[tuple[float, float]]:
    """Over seeds, then over seeds and patients; those that exist."""
    both, seeds = comparison.result.both, comparison.difference.estimate
    pairs = [(seeds.low, seeds.high), (both.low, both.high)]
    return [(low, high) for low, high in pairs if low is not None and high is not None]


def _mark(panel: Axes, comparison: Comparison, y: float, own: Look, theme: Theme) -> None:
    both, seeds = comparison.result.both, comparison.difference.estimate
    if both.low is not None and both.high is not None:
        panel.plot([both.low, both.high], [y, y], lw=1, color=own.colour, solid_capstyle="butt")
    if seeds.low is not None and seeds.high is not None:
        panel.plot([seeds.low, seeds.high], [y, y], lw=3, alpha=0.45, color=own.colour,
                   solid_capstyle="butt")  # fmt: skip
    face = own.colour if comparison.claimed else theme.ground
    panel.plot(seeds.mean, y, own.marker, ms=6.5, color=own.colour, mfc=face, mew=1.4)


def _handles(looks: Mapping[str, Look], theme: Theme) -> list[Line2D]:
    named = [
        Line2D(
            [],
            [],
            color=each.colour,
            marker=each.marker,
            mfc=theme.ground,
            mew=1.4,
            ls="",
            ms=6.5,
            label=name,
        )
        for name, each in looks.items()
        if name
    ]
    words = {"claimed": theme.muted, "no evidence of a difference": theme.ground}
    return named + [
        Line2D([], [], color=theme.muted, marker="h", mfc=face, mew=1.4, ls="", ms=8, label=text)
        for text, face in words.items()
    ]
