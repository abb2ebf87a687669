"""The figures of the report, each in a light and a dark theme, as PNG and SVG."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from frerec.evaluation.statistics import mean_interval
from frerec.report.comparisons import Group, arm_order, groups, summary
from frerec.report.published import CLASSIFIERS, lookup
from frerec.report.run import Run
from frerec.report.sample_grid import choose, sample_grid
from frerec.report.showcase import SET_TITLES, Showcase
from frerec.report.style import LIGHT, THEMES, Theme, drawing
from frerec.report.tabular import fixed

HIGH_BAND = 0.5
DB_PER_NEPER = 10 / math.log(10)
_LINES = {
    "real": "-",
    "synthetic": "-",
    "synthetic_shr": "-.",
    "synthetic_frerec": "-",
    "synthetic_calibrated": "-",
    "real_frerec": "--",
}
_PAPER_MARKERS = dict(zip(CLASSIFIERS, ("s", "^", "D"), strict=True))
_DPI = 200


@dataclass(frozen=True)
class FigureFiles:
    """A figure as written: `light` and `dark` map a suffix (png, svg) to its file."""

    name: str
    title: str
    alt: str
    caption: str
    light: Mapping[str, Path]
    dark: Mapping[str, Path]


def write_figures(run: Run, folder: Path) -> list[FigureFiles]:
    """Draw what the run has results for.

    Args:
        run: the run.
        folder: gets NAME.png, NAME.svg, NAME_dark.png, NAME_dark.svg; it must exist.

    Returns:
        The figures in the order of the report; none for what is missing.
    """
    written = []
    if run.finished:
        written.append(
            _write(
                folder,
                "auc",
                "AUC by arm",
                _auc_alt(run),
                "Test AUC: one dot a seed; diamond and bar are the mean and its 95 % Student-t "
                "interval over the seeds. "
                + (
                    "Open markers are the paper's values, shown where the classifier is the same."
                    if _has_published(run)
                    else ""
                ),
                lambda theme: auc_figure(run, theme),
            )
        )
    show = run.showcase
    if show is not None and "real" in show.spectra and len(show.spectra) > 1:
        written.append(
            _write(
                folder,
                "spectra",
                "Radial spectra",
                _spectra_alt(show),
                "Above: mean natural-log power over radial frequency with a band of one standard "
                "deviation over the images. Below: difference of the mean to real images in dB. "
                "The high band that FreRec recalibrates (ρ\u00a0≥\u00a00.5) is shaded; the mean "
                "brightness (ρ = 0) is left out.",
                lambda theme: spectra_figure(show, theme),
            )
        )
    if show is not None and choose(show):
        shown = ", ".join(SET_TITLES[name] for name in show.images)
        written.append(
            _write(
                folder,
                "samples",
                "Samples and their spectra",
                f"Grid of example images with their log-amplitude spectra; rows: {shown}.",
                "Each image with its centred two-dimensional log-amplitude spectrum, all spectra "
                "on one colour scale; the ring marks ρ = 0.5. Below the first row a column is "
                "one synthetic image at each stage.",
                lambda theme: sample_grid(show, run.classes, theme),
            )
        )
    return written


def _write(
    folder: Path,
    name: str,
    title: str,
    alt: str,
    caption: str,
    draw: Callable[[Theme], Figure],
) -> FigureFiles:
    files: dict[str, dict[str, Path]] = {}
    for theme in THEMES:
        stem = name if theme is LIGHT else f"{name}_{theme.name}"
        files[theme.name] = {suffix: folder / f"{stem}.{suffix}" for suffix in ("png", "svg")}
        with drawing(theme):
            figure = draw(theme)
            figure.savefig(files[theme.name]["png"], dpi=_DPI)
            figure.savefig(files[theme.name]["svg"], metadata={"Date": None})
    return FigureFiles(name, title, alt, caption.strip(), files["light"], files["dark"])


def auc_figure(run: Run, theme: Theme) -> Figure:
    """AUC per arm: seeds, mean, interval, and the paper's value where the classifier matches."""
    blocks = [block for block in groups(run) if any(map(block.finished, block.arms))]
    colours = {arm: theme.cycle[i % len(theme.cycle)] for i, arm in enumerate(arm_order(run))}
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


def spectra_figure(show: Showcase, theme: Theme) -> Figure:
    """Radial log power with bands, and the difference of each mean to the real one in dB."""
    figure = Figure(figsize=(6.4, 6.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.25, 1]})
    keep = show.rho > 0
    rho = show.rho[keep]
    for panel in (upper, lower):
        panel.axvspan(HIGH_BAND, float(rho.max()), color=theme.shade, lw=0, zorder=0)
    real = show.spectra["real"][0][keep]
    for name in [name for name in SET_TITLES if name in show.spectra]:
        mean, std = (values[keep] for values in show.spectra[name])
        style = {"color": theme.series[name], "ls": _LINES[name], "lw": 1.8}
        upper.fill_between(rho, mean - std, mean + std, color=theme.series[name], alpha=0.13, lw=0)
        upper.plot(rho, mean, label=SET_TITLES[name], **style)
        lower.plot(rho, DB_PER_NEPER * (mean - real), **style)
    upper.set_ylabel("natural-log power")
    upper.set_title("Radial power")
    lower.set_ylabel("difference, dB")
    lower.set_title("Difference to real images")
    lower.set_xlabel("radial frequency ρ, fraction of the Nyquist radius")
    lower.set_xlim(0, float(rho.max()))
    upper.annotate("high band", (HIGH_BAND, 0.985), xycoords=("data", "axes fraction"),
                   xytext=(5, 0), textcoords="offset points", va="top",
                   color=theme.muted, fontsize=9)  # fmt: skip
    figure.legend(loc="outside upper left", ncols=2, fontsize=9.5)
    return figure


def _has_published(run: Run) -> bool:
    return any(
        paper is not None and paper.auc is not None
        for block in groups(run)
        for arm in block.arms
        for paper in [lookup(block.published, arm, block.classifier)]
    )


def _auc_alt(run: Run) -> str:
    blocks = [
        f"{block.title}: " + ", ".join(summary(block, arm) for arm in block.arms)
        for block in groups(run)
    ]
    return "Dot plot of the mean test AUC by arm. " + "; ".join(blocks) + "."


def _spectra_alt(show: Showcase) -> str:
    keep = show.rho >= HIGH_BAND
    real = show.spectra["real"][0]
    parts = [
        f"{SET_TITLES[name]} {fixed(float(DB_PER_NEPER * (mean - real)[keep].mean()), 1)} dB"
        for name, (mean, _) in show.spectra.items()
        if name != "real" and keep.any()
    ]
    return (
        "Line plot of the radial power spectra. Mean difference to real images in the high band: "
        + ", ".join(parts)
        + "."
    )
