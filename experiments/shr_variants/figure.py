"""Draw variants.csv: how much each SHR changes real images, and how well it restores damaged ones.

python experiments/shr_variants/figure.py
"""

from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
PAPER = (25.10, 0.76)
COLOURS = {"bin": "#0072b2", "ring": "#d55e00", "scalar": "#009e73"}
MARKERS = {"complex": "o", "amplitude": "s", "log_amplitude": "^"}


def main() -> None:
    """Write variants.png."""
    table = pd.read_csv(HERE / "variants.csv")
    table = table[(table["mask"] == "circle") & (table["ratio"] == 0.5)]
    default = table[
        (table["granularity"] == "bin")
        & (table["representation"] == "amplitude")
        & (table["sampling"] == "gaussian")
        & (table["deviation_scale"] == 0.5)
        & (table["clip"] == 2.5)
    ].iloc[0]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    for axis, column, label in (
        (axes[0], "ssim", "SSIM to the image itself"),
        (axes[1], "truth_gain_db", "mean gain in PSNR to the clean truth, dB"),
    ):
        for (granularity, representation), part in table.groupby(["granularity", "representation"]):
            axis.scatter(
                part["psnr_db"],
                part[column],
                color=COLOURS[granularity],
                marker=MARKERS[representation],
                s=42,
                alpha=0.85,
                linewidths=0,
                label=f"{granularity}, {representation.replace('_', ' ')}",
            )
        axis.set(xlabel="SHR of real images: PSNR to the image itself, dB", ylabel=label)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        point = (default["psnr_db"], default[column])
        axis.annotate(
            "default",
            point,
            textcoords="offset points",
            xytext=(12, -22),
            arrowprops={"width": 0.5} | {"headwidth": 4, "headlength": 5, "color": "black"},
        )
    axes[0].scatter(*PAPER, marker="*", s=220, color="black", label="the paper: 25.10 dB, 0.76")
    axes[0].set_title("What the paper reports", loc="left")
    axes[1].axvline(PAPER[0], color="black", linewidth=0.8, linestyle=":")
    axes[1].axhline(0, color="black", linewidth=0.8)
    axes[1].set_title("What oracle samples tell", loc="left")
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(HERE / "variants.png", dpi=150)


if __name__ == "__main__":
    main()
