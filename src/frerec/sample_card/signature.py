"""The spectral signature of a generator: its samples' mean spectrum beside the real images'."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frerec.calibration.reconstruction import HIGH_BAND
from frerec.calibration.rows import ImageRows
from frerec.diagnosis.measuring import Spectra, SpectraMeter
from frerec.report.planes import DIFFERENCE_MAP, POWER_MAP, plane_panel, scale_bar
from frerec.report.style import LIGHT, Theme, drawing

BATCH = 64
BAND = (5.0, 95.0)  # percentiles of the shaded bands
LEAST_DIFFERENCE = 1.0  # dB; smaller differences are not blown up to full colour


def measure_spectra(images: ImageRows, *, limit: int = 2000, seed: int = 0) -> Spectra:
    """Spectra of at most ``limit`` images [N, C, H, W], drawn by the seed."""
    chosen = np.random.default_rng(seed).permutation(len(images))[:limit]
    rows = np.sort(chosen)
    meter = SpectraMeter()
    for first in range(0, len(rows), BATCH):
        meter.add(images[rows[first : first + BATCH]])
    return meter.spectra()


def write_signature(real: Spectra, synthetic: Spectra, path: Path, *, name: str) -> None:
    """Write :func:`signature_figure` as PNG."""
    partial = path.with_name(path.name + ".partial")
    with drawing(LIGHT):
        signature_figure(real, synthetic, name=name, theme=LIGHT).savefig(
            partial, dpi=130, format="png"
        )
    partial.replace(path)


def save_spectra(real: Spectra, synthetic: Spectra, path: Path) -> None:
    """Write the numbers of the figure as npz: planes [H, W], radial means and bands [R], in dB."""
    arrays = {"rho": real.rho}
    for name, spectra in (("real", real), ("synthetic", synthetic)):
        low, high = np.percentile(spectra.curves, BAND, axis=0)
        arrays[f"{name}_plane"] = spectra.plane.astype(np.float32)
        arrays[f"{name}_mean"] = spectra.curves.mean(0)
        arrays[f"{name}_low"], arrays[f"{name}_high"] = low, high
    partial = path.with_name(f"{path.stem}.partial.npz")
    np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def signature_figure(real: Spectra, synthetic: Spectra, *, name: str, theme: Theme) -> Figure:
    """Mean spectra, their difference, and the radial power with bands; all in dB.

    Args:
        real: of the training images.
        synthetic: of the samples.
        name: of the generator, for the titles.
        theme: light or dark.
    """
    gap = synthetic.plane - real.plane
    low, high = np.percentile(np.stack([real.plane, synthetic.plane]), [0.5, 99.9])
    limit = max(LEAST_DIFFERENCE, float(np.percentile(np.abs(gap), 99.5)))
    power: dict[str, Any] = {"cmap": POWER_MAP, "vmin": low, "vmax": high}
    difference: dict[str, Any] = {"cmap": DIFFERENCE_MAP, "vmin": -limit, "vmax": limit}
    figure = Figure(figsize=(13.2, 3.4), layout="constrained")
    panels = figure.subplots(1, 4, gridspec_kw={"width_ratios": [1, 1, 1, 1.35]})
    for panel, spectra, title in zip(
        panels[:2], (real, synthetic), ("real training images", name), strict=True
    ):
        shown = plane_panel(panel, spectra.plane, title, theme, power, ring="white")
    scale_bar(figure, shown, panels[:2], "log power, dB", theme)
    title = f"{name} minus real"
    shown = plane_panel(panels[2], gap, title, theme, difference, ring="#333333")
    scale_bar(figure, shown, panels[2:3], "difference, dB", theme)
    radial_panel(panels[3], {"real": real, "synthetic": synthetic}, name, theme)
    return figure


def radial_panel(panel: Axes, sets: dict[str, Spectra], name: str, theme: Theme) -> None:
    """Mean radial log power of each set with the band that holds most of its images."""
    titles = {"real": "real", "synthetic": name}
    for key, spectra in sets.items():
        rho, curves = spectra.rho[1:], spectra.curves[:, 1:]
        style: dict[str, Any] = {"color": theme.series[key], "lw": 1.8}
        style["ls"] = "-" if key == "real" else (0, (5, 1.5))
        low, high = np.percentile(curves, BAND, axis=0)
        panel.fill_between(rho, low, high, color=style["color"], alpha=0.14, lw=0)
        panel.plot(rho, curves.mean(0), label=titles[key], **style)
    panel.axvspan(HIGH_BAND, float(rho[-1]), color=theme.shade, lw=0, zorder=0)
    panel.set_xlim(0, float(rho[-1]))
    panel.set_title("radial power", fontsize=9.5, fontweight="normal", color=theme.text)
    panel.set_xlabel("radius \u03c1, fraction of Nyquist (shaded: high band)", fontsize=9)
    panel.set_ylabel("log power, dB", fontsize=9)
    panel.tick_params(labelsize=8)
    panel.legend(fontsize=9)
