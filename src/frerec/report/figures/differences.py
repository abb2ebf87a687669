"""What calibration does to an image: before, after, and the difference."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from frerec.report.planes import DIFFERENCE_MAP
from frerec.report.sample_grid import choose, show_image
from frerec.report.showcase import SET_TITLES, Showcase
from frerec.report.style import Theme, bare

_PAIRS = (
    ("synthetic", "synthetic_frerec"),
    ("synthetic", "synthetic_calibrated"),
    ("synthetic", "synthetic_shr"),
    ("real", "real_frerec"),
    ("real", "real_calibrated"),
)
_COLUMNS, _SIDE = 4, 1.3  # images of a pair, and their width in inches
_LEAST = 8.0  # grey values of 255; differences below it are not blown up to full colour


@dataclass(frozen=True)
class Pair:
    """The same images before and after calibration.

    Attributes:
        before: name of the set.
        after: name of the set.
        images: ``[n, C, H, W]`` before, 0 to 255.
        calibrated: the same after.
    """

    before: str
    after: str
    images: NDArray[np.uint8]
    calibrated: NDArray[np.uint8]

    @property
    def difference(self) -> NDArray[np.float64]:
        """After minus before ``[n, H, W]``, mean over the channels."""
        gap = self.calibrated.astype(np.float64) - self.images.astype(np.float64)
        return np.asarray(gap.mean(axis=1))


def shown_pairs(show: Showcase) -> list[Pair]:
    """Synthetic images before and after, then real ones: one pair each, as far as there are."""
    chosen = choose(show, _COLUMNS)
    found: dict[str, Pair] = {}
    for before, after in _PAIRS:
        rows = chosen.get(before, [])
        if before in found or not {before, after} <= set(show.images) or not rows:
            continue
        if show.images[before].shape == show.images[after].shape:
            images = (show.images[name][rows] for name in (before, after))
            found[before] = Pair(before, after, *images)
    return list(found.values())


def differences_figure(show: Showcase, theme: Theme) -> Figure:
    """Three rows a pair: before, after and the difference, all differences on one scale."""
    pairs = shown_pairs(show)
    columns = max(len(pair.images) for pair in pairs)
    limit = max(_LEAST, *(float(np.abs(pair.difference).max()) for pair in pairs))
    height, width = pairs[0].images.shape[-2:]
    widths = ([1.0] * columns + [0.42]) * len(pairs)
    figure = Figure(
        figsize=(0.9 + _SIDE * sum(widths), 0.1 + 3 * (_SIDE * height / width + 0.06)),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02),
    )
    grid = figure.add_gridspec(3, len(widths) - 1, width_ratios=widths[:-1])
    panels, shown = [], None
    for start, pair in zip(range(0, len(widths), columns + 1), pairs, strict=True):
        titles = (SET_TITLES[pair.before], SET_TITLES[pair.after], "after minus\nbefore")
        for column, gap in enumerate(pair.difference):
            drawn = [figure.add_subplot(grid[row, start + column]) for row in range(3)]
            panels += drawn
            show_image(drawn[0], pair.images[column])
            show_image(drawn[1], pair.calibrated[column])
            shown = drawn[2].imshow(
                gap, cmap=DIFFERENCE_MAP, vmin=-limit, vmax=limit, interpolation="nearest"
            )
            bare(drawn[2])
            if column == 0:
                for panel, title in zip(drawn, titles, strict=True):
                    panel.set_ylabel(title.replace(", ", ",\n"), fontsize=9, color=theme.text)
    if shown is not None:
        bar = figure.colorbar(shown, ax=panels, shrink=0.9, pad=0.015)
        bar.set_label("difference, grey values of 255", fontsize=9, color=theme.text)
        bar.ax.tick_params(labelsize=8.5)
        bar.outline.set_visible(False)
    return figure


def differences_alt(show: Showcase) -> str:
    """The mean absolute differences in words."""
    parts = [
        f"{SET_TITLES[pair.before]} to {SET_TITLES[pair.after]} "
        f"{np.abs(pair.difference).mean():.1f}"
        for pair in shown_pairs(show)
    ]
    return (
        "Images before and after calibration, and their differences. Mean absolute difference in "
        f"grey values of 255: {'; '.join(parts)}."
    )
