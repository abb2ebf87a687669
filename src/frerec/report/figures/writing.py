"""Draws what a run has results for, each figure for the section that it stands in."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from frerec.report.figures import (
    auc,
    differences,
    embedding,
    mean_spectra,
    reliability,
    roc,
    sensitivity,
    spectra,
)
from frerec.report.figures.files import FORMATS, FigureFiles, save_figure
from frerec.report.run import Run
from frerec.report.sample_grid import choose, sample_grid
from frerec.report.showcase import SET_TITLES, Showcase

Save = Callable[..., FigureFiles]  # save_figure with its folder and formats


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
    save = partial(save_figure, folder, formats=formats)
    written = _of_results(run, save) if run.finished else []
    shown = [(source, source.showcase) for source in run.sources if source.showcase is not None]
    for number, (source, show) in enumerate(shown, 1):
        mark, where = (f"_{number}", f", {source.name}") if len(shown) > 1 else ("", "")
        written += _of_images(source, show, save, mark, where)
        written += _of_features(source, show, save, mark, where)
    return written


def _of_results(run: Run, save: Save) -> list[FigureFiles]:
    published = "Open markers are the paper's values, shown where the classifier is the same."
    written = [
        save(
            "auc",
            lambda theme: auc.auc_figure(run, theme),
            title="AUC by arm",
            alt=auc.auc_alt(run),
            caption="Test AUC: one dot a seed; diamond and bar are the mean and its 95 % Student-t "
            "interval over the seeds. " + (published if auc.has_published(run) else ""),
            section="results",
        )
    ]
    curves, maps = sensitivity.curves(run), sensitivity.heat_maps(run)
    if curves:
        written.append(
            save(
                "sensitivity",
                lambda theme: sensitivity.sensitivity_figure(curves, run, theme),
                title="Sensitivity to SHR's settings",
                alt=sensitivity.sensitivity_alt(curves),
                caption="Test AUC: small markers are seeds, large ones their mean, bars its 95 % "
                "Student-t interval; arms are moved a little sideways so that they do not cover "
                "each other. A line without markers is an arm that the setting does not touch. "
                "Dashed: the paper's setting (r = 0.5, K = 200).",
                section="sensitivity",
            )
        )
    if maps:
        written.append(
            save(
                "sensitivity_map",
                lambda theme: sensitivity.heat_map_figure(maps, theme),
                title="Sensitivity to r and K together",
                alt=sensitivity.heat_map_alt(maps),
                caption="Mean test AUC over the seeds at each pair of r and K, all on one colour "
                "scale; the frame is the paper's setting, where the run has it.",
                section="sensitivity",
            )
        )
    written += [
        save(
            "roc",
            lambda theme: roc.roc_figure(run, theme),
            title="ROC curves",
            alt=roc.roc_alt(run),
            caption="Sensitivity at each false-positive rate on the test images, mean over the "
            "seeds (and over the classes against the rest, where there are more than two), with "
            f"its pointwise 95 % bootstrap band over {roc.roc_covers(run)}. Bands of two arms may "
            "overlap though their paired difference is clear: the comparisons tell.",
            section="classifiers",
        ),
        save(
            "reliability",
            lambda theme: reliability.reliability_figure(run, theme),
            title="Reliability of the probabilities",
            alt=reliability.reliability_alt(run),
            caption="Above: how often the predicted class is right, by its probability, in bins "
            f"of {1 / reliability.BINS:g}; bars are Wilson's 95 % intervals, the dotted line is "
            "perfect calibration. Below: test images in each bin, mean over the seeds. ECE is the "
            "expected calibration error (15 bins).",
            section="classifiers",
        ),
    ]
    return written


def _of_images(run: Run, show: Showcase, save: Save, mark: str, where: str) -> list[FigureFiles]:
    written = []
    if mean_spectra.shown_planes(show):
        written.append(
            save(
                f"mean_spectra{mark}",
                lambda theme: mean_spectra.mean_spectra_figure(show, theme),
                title=f"Mean spectra{where}",
                alt=mean_spectra.mean_spectra_alt(show),
                caption="Mean log power over the frequency plane, all on one colour scale, and "
                "the differences to real images on one diverging scale (white: none), both in "
                "dB; the mean brightness is in the middle. Axes: frequency over the Nyquist "
                "frequency; the dashed ring is ρ\u00a0=\u00a00.5, the border of the high band.",
                section="images",
                shown="png",
            )
        )
    if "real" in show.spectra and len(show.spectra) > 1:
        written.append(
            save(
                f"spectra{mark}",
                lambda theme: spectra.spectra_figure(show, theme),
                title=f"Radial spectra{where}",
                alt=spectra.spectra_alt(show),
                caption="Above: mean natural-log power over radial frequency with a band of one "
                "standard deviation over the images. Below: difference of the mean to real images "
                "in dB. The high band that FreRec recalibrates (ρ\u00a0≥\u00a00.5) is shaded; the "
                "mean brightness (ρ = 0) is left out.",
                section="images",
            )
        )
    if choose(show):
        shown = ", ".join(SET_TITLES[name] for name in choose(show))
        written.append(
            save(
                f"samples{mark}",
                lambda theme: sample_grid(show, run.classes, theme),
                title=f"Samples and their spectra{where}",
                alt=f"Grid of example images with their log-amplitude spectra; rows: {shown}.",
                caption="Each image with its centred two-dimensional log-amplitude spectrum, all "
                "spectra on one colour scale; the ring marks ρ = 0.5. Below the first row a "
                "column is one synthetic image at each stage.",
                section="images",
                shown="png",
            )
        )
    if differences.shown_pairs(show):
        written.append(
            save(
                f"differences{mark}",
                lambda theme: differences.differences_figure(show, theme),
                title=f"What calibration changes{where}",
                alt=differences.differences_alt(show),
                caption="A column is one image before and after calibration, and below it after "
                "minus before (mean over the channels), all differences on one scale with white "
                "at no difference.",
                section="images",
                shown="png",
            )
        )
    return written


def _of_features(run: Run, show: Showcase, save: Save, mark: str, where: str) -> list[FigureFiles]:
    if not embedding.shown_methods(show):
        return []
    return [
        save(
            f"embedding{mark}",
            lambda theme: embedding.embedding_figure(show, run.classes, theme),
            title=f"Features before and after calibration{where}",
            alt=embedding.embedding_alt(show),
            caption=embedding.embedding_caption(show),
            section="embedding",
        )
    ]
