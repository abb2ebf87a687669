"""Reliability diagrams: how often a prediction of some confidence is right, and how many are."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frerec.evaluation.curves import Reliability, reliability
from frerec.report.figures.panels import Panel, arm_looks, arm_panels, panel_grid
from frerec.report.run import Run
from frerec.report.style import Look, Theme
from frerec.report.tabular import fixed

BINS = 10  # [ours] of the figure; the calibration error beside it has 15, as the table's
_NUDGE = 0.006  # between the intervals of arms, so that they do not hide each other


Shares = Mapping[tuple[str, str], Reliability]  # by the title of a panel and the arm


def reliability_shares(run: Run) -> Shares:
    """What is drawn, for both themes."""
    return {
        (panel.title, arm): reliability(panel.predictions(arm), BINS)
        for panel in arm_panels(run)
        for arm in panel.arms
    }


def reliability_figure(run: Run, theme: Theme, shares: Shares | None = None) -> Figure:
    """A panel a block of arms: share that came true by confidence, the counts beneath."""
    panels, looks = arm_panels(run), arm_looks(run, theme)
    shares = reliability_shares(run) if shares is None else shares
    figure, (rows, columns) = panel_grid(len(panels), 3.9 if len(panels) > 1 else 5.6, 5.0)
    outer = figure.add_gridspec(rows, columns)
    for number, panel in enumerate(panels):
        cell = outer[divmod(number, columns)].subgridspec(2, 1, height_ratios=[3.2, 1])
        upper = figure.add_subplot(cell[0])
        lower = figure.add_subplot(cell[1], sharex=upper)
        for place, arm in enumerate(panel.arms):
            shift = (place - (len(panel.arms) - 1) / 2) * _NUDGE
            _arm(upper, lower, shares[panel.title, arm], _label(panel, arm), looks[arm], shift)
        upper.plot([0, 1], [0, 1], color=theme.muted, lw=0.8, ls=(0, (2, 3)), zorder=1)
        upper.set_xlim(1 / _classes(panel) - 0.03, 1.02)
        upper.set_ylim(-0.02, 1.02)
        upper.tick_params(labelbottom=False)
        upper.set_title(panel.title, fontsize=10)
        upper.set_ylabel("share correct")
        upper.legend(loc="lower right", fontsize=8.5, title="arm, ECE", title_fontsize=8.5)
        lower.set_ylabel("images")
        lower.set_ylim(bottom=0)
        lower.set_xlabel("probability of the predicted class")
    return figure


def reliability_alt(run: Run) -> str:
    """The calibration errors in words."""
    blocks = []
    for panel in arm_panels(run):
        parts = [_label(panel, arm) for arm in panel.arms]
        blocks.append(f"{panel.title}: {', '.join(parts)}")
    return (
        "Reliability diagrams of the arms; expected calibration error, mean over the seeds. "
        + "; ".join(blocks)
        + "."
    )


def _arm(
    upper: Axes, lower: Axes, found: Reliability, label: str, look: Look, shift: float
) -> None:
    filled = found.counts > 0
    x, y = found.confidence[filled], found.accuracy[filled]
    upper.vlines(x + shift, found.low[filled], found.high[filled], color=look.colour, alpha=0.45,
                 lw=1.2)  # fmt: skip
    upper.plot(
        x + shift, y, color=look.colour, ls=look.line, lw=1.4, marker=look.marker, ms=5,
        label=label,
    )  # fmt: skip
    lower.stairs(found.counts, found.edges, color=look.colour, ls=look.line, lw=1.3)


def _label(panel: Panel, arm: str) -> str:
    return f"{arm} {fixed(_error(panel, arm))}"


def _classes(panel: Panel) -> int:
    """Of the predictions themselves: runs that are put together may have other names for them."""
    made = next(iter(panel.predictions(panel.arms[0]).values()))
    return int(made.probabilities.shape[1])


def _error(panel: Panel, arm: str) -> float:
    """The metric ``ece``, mean over the seeds."""
    values = [cell.test["ece"] for cell in panel.group.finished(arm)]
    return sum(values) / len(values)
