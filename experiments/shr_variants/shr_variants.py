"""Which SHR is the paper's, and which restores the truth best?

    python experiments/shr_variants/shr_variants.py data.root=DIR

The bank holds 2,000 real training images of the cardiomegaly set. For 300 real validation images:
PSNR and SSIM of every variant's output against the image itself (the paper's row "SHR only": 25.10
dB, 0.76). For the same images with a known damage of their high band (attenuation, checkerboard,
noise floor, at three doses each): PSNR to the clean truth before SHR and after it, and the distance
of their mean spectrum to that of clean images. Writes variants.csv and damaged.csv beside itself.
"""

import csv
import itertools
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.config import compose_config, instantiate
from frerec.evaluation.image_quality import psnr, ssim
from frerec.spectral import log_spectral_distance
from frerec.spectral.damage import damage

HERE = Path(__file__).parent
DAMAGES = list(itertools.product(("attenuation", "checkerboard", "noise"), (0.25, 0.5, 1.0)))
KEYS = ("granularity", "representation", "sampling", "deviation_scale", "clip", "mask", "ratio")
FIGURES = ("before_db", "after_db", "lsd_before", "lsd_after")
IMAGES = 300


def variants() -> list[dict[str, Any]]:
    """All combinations of what the paper leaves open, and masks and ratios of the default."""
    draws = (("mean", 0.0), ("gaussian", 0.5), ("gaussian", 1.0))
    found: list[dict[str, Any]] = [
        {
            "granularity": granularity,
            "representation": representation,
            "sampling": sampling,
            "deviation_scale": scale,
            "clip": clip,
        }
        for granularity in ("bin", "ring", "scalar")
        for representation in ("complex", "amplitude", "log_amplitude")
        for sampling, scale in draws
        for clip in (None, 2.5)
    ]
    found += [{"mask": "square"}, *({"ratio": ratio} for ratio in (0.25, 0.375, 0.625, 0.75))]
    return found


def main(overrides: list[str]) -> None:
    """Measure every variant with the same neighbours."""
    config = compose_config("benchmark", ["experiment=cardiomegaly", *overrides])
    data = instantiate(config.data)
    data.prepare_data()
    data.setup()
    bank = data.stack.tensor(data.rows("train"))
    clean = data.stack.tensor(data.rows("val"))[:IMAGES]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    sets = {("none", 0.0): clean}
    sets |= {(kind, dose): damage(clean, kind, dose, noise=noise) for kind, dose in DAMAGES}
    search = StatisticalHighFrequencyReplacement().fit(bank)
    neighbours = {key: search.neighbour_indices(images) for key, images in sets.items()}
    with (
        (HERE / "variants.csv").open("w", newline="") as one,
        (HERE / "damaged.csv").open("w", newline="") as two,
    ):
        first, second = csv.writer(one, lineterminator="\n"), csv.writer(two, lineterminator="\n")
        first.writerow([*KEYS, "psnr_db", "ssim", "truth_gain_db", "images", "bank"])
        second.writerow(
            [*KEYS, "damage", "dose", "before_db", "after_db", "lsd_before", "lsd_after"]
        )
        for variant in variants():
            shr = StatisticalHighFrequencyReplacement(**variant).fit(bank)
            row = [shr.config()[key] for key in KEYS]
            gains = []
            for key, images in sets.items():
                with torch.no_grad():
                    out = shr.replace(images, neighbours[key]).clamp(0, 1)
                if key[0] == "none":
                    quality = [f"{psnr(out, clean).mean():.2f}", f"{ssim(out, clean).mean():.3f}"]
                    continue
                before, after = _decibels(images, clean), _decibels(out, clean)
                gains.append(after - before)
                distances = [log_spectral_distance(clean, x) for x in (images, out)]
                figures = [before, after, *distances]
                second.writerow([*row, *key, *(f"{figure:.2f}" for figure in figures)])
            gain = f"{sum(gains) / len(gains):.2f}"
            first.writerow([*row, *quality, gain, len(clean), len(bank)])
            print(*row, *quality, gain, flush=True)


def _decibels(images: Tensor, clean: Tensor) -> float:
    return float(psnr(images, clean).mean())


if __name__ == "__main__":
    main(sys.argv[1:])
