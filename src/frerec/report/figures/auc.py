"""The AUC of every arm: seeds, mean, interval, and the paper's value beside it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from frerec.evaluation.statistics import mean_interval
from frerec.report.comparisons import Group, groups, summary
from frerec.report.figures.panels import ACROSS, arm_looks
from frerec.report.published import CLASSIFIERS, lookup
from frerec.report.run import Run
from frerec.report.style import Theme

_PAPER_MARKERS = dict(zip(CLASSIFIERS, ("s", "^", "D"), strict=True))


def auc_figure(run: Run, theme: Theme) -> Figure:
    """AUC per arm: seeds, mean, interval, and the paper's value where the classifier matches."""
    blocks = [block for block in groups(run) if any(map(block.finished, block.arms))]
    colours = {arm: each.colour for arm, each in arm_looks(run, theme).items()}
    lines = _lines(blocks)
    across = max(map(len, lines))
    rows = [max(len(block.arms) for block in line) for line in lines]
    size = (6.4 if across == 1 else 4.2 * across, 1.0 + 0.45 * sum(rows) + 0.35 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(
        len(lines), across, sharex=True, squeeze=False, gridspec_kw={"height_ratios": rows}
    )
    papers: list[str] = []
    for panels, line, most in zip(grid, lines, rows, strict=True):
        for panel, block in zip(panels, line, strict=False):
            papers += _auc_panel(panel, block, colours, theme)
            panel.set_ylim(most - 0.5, -0.5)
        for panel in panels[len(line) :]:
            panel.set_visible(False)
    for column, panels in enumerate(grid.T):
        last = max(i for i, line in enumerate(lines) if len(line) > column)
        panels[last].tick_params(labelbottom=True)
        panels[last].set_xlabel("test AUC")
    handles = [
        Line2D([], [], color=theme.text, marker="o", ls="", ms=4.5, alpha=0.55, label="a seed"),
        Line2D([], [], color=theme.text, marker="D", ms=6, lw=2, label="mean, 95 % interval"),
    ]
    handles += [
        Line2D([], [], color=theme.text, marker=_PAPER_MARKERS[name], ls="", ms=7, mfc="none",
               label=f"paper, {name}")
        for name in dict.fromkeys(papers)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper left", ncols=3, fontsize=9.5)
    return figure


def _lines(blocks: Sequence[Group]) -> list[list[Group]]:
    """The panels line by line: one each, but blocks that differ in further axes beside each other.

    So stand train sizes of a data set, where a column of them all would be too high to be seen.
    """
    families: dict[tuple[str, str, str], list[Group]] = {}
    for block in blocks:
        families.setdefault((block.data, block.generator, block.classifier), []).append(block)
    return [
        members[i : i + ACROSS]
        for members in families.values()
        for i in range(0, len(members), ACROSS)
    ]


def _auc_panel(panel: Axes, block: Group, colours: Mapping[str, str], theme: Theme) -> list[str]:
    papers = []
    for y, arm in enumerate(block.arms):
        values = [cell.test["auc"] for cell in block.finished(arm)]
        if values:
            mean = mean_interval(values)
            offsets = np.linspace(-0.1, 0.1, len(values)) if len(values) > 1 else np.zeros(1)
            panel.plot(values, y + 0.2 + offsets, "o", ms=4.5, alpha=0.55, color=colours[arm],
                       mec="none")  # fmt: skip
            if mean.low is not None and mean.high is not None:
                panel.plot([mean.low, mean.high], [y - 0.12] * 2, lw=2, color=colours[arm],
                           solid_capstyle="butt")  # fmt: skip
            panel.plot(mean.mean, y - 0.12, "D", ms=6.5, color=colours[arm], mec=theme.ground,
                       mew=0.8)  # fmt: skip
        else:
            panel.annotate("no result yet", (0.02, y), xycoords=("axes fraction", "data"),
                           va="center", color=theme.muted, fontsize=9)  # fmt: skip
        paper = lookup(block.published, arm, block.classifier)
        if paper is not None and paper.classifier is not None and paper.auc is not None:
            papers.append(paper.classifier)
            panel.plot(paper.auc, y - 0.12, _PAPER_MARKERS[paper.classifier], ms=8, mfc="none",
                       mec=theme.text, mew=1.3)  # fmt: skip
    panel.set_yticks(range(len(block.arms)), list(block.arms))
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)
    panel.set_title(block.title)
    return papers


def has_published(run: Run) -> bool:
    """Whether a value of the paper is drawn."""
    return any(
        paper is not None and paper.auc is not None
        for block in groups(run)
        for arm in block.arms
        for paper in [lookup(block.published, arm, block.classifier)]
    )


def auc_alt(run: Run) -> str:
    """The means in words."""
    blocks = [
        f"{block.title}: " + ", ".join(summary(block, arm) for arm in block.arms)
        for block in groups(run)
    ]
    return "Dot plot of the mean test AUC by arm. " + "; ".join(blocks) + "."
