"""The paper's first figure: mean spectra in the plane, real, synthetic and calibrated."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from frerec.report.figures.spectra import DB_PER_NEPER
from frerec.report.planes import (
    DIFFERENCE_MAP,
    HIGH_BAND,
    POWER_MAP,
    plane_panel,
    scale_bar,
)
from frerec.report.showcase import SET_TITLES, Showcase
from frerec.report.style import Theme
from frerec.report.tabular import fixed

_CALIBRATED = ("synthetic_frerec", "synthetic_calibrated", "synthetic_shr")
_REAL_CALIBRATED = ("real_frerec", "real_calibrated")
_LEAST = 1.0  # dB; differences below it are not blown up to full colour


def shown_planes(show: Showcase) -> list[str]:
    """Real, synthetic, calibrated and real calibrated, as far as there are planes of them."""
    names = ["real", "synthetic"]
    for candidates in (_CALIBRATED, _REAL_CALIBRATED):
        names += [name for name in candidates if name in show.planes][:1]
    return names if {"real", "synthetic"} <= set(show.planes) else []


def mean_spectra_figure(show: Showcase, theme: Theme) -> Figure:
    """Above: mean log power in dB, one scale. Below each: its difference to real images."""
    names = shown_planes(show)
    planes = {name: _decibels(show.planes[name]) for name in names}
    gaps = [planes[name] - planes["real"] for name in names[1:]]
    low, high = np.percentile(np.stack(list(planes.values())), [0.5, 99.9])
    limit = max(_LEAST, float(np.percentile(np.abs(np.stack(gaps)), 99.5)))
    figure = Figure(figsize=(1.0 + 2.3 * len(names), 5.4), layout="constrained")
    panels = figure.subplots(2, len(names))
    how = {"cmap": POWER_MAP, "vmin": low, "vmax": high}
    for panel, name in zip(panels[0], names, strict=True):
        shown = plane_panel(panel, planes[name], SET_TITLES[name], theme, how, ring="white")
    scale_bar(figure, shown, panels[0], "log power, dB", theme)
    how = {"cmap": DIFFERENCE_MAP, "vmin": -limit, "vmax": limit}
    panels[1, 0].set_axis_off()
    panels[1, 0].text(
        0.5, 0.5, "real images:\nthe reference", ha="center", va="center",
        transform=panels[1, 0].transAxes, color=theme.muted, fontsize=9.5,
    )  # fmt: skip
    for panel, name, gap in zip(panels[1, 1:], names[1:], gaps, strict=True):
        title = f"{SET_TITLES[name]}\nminus real"
        shown = plane_panel(panel, gap, title, theme, how, ring="#333333")
    scale_bar(figure, shown, panels[1], "difference, dB", theme)
    return figure


def mean_spectra_alt(show: Showcase) -> str:
    """The mean differences in the high band in words."""
    names = shown_planes(show)
    high = _radius(show.planes["real"].shape) >= HIGH_BAND
    parts = []
    for name in names[1:]:
        gap = _decibels(show.planes[name]) - _decibels(show.planes["real"])
        parts.append(f"{SET_TITLES[name]} {fixed(float(gap[high].mean()), 1)} dB")
    return (
        "Maps of the mean log power over both frequency axes, with the mean brightness in the "
        f"middle, of the images: {', '.join(SET_TITLES[name] for name in names)}; below them maps "
        "of the differences to real images. Mean difference in the high band: "
        + ", ".join(parts)
        + "."
    )


def _decibels(plane: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(DB_PER_NEPER * plane, dtype=np.float64)


def _radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Distance from DC over the Nyquist radius, DC at (H//2, W//2)."""
    rows, columns = ((np.arange(size) - size // 2) * 2 / size for size in shape)
    return np.hypot(rows[:, None], columns[None, :])
