"""ROC curves of the arms: the mean over the seeds with its band."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frerec.evaluation.curves import RocBand, roc_band
from frerec.evaluation.statistics import mean_interval
from frerec.report.figures.panels import Panel, arm_looks, arm_panels, panel_grid
from frerec.report.run import Run
from frerec.report.style import Look, Theme
from frerec.report.tabular import fixed

_MARKS = 6  # markers along a curve


Bands = Mapping[tuple[str, str], RocBand]  # by the title of a panel and the arm


def roc_bands(run: Run) -> Bands:
    """What is drawn, for both themes."""
    return {
        (panel.title, arm): roc_band(panel.predictions(arm))
        for panel in arm_panels(run)
        for arm in panel.arms
    }


def roc_figure(run: Run, theme: Theme, bands: Bands | None = None) -> Figure:
    """A panel a block of arms; mean sensitivity at each false-positive rate, with its band."""
    panels, looks = arm_panels(run), arm_looks(run, theme)
    bands = roc_bands(run) if bands is None else bands
    figure, (rows, columns) = panel_grid(len(panels), 3.9 if len(panels) > 1 else 5.6, 4.3)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("sensitivity")
    for axis, panel in zip(axes.flat, panels, strict=False):
        for arm in panel.arms:
            _curve(axis, panel, arm, bands[panel.title, arm], looks[arm])
        axis.plot([0, 1], [0, 1], color=theme.muted, lw=0.8, ls=(0, (2, 3)), zorder=1)
        axis.set_aspect("equal")
        axis.set_xlim(-0.01, 1.01)
        axis.set_ylim(-0.01, 1.01)
        axis.set_title(panel.title, fontsize=10)
        axis.set_xlabel("1 − specificity")
        axis.tick_params(labelbottom=True)
        axis.legend(loc="lower right", fontsize=8.5, title="arm, mean AUC", title_fontsize=8.5)
    return figure


def roc_covers(bands: Bands) -> str:
    """What the drawn bands are over, as a sentence; by arm where they differ."""
    drawn: dict[str, list[str]] = {}
    for (_, arm), band in bands.items():
        drawn.setdefault(band.covers, []).append(arm)
    words = {
        "seeds and patients": "over seeds and patients",
        "patients": "over patients alone (one seed)",
        "": "not drawn (too few patients to draw from)",
    }
    parts = [
        words.get(covers, f"over {covers}")
        + (f" for {', '.join(dict.fromkeys(arms))}" if len(drawn) > 1 else "")
        for covers, arms in drawn.items()
    ]
    return f"The pointwise 95 % bootstrap band is {', '.join(parts)}."


def roc_alt(run: Run) -> str:
    """The mean AUC behind each curve in words."""
    blocks = []
    for panel in arm_panels(run):
        parts = [f"{arm} {fixed(_auc(panel, arm))}" for arm in panel.arms]
        blocks.append(f"{panel.title}: {', '.join(parts)}")
    return "ROC curves of the arms; mean AUC of each. " + "; ".join(blocks) + "."


def _curve(axis: Axes, panel: Panel, arm: str, band: RocBand, look: Look) -> None:
    if band.low is not None and band.high is not None:
        axis.fill_between(band.fpr, band.low, band.high, color=look.colour, alpha=0.09, lw=0)
    step = len(band.fpr) // _MARKS
    first = (step // len(panel.arms)) * panel.arms.index(arm) + step // 4
    axis.plot(
        band.fpr, band.mean, color=look.colour, ls=look.line, lw=1.7, marker=look.marker, ms=4.5,
        markevery=(first, step), label=f"{arm} {fixed(_auc(panel, arm))}",
    )  # fmt: skip


def _auc(panel: Panel, arm: str) -> float:
    return mean_interval([cell.test["auc"] for cell in panel.group.finished(arm)]).mean
