"""Which SHR lets FreRec as a whole restore the truth best?

    python experiments/shr_variants/restoration.py data.root=DIR [steps=300] [size=300]

For each of four readings of SHR: fits FreRec (RHM `lite`, the same steps and seed) on `size` real
training images a class of the cardiomegaly set, and maps 100 validation images whose high band was
damaged in a known way (attenuation, checkerboard, noise floor, at three doses each). PSNR to the
clean truth before, after SHR and after FreRec, the log-spectral distance of what comes out to clean
images that went through FreRec too, and what FreRec does to the clean images themselves. Writes
restoration.csv beside itself.
"""

import csv
import itertools
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frerec.calibration import FreRec
from frerec.config import compose_config, instantiate
from frerec.evaluation.image_quality import psnr, ssim
from frerec.spectral import log_spectral_distance
from frerec.spectral.damage import damage

DAMAGES = list(itertools.product(("attenuation", "checkerboard", "noise"), (0.25, 0.5, 1.0)))
READINGS: dict[str, dict[str, Any]] = {
    "bin, amplitude, half deviation, clipped": {},
    "ring, log amplitude, mean": {
        "granularity": "ring",
        "representation": "log_amplitude",
        "sampling": "mean",
        "clip": None,
    },
    "bin, amplitude, mean, clipped": {"sampling": "mean"},
    "bin, complex, half deviation": {"representation": "complex", "clip": None},
}
FIGURES = (
    "before_db",
    "after_shr_db",
    "after_frerec_db",
    "lsd_before",
    "lsd_after",
    "lsd_high_after",
)
IMAGES = 100


def main(arguments: list[str]) -> None:
    """Fit and measure every reading."""
    numbers = {"steps": 300, "size": 300}
    own = [a for a in arguments if a.partition("=")[0] in numbers]
    numbers |= {key: int(value) for key, value in (a.split("=") for a in own)}
    overrides = [a for a in arguments if a not in own]
    size = f"data.train_size={numbers['size']}"
    config = compose_config("benchmark", ["experiment=cardiomegaly", size, *overrides])
    data = instantiate(config.data)
    data.prepare_data()
    data.setup()
    clean = data.stack.tensor(data.rows("val"))[:IMAGES]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with Path(__file__).with_name("restoration.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["shr", "damage", "dose", *FIGURES])
        for name, reading in READINGS.items():
            frerec = FreRec(
                shr=reading,
                rhm={"network": "lite", "learning_rate": 1e-3},
                training={"steps": numbers["steps"], "eval_every": 100},
            ).fit(data.stack.select(data.rows("train")))
            after = frerec.transform(clean)
            quality = float(psnr(after, clean).mean()), float(ssim(after, clean).mean())
            coarse = _decibels(frerec.shr.transform(clean), clean)
            row = [f"{coarse:.2f}", f"{quality[0]:.2f}"]
            print(name, "| clean:", *row, f"ssim {quality[1]:.3f}", flush=True)
            writer.writerow([name, "none", 0, "", *row, "", "", ""])
            for kind, dose in DAMAGES:
                images = damage(clean, kind, dose, noise=noise)
                mapped = frerec.transform(images)
                figures = [
                    _decibels(images, clean),
                    _decibels(frerec.shr.transform(images), clean),
                    _decibels(mapped, clean),
                    log_spectral_distance(clean, images),
                    log_spectral_distance(after, mapped),
                    log_spectral_distance(after, mapped, minimum_radius=0.5),
                ]
                writer.writerow([name, kind, dose, *(f"{figure:.2f}" for figure in figures)])
                file.flush()
                print(name, kind, dose, *(f"{figure:.2f}" for figure in figures), flush=True)


def _decibels(images: Tensor, clean: Tensor) -> float:
    return float(psnr(images, clean).mean())


if __name__ == "__main__":
    main(sys.argv[1:])
