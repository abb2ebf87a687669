"""A panel that shows a plane of spatial frequencies, and the colour scale of several."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from frerec.report.style import Theme

HIGH_BAND = 0.5  # fraction of the Nyquist radius where it begins
POWER_MAP, DIFFERENCE_MAP = "cividis", "RdBu_r"  # both safe for colour-blind readers


def plane_panel(
    panel: Axes,
    plane: NDArray[np.floating],
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


def scale_bar(
    figure: Figure,
    shown: Any,
    panels: Iterable[Axes],
    label: str,
    theme: Theme,
    *,
    extend: str = "both",
) -> None:
    """The colour scale of some panels; by default it ends before the data do, on both sides."""
    bar = figure.colorbar(shown, ax=list(panels), shrink=0.9, pad=0.015, extend=extend)
    bar.set_label(label, fontsize=9.5, color=theme.text)
    bar.ax.tick_params(labelsize=8.5)
    bar.outline.set_visible(False)
