"""The figures of a diagnosis, each in a light and a dark theme, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from frerec.calibration.reconstruction import HIGH_BAND
from frerec.diagnosis.measuring import Spectra
from frerec.diagnosis.pairs import LIMIT, pairs_figure
from frerec.diagnosis.planes import planes_figure
from frerec.diagnosis.sets import Measured
from frerec.diagnosis.verdict import DETECTOR_TITLES, TITLES, figure_text
from frerec.report.figures import FigureFiles
from frerec.report.style import LIGHT, THEMES, Theme, drawing

SERIES_TITLES = {
    "real": "real",
    "synthetic": "synthetic",
    "real_calibrated": "real, calibrated",
    "synthetic_calibrated": "synthetic, calibrated",
}
# Colours of the benchmark's report, whose calibrated sets are called by its arms.
_COLOURS = {"real_calibrated": "real_frerec", "synthetic_calibrated": "synthetic_frerec"}
_LINES = {"real": "-", "synthetic": "-", "real_calibrated": "--", "synthetic_calibrated": "-."}
_MARKERS = {"logistic": "o", "rbf_svm": "s"}
_DPI = 160


def write_figures(
    folder: Path,
    spectra: Mapping[str, Spectra],
    real: Measured,
    synthetic: Measured,
    numbers: Mapping[str, Any],
) -> list[FigureFiles]:
    """Draw everything there is into `folder`: NAME.png, NAME.svg, and the same with ``_dark``.

    Args:
        folder: must exist.
        spectra: by name of the series.
        real: the real images.
        synthetic: the synthetic images.
        numbers: as :func:`frerec.diagnosis.summary.summarise` gives them.

    Returns:
        The figures in the order of the page; that of the detectors only where there are any.
    """
    comparisons = numbers["comparisons"]
    written = [
        _write(
            folder,
            "radial",
            "Radial spectra",
            _radial_alt(numbers),
            "Above: radial log power, mean over the images, with the band that holds the middle "
            "90 % of them. Below: difference of the mean to that of the real images. The high band "
            f"(ρ\u00a0≥\u00a0{HIGH_BAND}) is shaded; the mean brightness (ρ = 0) is left out.",
            lambda theme: radial_figure(numbers["radial"], theme),
        ),
        _write(
            folder,
            "planes",
            "Mean two-dimensional spectra",
            "Maps of the mean log power over both frequency axes, with the mean brightness in the "
            f"middle, of the images: {', '.join(SERIES_TITLES[name] for name in spectra)}; below "
            "them maps of their differences. " + _power_alt(comparisons),
            "Mean log power over the frequency plane, all on one colour scale, and the differences "
            "on one diverging scale (white: none), both in dB. The axes are frequencies over "
            "the Nyquist frequency; the dashed ring is "
            f"ρ\u00a0=\u00a0{HIGH_BAND}, the border of the high band.",
            lambda theme: planes_figure(spectra, SERIES_TITLES, theme),
        ),
    ]
    if comparisons["before"]["detectors"]["trained_anew"]["logistic"]["value"] is not None:
        written.append(
            _write(
                folder,
                "detectors",
                "Spectral detectors",
                _detectors_alt(comparisons),
                "AUC of detectors on the radial spectrum, five-fold cross-validated, with 95 % "
                "bootstrap intervals. 0.5 (dashed): they cannot tell the sets apart; below it they "
                "take the synthetic images for the more real ones.",
                lambda theme: detectors_figure(comparisons, theme),
            )
        )
    written.append(
        _write(
            folder,
            "samples",
            "Sample images",
            _samples_alt(real, synthetic),
            "Some images of each set, spread over it and not chosen by eye."
            + (
                f" Difference: after minus before, on a fixed scale of ±{LIMIT} of the grey range."
                if real.after is not None
                else ""
            ),
            lambda theme: pairs_figure(real, synthetic, theme),
        )
    )
    return written


def _write(
    folder: Path, name: str, title: str, alt: str, caption: str, draw: Callable[[Theme], Figure]
) -> FigureFiles:
    files: dict[str, dict[str, Path]] = {}
    for theme in THEMES:
        stem = name if theme is LIGHT else f"{name}_{theme.name}"
        files[theme.name] = {suffix: folder / f"{stem}.{suffix}" for suffix in ("png", "svg")}
        with drawing(theme):
            figure = draw(theme)
            figure.savefig(files[theme.name]["png"], dpi=_DPI)
            figure.set_layout_engine("none")  # it is laid out now
            figure.savefig(files[theme.name]["svg"], metadata={"Date": None})
    return FigureFiles(name, title, alt, caption, files["light"], files["dark"])


def colour(name: str, theme: Theme) -> str:
    """The colour of a series."""
    return theme.series[_COLOURS.get(name, name)]


def radial_figure(radial: Mapping[str, Any], theme: Theme) -> Figure:
    """Radial log power with bands, and the difference of each mean to the real one; in dB."""
    figure = Figure(figsize=(6.8, 6.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.25, 1]})
    rho = radial["rho"][1:]
    for panel in (upper, lower):
        panel.axvspan(HIGH_BAND, rho[-1], color=theme.shade, lw=0, zorder=0)
        panel.axvline(HIGH_BAND, color=theme.muted, lw=0.9, ls=(0, (4, 3)), zorder=1)
    for name in [name for name in SERIES_TITLES if name in radial]:
        mean, low, high = (radial[name][key][1:] for key in ("mean", "low", "high"))
        style: dict[str, Any] = {"color": colour(name, theme), "ls": _LINES[name], "lw": 1.8}
        upper.fill_between(rho, low, high, color=style["color"], alpha=0.13, lw=0)
        upper.plot(rho, mean, label=SERIES_TITLES[name], **style)
        real = radial["real"]["mean"][1:]
        lower.plot(rho, [m - r for m, r in zip(mean, real, strict=True)], **style)
    upper.set_ylabel("log power, dB")
    upper.set_title("Radial power")
    lower.set_ylabel("difference, dB")
    lower.set_title("Difference to real images")
    lower.set_xlabel("radial frequency ρ, fraction of the Nyquist radius")
    lower.set_xlim(0, rho[-1])
    for text, offset, side in (("low", -6, "right"), ("high band", 6, "left")):
        upper.annotate(text, (HIGH_BAND, 0.985), xycoords=("data", "axes fraction"),
                       xytext=(offset, 0), textcoords="offset points", va="top", ha=side,
                       color=theme.muted, fontsize=9)  # fmt: skip
    figure.legend(loc="outside upper left", ncols=2, fontsize=9.5)
    return figure


def detectors_figure(comparisons: Mapping[str, Any], theme: Theme) -> Figure:
    """AUC and interval of every detector, one row for what it was trained on and scores."""
    rows = detector_rows(comparisons)
    figure = Figure(figsize=(6.8, 1.35 + 0.62 * len(rows)), layout="constrained")
    panel = figure.subplots()
    panel.axvline(0.5, color=theme.muted, lw=1, ls=(0, (4, 3)), zorder=1)
    for y, (_, found) in enumerate(rows):
        for kind, offset in (("logistic", -0.15), ("rbf_svm", 0.15)):
            figure_ = found[kind]
            if figure_["value"] is None:
                continue
            shade = theme.cycle[2] if kind == "logistic" else theme.cycle[1]
            if figure_["low"] is not None:
                panel.plot([figure_["low"], figure_["high"]], [y + offset] * 2, color=shade, lw=2.2,
                           solid_capstyle="butt")  # fmt: skip
            panel.plot(figure_["value"], y + offset, _MARKERS[kind], ms=7, color=shade,
                       mec=theme.ground, mew=0.8)  # fmt: skip
    panel.set_yticks(range(len(rows)), [name for name, _ in rows])
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlim(-0.02, 1.02)
    panel.set_xlabel("AUC, real against synthetic")
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)
    handles = [
        Line2D([], [], color=theme.cycle[2], marker="o", ms=7, lw=2.2, label="linear"),
        Line2D([], [], color=theme.cycle[1], marker="s", ms=7, lw=2.2, label="RBF-SVM"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=9.5)
    return figure


def detector_rows(comparisons: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What each detector was trained on and scores, in words, with its figures by kind."""
    labels = {
        "before": "before:\nsynthetic | real",
        "after_against_raw_real": "after:\ncalibrated | raw real",
        "after_against_calibrated_real": "after:\ncalibrated | calibrated real",
    }
    rows = []
    for name, found in comparisons.items():
        trained = found["detectors"]
        if name == "before":
            rows.append((labels[name], trained["trained_anew"]))
        else:
            rows.append((f"{labels[name]},\ntrained before", trained["trained_before"]))
            rows.append((f"{labels[name]},\ntrained anew", trained["trained_anew"]))
    return rows


def _power_alt(comparisons: Mapping[str, Any]) -> str:
    parts = [
        f"{TITLES[name]} {figure_text(found['power_high_db'], 1, difference=True)} dB"
        for name, found in comparisons.items()
    ]
    return "Mean difference of power in the high band: " + "; ".join(parts) + "."


def _radial_alt(numbers: Mapping[str, Any]) -> str:
    return "Line plot of the log power over radial frequency. " + _power_alt(numbers["comparisons"])


def _detectors_alt(comparisons: Mapping[str, Any]) -> str:
    parts = [
        f"{' '.join(name.split())}: "
        + ", ".join(f"{DETECTOR_TITLES[k]} {figure_text(found[k], 2)}" for k in DETECTOR_TITLES)
        for name, found in detector_rows(comparisons)
    ]
    return "Dot plot of the AUC of two detectors. " + "; ".join(parts) + "."


def _samples_alt(real: Measured, synthetic: Measured) -> str:
    count = f"{len(synthetic.before)} synthetic and {len(real.before)} real images"
    if real.after is None:
        return f"Grid of {count}."
    return f"Grid of {count}: before and after the calibration, and the difference of both."
