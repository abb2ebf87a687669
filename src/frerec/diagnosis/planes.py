"""Maps of the mean log power over the frequency plane, and of its differences."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from frerec.calibration.reconstruction import HIGH_BAND
from frerec.diagnosis.measuring import Spectra
from frerec.report.style import Theme

POWER_MAP, DIFFERENCE_MAP = "cividis", "RdBu_r"  # both safe for colour-blind readers
DIFFERENCES = (
    ("synthetic", "real"),
    ("synthetic_calibrated", "real"),
    ("synthetic_calibrated", "real_calibrated"),
    ("real_calibrated", "real"),
)
_LEAST = 1.0  # dB; differences below it are not blown up to full colour


def planes_figure(
    spectra: Mapping[str, Spectra], titles: Mapping[str, str], theme: Theme
) -> Figure:
    """Mean spectra on one scale, their differences on another; DC in the middle, in dB.

    Args:
        spectra: by name of the series, two or four.
        titles: of the series.
        theme: light or dark.
    """
    names = list(spectra)
    pairs = [(a, b) for a, b in DIFFERENCES if a in spectra and b in spectra]
    planes = [spectra[name].plane for name in names]
    gaps = [spectra[a].plane - spectra[b].plane for a, b in pairs]
    scale = np.percentile(np.stack(planes), [0.5, 99.9])
    limit = max(_LEAST, float(np.percentile(np.abs(np.stack(gaps)), 99.5)))
    power: dict[str, Any] = {"cmap": POWER_MAP, "vmin": scale[0], "vmax": scale[1]}
    gap: dict[str, Any] = {"cmap": DIFFERENCE_MAP, "vmin": -limit, "vmax": limit}
    if len(names) == 2:
        return _row(planes, gaps[0], [titles[n] for n in names], power, gap, theme)
    figure = Figure(figsize=(10.4, 5.9), layout="constrained")
    panels = figure.subplots(2, 4)
    for panel, name, plane in zip(panels[0], names, planes, strict=True):
        shown = plane_panel(panel, plane, titles[name], theme, power, ring="white")
    scale_bar(figure, shown, panels[0], "log power, dB", theme)
    for panel, (a, b), plane in zip(panels[1], pairs, gaps, strict=True):
        title = f"{titles[a]}\nminus {titles[b]}"
        shown = plane_panel(panel, plane, title, theme, gap, ring="#333333")
    scale_bar(figure, shown, panels[1], "difference, dB", theme)
    return figure


def _row(
    planes: list[NDArray[np.float64]],
    gap_plane: NDArray[np.float64],
    titles: list[str],
    power: dict[str, Any],
    gap: dict[str, Any],
    theme: Theme,
) -> Figure:
    figure = Figure(figsize=(9.0, 3.1), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, plane, title in zip(panels[:2], planes, titles, strict=True):
        shown = plane_panel(panel, plane, title, theme, power, ring="white")
    scale_bar(figure, shown, panels[:2], "log power, dB", theme)
    title = f"{titles[1]} minus {titles[0]}"
    shown = plane_panel(panels[2], gap_plane, title, theme, gap, ring="#333333")
    scale_bar(figure, shown, panels[2:], "difference, dB", theme)
    return figure


def plane_panel(
    panel: Axes,
    plane: NDArray[np.float64],
    title: str,
    theme: Theme,
    how: dict[str, Any],
    *,
    ring: str,
) -> Any:
    """Show a plane ``[H, W]`` in dB, DC in the middle, a ring where the high band begins."""
    height, width = plane.shape
    # In fractions of the Nyquist frequency of each axis; a coefficient lies in its pixel's middle.
    left, right = (-(width // 2) - 0.5, width - width // 2 - 0.5)
    top, bottom = (-(height // 2) - 0.5, height - height // 2 - 0.5)
    extent = (left * 2 / width, right * 2 / width, bottom * 2 / height, top * 2 / height)
    shown = panel.imshow(plane, extent=extent, interpolation="nearest", **how)
    side = 2 * HIGH_BAND
    panel.add_patch(
        Ellipse((0, 0), side, side, fill=False, ec=ring, lw=0.9, ls=(0, (3, 3)), alpha=0.9)
    )
    panel.set_aspect(height / width)
    panel.set_title(title, fontsize=9.5, fontweight="normal", color=theme.text)
    panel.set_xticks([-1, 0, 1], ["−1", "0", "1"], fontsize=8)
    panel.set_yticks([-1, 0, 1], ["−1", "0", "1"], fontsize=8)
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    return shown


def scale_bar(figure: Figure, shown: Any, panels: Any, label: str, theme: Theme) -> None:
    """The colour scale of some panels."""
    extend = "both"  # percentiles end the scale: some coefficients lie beyond
    bar = figure.colorbar(shown, ax=list(panels), shrink=0.9, pad=0.015, extend=extend)
    bar.set_label(label, fontsize=9.5, color=theme.text)
    bar.ax.tick_params(labelsize=8.5)
    bar.outline.set_visible(False)
