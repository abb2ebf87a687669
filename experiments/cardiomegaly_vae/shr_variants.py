"""PSNR and SSIM of SHR alone for its variants, beside the paper's 25.10 dB and 0.76.

    python experiments/cardiomegaly_vae/shr_variants.py data.root=DIR

Fits the bank on the experiment's training images, and compares real validation images, which no
bank holds, with themselves after SHR. Writes shr_variants.csv beside this file.
"""

import csv
import sys
from pathlib import Path
from typing import Any

from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.config import compose_config, instantiate
from frerec.evaluation.image_quality import psnr, ssim

VARIANTS: list[dict[str, Any]] = [
    {"representation": "amplitude", "sampling": "gaussian", "deviation_scale": 0.5, "clip": 2.5},
    {"representation": "amplitude", "sampling": "mean", "clip": 2.5},
    {"representation": "amplitude", "sampling": "mean", "clip": None},
    {"representation": "amplitude", "sampling": "gaussian", "deviation_scale": 1.0, "clip": None},
    {"representation": "log_amplitude", "sampling": "mean", "clip": None},
    {"representation": "complex", "sampling": "mean", "clip": 2.5},
    {"representation": "complex", "sampling": "mean", "clip": None},
    {"representation": "complex", "sampling": "gaussian", "deviation_scale": 0.5, "clip": None},
    {"representation": "complex", "sampling": "gaussian", "deviation_scale": 1.0, "clip": None},
    {"granularity": "ring"},
    {"granularity": "scalar"},
]
KEYS = ("granularity", "representation", "sampling", "deviation_scale", "clip")


def main(overrides: list[str]) -> None:
    """Measure every variant with the same neighbours."""
    config = compose_config("benchmark", ["experiment=cardiomegaly", *overrides])
    data = instantiate(config.data)
    data.prepare_data()
    data.setup()
    bank = data.stack.tensor(data.rows("train"))
    images = data.stack.tensor(data.rows("val"))[:300]
    indices = None
    target = Path(__file__).with_name("shr_variants.csv")
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*KEYS, "psnr_db", "ssim", "images", "bank"])
        for variant in VARIANTS:
            shr = StatisticalHighFrequencyReplacement(**variant).fit(bank).eval()
            if indices is None:
                indices = shr.neighbour_indices(images)
            out = shr.replace(images, indices).clamp(0, 1)
            row = [shr.config()[key] for key in KEYS]
            quality = [f"{psnr(out, images).mean():.2f}", f"{ssim(out, images).mean():.3f}"]
            writer.writerow([*row, *quality, len(images), len(bank)])
            print(*row, *quality, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
