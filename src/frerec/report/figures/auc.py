"""The AUC of every arm: seeds, mean, interval, and the paper's value beside it."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from frerec.evaluation.statistics import mean_interval
from frerec.report.comparisons import Group, groups, summary
from frerec.report.figures.panels import arm_looks
from frerec.report.published import CLASSIFIERS, lookup
from frerec.report.run import Run
from frerec.report.style import Theme

_PAPER_MARKERS = dict(zip(CLASSIFIERS, ("s", "^", "D"), strict=True))


def auc_figure(run: Run, theme: Theme) -> Figure:
    """AUC per arm: seeds, mean, interval, and the paper's value where the classifier matches."""
    blocks = [block for block in groups(run) if any(map(block.finished, block.arms))]
    colours = {arm: each.colour for arm, each in arm_looks(run, theme).items()}
    rows = [len(block.arms) for block in blocks]
    figure = Figure(figsize=(6.4, 1.0 + 0.45 * sum(rows) + 0.35 * len(rows)), layout="constrained")
    panels = figure.subplots(
        len(blocks), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": rows}
    )[:, 0]
    papers: list[str] = []
    for panel, block in zip(panels, blocks, strict=True):
        papers += _auc_panel(panel, block, colours, theme)
    panels[-1].set_xlabel("test AUC")
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
    panel.set_ylim(len(block.arms) - 0.5, -0.5)
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
