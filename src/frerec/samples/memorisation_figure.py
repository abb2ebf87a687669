"""The samples nearest to a training image, beside it; no names, no numbers of patients."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from frerec.calibration.rows import ImageRows
from frerec.report.style import LIGHT, Theme, bare, drawing
from frerec.samples.memorisation import Memorisation

LIMIT = 0.3  # [ours] of the grey range: the ends of the difference's scale
COLUMNS = ("sample", "nearest by SSIM", "sample − nearest", "nearest by features")


def memorisation_figure(
    found: Memorisation, samples: ImageRows, real: ImageRows, theme: Theme, *, count: int = 6
) -> Figure:
    """The worst pairs, a row each: those nearest to a training image for the rule, flagged or not.

    Args:
        found: What :func:`frerec.samples.memorisation.find_memorised` found.
        samples: The samples that it was given, ``[M, C, H, W]`` in [0, 1].
        real: The training images that it was given.
        theme: Draw inside ``drawing(theme)`` of :mod:`frerec.report.style`.
        count: Pairs at most.

    Returns:
        A figure; where the mirrored sample is near, the mirrored sample is shown.
    """
    worst = worst_first(found)[:count]
    figure = Figure(figsize=(6.6, 0.5 + 1.72 * len(worst)), layout="constrained")
    panels = figure.subplots(len(worst), len(COLUMNS), squeeze=False)
    for panel, title in zip(panels[0], COLUMNS, strict=True):
        panel.set_title(title, fontsize=9.5, fontweight="normal", loc="center")
    shown = None
    for row, number in zip(panels, worst, strict=True):
        pair = found.table.iloc[number]
        sample = _one(samples, int(number))
        sample = sample.flip(-1) if pair["ssim_mirrored"] else sample
        nearest = _one(real, int(pair["ssim_row"]))
        _image(row[0], sample)
        _image(row[1], nearest)
        shown = row[2].imshow(
            (sample - nearest).mean(0).numpy(), cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT,
            interpolation="nearest",
        )  # fmt: skip
        bare(row[2])
        _image(row[3], _one(real, int(pair["feature_row"])))
        marks = [f"no. {int(pair['sample'])}"]
        marks += ["mirrored"] if pair["ssim_mirrored"] else []
        marks += ["flagged"] if pair["flagged"] else []
        row[0].set_xlabel(", ".join(marks), fontsize=8)
        row[1].set_xlabel(f"SSIM {pair['ssim']:.2f}, ratio {pair['ssim_ratio']:.2f}", fontsize=8.5)
        row[3].set_xlabel(f"ratio {pair['feature_ratio']:.2f}", fontsize=8.5)
        for panel in row:
            panel.xaxis.label.set_color(theme.text)
    limits = found.thresholds
    figure.supxlabel(
        f"flagged: {int(found.flagged.sum())} of {len(found.table)} samples (rule: {found.rule});"
        f" thresholds of the ratios {limits['ssim']:.2f} and {limits['features']:.2f}",
        fontsize=8.5,
        color=theme.muted,
    )
    if shown is not None:
        bar = figure.colorbar(
            shown,
            ax=list(panels[:, -1]),
            extend="both",
            pad=0.03,
            shrink=0.8,
            aspect=14 * len(worst),
        )
        bar.set_ticks([-LIMIT, 0, LIMIT], labels=[f"−{LIMIT}", "0", f"+{LIMIT}"])
        bar.ax.tick_params(labelsize=8.5)
        bar.outline.set_visible(False)
    return figure


def write_memorisation_figure(
    found: Memorisation, samples: ImageRows, real: ImageRows, path: Path, *, count: int = 6
) -> None:
    """Write :func:`memorisation_figure` in the light theme as PNG, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with drawing(LIGHT):
        figure = memorisation_figure(found, samples, real, LIGHT, count=count)
        figure.savefig(partial, format="png", dpi=130)
    partial.replace(path)


def worst_first(found: Memorisation) -> np.ndarray:
    """Numbers of the samples, the most suspicious by the rule first; int64 ``[M]``."""
    table, limits = found.table, found.thresholds
    by_ssim = table["ssim_ratio"].to_numpy() / max(limits["ssim"], 1e-12)
    by_features = table["feature_ratio"].to_numpy() / max(limits["features"], 1e-12)
    score = {
        "both": np.maximum(by_ssim, by_features),
        "either": np.minimum(by_ssim, by_features),
        "ssim": by_ssim,
        "features": by_features,
    }[found.rule]
    order: np.ndarray = np.lexsort((score, ~found.flagged))
    return order


def _one(images: ImageRows, number: int) -> Tensor:
    return images[number : number + 1][0].float()


def _image(panel: Axes, image: Tensor) -> None:
    pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
    panel.imshow(pixels.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    bare(panel)
