"""Maps of the mean log power over the frequency plane, and of its differences."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from frerec.diagnosis.measuring import Spectra
from frerec.report.planes import DIFFERENCE_MAP, POWER_MAP, plane_panel, scale_bar
from frerec.report.style import Theme

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
