"""Radial spectra of the shown sets of images, and their differences to real images."""

import math

from matplotlib.figure import Figure

from frerec.report.planes import HIGH_BAND
from frerec.report.showcase import SET_TITLES, Showcase
from frerec.report.style import Theme
from frerec.report.tabular import fixed

DB_PER_NEPER = 10 / math.log(10)
_LINES = {
    "real": "-",
    "synthetic": "-",
    "synthetic_shr": "-.",
    "synthetic_frerec": "-",
    "synthetic_calibrated": "-",
    "real_frerec": "--",
    "real_calibrated": "--",
}


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
    figure.legend(loc="outside upper left", ncols=3, fontsize=9)
    return figure


def spectra_alt(show: Showcase) -> str:
    """The differences in the high band in words."""
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
