"""One figure and one table of several sets that ``frerec generate`` wrote.

    python experiments/generators/figure.py OUT [OUT ...]

Reads card.json, signature.npz and the images of each folder; writes generators.png and
generators.csv beside this file. Of an oracle, whose samples are real images, no image is shown.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from frerec.report.style import LIGHT, drawing

HERE = Path(__file__).parent
COLUMNS = 3  # samples a class
MEASURES = ("fid", "kid", "kid_std", "precision", "recall", "lsd_db", "lsd_high_db", "detector_auc")


def read(folder: Path) -> dict[str, Any]:
    """Card, spectra and the first images of each class."""
    card = json.loads((folder / "card.json").read_text())
    with np.load(folder / "signature.npz", allow_pickle=False) as arrays:
        spectra = {name: arrays[name] for name in arrays.files}
    images = {
        name: [grey(path) for path in sorted((folder / name).glob("*.png"))[:COLUMNS]]
        for name in card["samples"]["counts"]
    }
    return {"card": card, "spectra": spectra, "images": images, "name": folder.name}


def grey(path: Path) -> np.ndarray:
    """A grey PNG of 8 or 16 bits as [H, W] in [0, 1]."""
    with Image.open(path) as image:
        values = np.asarray(image)
    return values / (255 if values.dtype == np.uint8 else 65535)


def table(sets: list[dict[str, Any]]) -> pd.DataFrame:
    """A row a generator, and the floor: one half of the real images against the other."""
    rows = []
    for found in sets:
        card = found["card"]
        quality, training = card["quality"], card["training"]
        row = {"set": found["name"], "generator": card["generator"]}
        row |= {key: training.get(key) for key in ("steps", "batch_size", "seconds", "parameters")}
        row |= {"images": quality["n_synthetic"], "real_images": quality["n_real"]}
        row |= {key: quality[key] for key in MEASURES}
        row |= {f"matched_{key}": quality["matched"][key] for key in ("fid", "kid")}
        row |= {"flagged": card["memorisation"]["n_flagged"]}
        rows.append(row)
    floor = sets[0]["card"]["quality"]["floor"]
    rows.append(
        {"set": "real half against real half", "images": floor["n_synthetic"]}
        | {"real_images": floor["n_real"]}
        | {key: floor[key] for key in MEASURES}
        | {f"matched_{key}": floor[key] for key in ("fid", "kid")}
    )
    return pd.DataFrame(rows)


def draw(sets: list[dict[str, Any]]) -> Figure:
    """A row a generator: samples of each class, its mean spectrum minus the real one, curves."""
    classes = list(sets[0]["images"])
    wide = len(classes) * COLUMNS
    figure = Figure(figsize=(1.12 * wide + 5.6, 1.5 * len(sets) + 0.55), layout="constrained")
    ratios = [1.0] * wide + [1.25, 2.4]
    panels = figure.subplots(len(sets), wide + 2, squeeze=False, width_ratios=ratios)
    gaps = [s["spectra"]["synthetic_plane"] - s["spectra"]["real_plane"] for s in sets]
    limit = float(np.percentile(np.abs(np.stack(gaps)), 99))
    for row, found, gap in zip(panels, sets, gaps, strict=True):
        shown = [image for name in classes for image in found["images"][name]]
        for panel in row[:-1]:
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(visible=False)
            for spine in panel.spines.values():
                spine.set_visible(False)
        if found["card"]["kind"] == "Oracle":
            for panel in row[:wide]:
                panel.set_facecolor(LIGHT.shade)
            row[wide // 2].text(
                0.0, 0.5, "real images, damaged:\nnot shown", ha="center", va="center", fontsize=8,
                color=LIGHT.muted, transform=row[wide // 2].transAxes, in_layout=False,
            )  # fmt: skip
        else:
            for panel, image in zip(row[:wide], shown, strict=True):
                panel.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        row[0].set_ylabel(found["name"], fontsize=10.5, fontweight="bold", color=LIGHT.text)
        plane = row[wide].imshow(gap, cmap="RdBu_r", vmin=-limit, vmax=limit)
        curves(row[-1], found["spectra"], last=found is sets[-1])
    for number, name in enumerate(classes):
        middle = panels[0][number * COLUMNS + COLUMNS // 2]
        middle.set_title(name, loc="center", fontsize=9.5, fontweight="normal")
    panels[0][wide].set_title("spectrum − real", loc="center", fontsize=9.5, fontweight="normal")
    panels[0][-1].set_title("radial power, dB", fontsize=9.5, fontweight="normal")
    bar = figure.colorbar(plane, ax=panels[:, wide], location="bottom", fraction=0.06, pad=0.02)
    bar.set_label("dB", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    return figure


def curves(panel: Any, spectra: dict[str, np.ndarray], *, last: bool) -> None:
    """Mean and the band of 90 % of the images, real and synthetic."""
    rho = spectra["rho"][1:]
    panel.axvspan(0.5, rho[-1], color=LIGHT.shade, lw=0, zorder=0)
    for name, style in (("real", "-"), ("synthetic", (0, (5, 1.5)))):
        colour = LIGHT.series[name]
        low, high = spectra[f"{name}_low"][1:], spectra[f"{name}_high"][1:]
        panel.fill_between(rho, low, high, color=colour, alpha=0.14, lw=0)
        panel.plot(rho, spectra[f"{name}_mean"][1:], color=colour, ls=style, lw=1.6, label=name)
    panel.set_xlim(0, rho[-1])
    panel.tick_params(labelsize=8, labelbottom=last)
    if last:
        panel.set_xlabel("radius ρ, fraction of Nyquist", fontsize=8.5)
        panel.legend(fontsize=8, loc="lower left")


def main() -> None:
    """Draw what the command line names."""
    sets = [read(Path(folder)) for folder in sys.argv[1:]]
    if not sets:
        sys.exit(__doc__)
    table(sets).to_csv(HERE / "generators.csv", index=False, float_format="%.4g")
    with drawing(LIGHT):
        draw(sets).savefig(HERE / "generators.png", dpi=130)


if __name__ == "__main__":
    main()
