"""Sample images: before, after, and what the calibrator changed."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from frerec.diagnosis.sets import Measured
from frerec.report.style import Theme, bare

LIMIT = 0.1  # [ours] of the grey range: the ends of the difference's scale, the same for all pages
_DIFFERENCE_MAP = "RdBu_r"


def pairs_figure(real: Measured, synthetic: Measured, theme: Theme) -> Figure:
    """Synthetic images at the left, real ones at the right; a row for each stage."""
    sets = [("synthetic", synthetic), ("real", real)]
    columns = sum(len(of_set.before) for _, of_set in sets)
    stages = ["before", "after", "difference"] if real.after is not None else [""]
    figure = Figure(figsize=(1.0 + 1.25 * columns, 0.55 + 1.3 * len(stages)), layout="constrained")
    panels = figure.subplots(len(stages), columns, squeeze=False)
    start, shown = 0, None
    for name, of_set in sets:
        for k, before in enumerate(of_set.before):
            column = panels[:, start + k]
            column[0].set_title(f"{name} {k + 1}", fontsize=9, fontweight="normal")
            _image(column[0], before)
            if of_set.after is not None:
                _image(column[1], of_set.after[k])
                shown = _difference(column[2], of_set.after[k] - before)
        start += len(of_set.before)
    for panel, stage in zip(panels[:, 0], stages, strict=True):
        panel.set_ylabel(stage, fontsize=9.5, color=theme.text)
    if shown is not None:
        bar = figure.colorbar(shown, ax=list(panels[2]), extend="both", pad=0.01, aspect=9)
        bar.set_ticks([-LIMIT, 0, LIMIT], labels=[f"−{LIMIT}", "0", f"+{LIMIT}"])
        bar.ax.tick_params(labelsize=8.5)
        bar.outline.set_visible(False)
    return figure


def _image(panel: Axes, image: Tensor) -> None:
    pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
    panel.imshow(pixels.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    bare(panel)


def _difference(panel: Axes, difference: Tensor) -> Any:
    """Mean over the channels."""
    shown = panel.imshow(
        difference.mean(0).numpy(), cmap=_DIFFERENCE_MAP, vmin=-LIMIT, vmax=LIMIT,
        interpolation="nearest",
    )  # fmt: skip
    bare(panel)
    return shown
