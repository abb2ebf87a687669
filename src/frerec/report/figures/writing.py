"""Draws what a run has results for, each figure for the section that it stands in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from frerec.report import published
from frerec.report.blocks import AXIS_WORDS, DOSE
from frerec.report.cells import TRAIN_SIZE
from frerec.report.figures import (
    along,
    auc,
    axis_curves,
    contrasts,
    differences,
    embedding,
    mean_spectra,
    reliability,
    roc,
    sensitivity,
    spectra,
    varied,
)
from frerec.report.figures.files import FORMATS, FigureFiles, save_figure
from frerec.report.run import Run
from frerec.report.sample_grid import choose, sample_grid
from frerec.report.showcase import SET_TITLES, Showcase
from frerec.report.style import Theme


@dataclass(frozen=True)
class _Figure:
    """A figure to draw: as in :class:`FigureFiles`, but for the files."""

    name: str
    section: str
    title: str
    draw: Callable[[Theme], Figure]
    alt: str
    caption: str
    shown: str = "svg"


def write_figures(run: Run, folder: Path, formats: Sequence[str] = FORMATS) -> list[FigureFiles]:
    """Draw what the run has results for.

    Args:
        run: the run.
        folder: gets NAME.SUFFIX and NAME_dark.SUFFIX; it must exist.
        formats: the suffixes, of FORMATS; without any, nothing is drawn.

    Returns:
        The figures in the order of the report; none for what is missing.
    """
    if not formats:
        return []
    return [
        save_figure(
            folder, each.name, each.draw, title=each.title, alt=each.alt, caption=each.caption,
            section=each.section, shown=each.shown, formats=formats,
        )
        for each in _figures(run)
    ]  # fmt: skip


def _figures(run: Run) -> Iterator[_Figure]:
    if run.finished:
        yield from _of_results(run)
        yield from _of_axes(run)
        yield from _of_sensitivity(run)
        yield from _of_classifiers(run)
    shown = [(source, source.showcase) for source in run.sources if source.showcase is not None]
    for number, (source, show) in enumerate(shown, 1):
        mark, where = (f"_{number}", f", {source.name}") if len(shown) > 1 else ("", "")
        for each in (*_of_images(source, show), *_of_features(source, show)):
            yield replace(each, name=f"{each.name}{mark}", title=f"{each.title}{where}")


def _of_results(run: Run) -> Iterator[_Figure]:
    papers = "Open markers are the paper's values, shown where the classifier is the same."
    yield _Figure(
        "auc",
        "results",
        "AUC by arm",
        lambda theme: auc.auc_figure(run, theme),
        auc.auc_alt(run),
        "Test AUC: one dot a seed; diamond and bar are the mean and its 95 % Student-t interval "
        f"over the seeds. {papers if auc.has_published(run) else ''}",
    )
    found = contrasts.contrasts(run)
    if found:
        yield _Figure(
            "contrasts",
            "results",
            "Differences between arms",
            lambda theme: contrasts.contrast_figure(found, theme),
            contrasts.contrast_alt(found),
            "Paired difference in test AUC with its 95 % intervals, over the seeds (broad) and "
            "over seeds and patients (thin), cut where they leave the panel. Filled: claimed, it "
            "holds over seeds and over patients after Holm's correction.",
        )


def _of_axes(run: Run) -> Iterator[_Figure]:
    titles = {DOSE: "Dose and response", TRAIN_SIZE: "Learning curves"}
    for axis, panels in along.axes_along(run).items():
        yield _Figure(
            along.stem(axis),
            "results",
            titles.get(axis, f"AUC by {AXIS_WORDS.get(axis, axis)}"),
            partial(axis_curves.axis_figure, panels, run),
            axis_curves.axis_alt(panels),
            axis_curves.axis_caption(panels),
        )


def _of_sensitivity(run: Run) -> Iterator[_Figure]:
    curves, maps = varied.curves(run), varied.heat_maps(run)
    if curves:
        yield _Figure(
            "sensitivity",
            "sensitivity",
            "Sensitivity to SHR's settings",
            lambda theme: sensitivity.sensitivity_figure(curves, run, theme),
            sensitivity.sensitivity_alt(curves),
            "Test AUC: small markers are seeds, large ones their mean, bars its 95 % Student-t "
            "interval, cut where it leaves the panel; arms are moved a little sideways so that "
            "they do not cover each other. A line without markers is an arm that the setting does "
            f"not touch. Dashed: the paper's setting (r = {published.RATIO}, "
            f"K = {published.NEIGHBOURS}). {varied.uneven_seeds(curves)}",
        )
    if maps:
        yield _Figure(
            "sensitivity_map",
            "sensitivity",
            "Sensitivity to r and K together",
            lambda theme: sensitivity.heat_map_figure(maps, theme),
            sensitivity.heat_map_alt(maps),
            "Mean test AUC over the seeds at each pair of r and K, all on one colour scale; the "
            "frame is the paper's setting, where the run has it. Numbers of seeds are given where "
            "they differ.",
        )


def _of_classifiers(run: Run) -> Iterator[_Figure]:
    bands, shares = roc.roc_bands(run), reliability.reliability_shares(run)
    yield _Figure(
        "roc",
        "classifiers",
        "ROC curves",
        lambda theme: roc.roc_figure(run, theme, bands),
        roc.roc_alt(run),
        "Sensitivity at each false-positive rate on the test images, mean over the seeds (and over "
        "the classes against the rest, where there are more than two). "
        f"{roc.roc_covers(bands)} Bands of two arms may overlap though their paired difference is "
        "clear: the comparisons tell.",
    )
    yield _Figure(
        "reliability",
        "classifiers",
        "Reliability of the probabilities",
        lambda theme: reliability.reliability_figure(run, theme, shares),
        reliability.reliability_alt(run),
        "Above: how often the predicted class is right, by its probability, in bins of "
        f"{1 / reliability.BINS:g}; the dotted line is perfect calibration. Bars are Wilson's 95 % "
        "intervals, which take images as independent: with several images of a patient they are "
        "too narrow. Below: test images in each bin, mean over the seeds. ECE is the expected "
        "calibration error (15 bins).",
    )


def _of_images(run: Run, show: Showcase) -> Iterator[_Figure]:
    if mean_spectra.shown_planes(show):
        yield _Figure(
            "mean_spectra",
            "images",
            "Mean spectra",
            lambda theme: mean_spectra.mean_spectra_figure(show, theme),
            mean_spectra.mean_spectra_alt(show),
            "Mean log power over the frequency plane, all on one colour scale, and the differences "
            "to real images on one diverging scale (white: none), both in dB; the mean brightness "
            "is in the middle. Axes: frequency over the Nyquist frequency; the dashed ring is "
            "ρ\u00a0=\u00a00.5, the border of the high band.",
            "png",
        )
    if "real" in show.spectra and len(show.spectra) > 1:
        yield _Figure(
            "spectra",
            "images",
            "Radial spectra",
            lambda theme: spectra.spectra_figure(show, theme),
            spectra.spectra_alt(show),
            "Above: mean natural-log power over radial frequency with a band of one standard "
            "deviation over the images. Below: difference of the mean to real images in dB. The "
            "high band that FreRec recalibrates (ρ\u00a0≥\u00a00.5) is shaded; the mean brightness "
            "(ρ = 0) is left out.",
        )
    if choose(show):
        shown = ", ".join(SET_TITLES[name] for name in choose(show))
        yield _Figure(
            "samples",
            "images",
            "Samples and their spectra",
            lambda theme: sample_grid(show, run.classes, theme),
            f"Grid of example images with their log-amplitude spectra; rows: {shown}.",
            "Each image with its centred two-dimensional log-amplitude spectrum, all spectra on "
            "one colour scale; the ring marks ρ = 0.5. Below the first row a column is one "
            "synthetic image at each stage.",
            "png",
        )
    if differences.shown_pairs(show):
        yield _Figure(
            "differences",
            "images",
            "What calibration changes",
            lambda theme: differences.differences_figure(show, theme),
            differences.differences_alt(show),
            "A column is one image before and after calibration, and below it after minus before "
            "(mean over the channels), all differences on one scale with white at no difference.",
            "png",
        )


def _of_features(run: Run, show: Showcase) -> Iterator[_Figure]:
    if embedding.shown_methods(show):
        yield _Figure(
            "embedding",
            "embedding",
            "Features before and after calibration",
            lambda theme: embedding.embedding_figure(show, run.classes, theme),
            embedding.embedding_alt(show),
            embedding.embedding_caption(show),
        )
