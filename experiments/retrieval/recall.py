"""Does the fast search find the neighbours of the exact one, on real images?

    python experiments/retrieval/recall.py NAME=DIR [NAME=DIR ...]

Each DIR holds labels.csv with a column `image`, relative to it. Of every set, 32 images are sought
for among up to 2,000 others with K = 200, in their own size and colour, by `exact` and by `fast`.
Then, for the default SHR and for every representation: how far the statistics over the fast
neighbours are from those over the exact ones, and how far the half-precision table is from float64.
Writes recall.csv beside itself.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.calibration.retrieval import top_k_ssim
from frerec.calibration.statistics import encode

QUERIES, BANK, K = 32, 2000, 200
COLUMNS = (
    "set",
    "channels",
    "side",
    "bank",
    "recall_mean",
    "recall_worst",
    "representation",
    "fast_mean_error",
    "fast_deviation_error",
    "half_mean_error",
    "half_deviation_error",
    "half_deviation_error_worst",
)


def main(arguments: list[str]) -> None:
    """Measure every set."""
    with Path(__file__).with_name("recall.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for argument in arguments:
            name, _, folder = argument.partition("=")
            images = read(Path(folder))
            queries, bank = images[:QUERIES], images[QUERIES:]
            exact = top_k_ssim(queries, bank, K)[1]
            fast = top_k_ssim(queries, bank, K, method="fast")[1]
            pairs = zip(exact.tolist(), fast.tolist(), strict=True)
            recall = np.array([len(set(a) & set(b)) / K for a, b in pairs])
            facts = [name, *images.shape[1:3], len(bank), f"{recall.mean():.4f}", recall.min()]
            for representation in ("complex", "amplitude", "log_amplitude"):
                errors = statistics_errors(bank, exact, fast, representation)
                row = [*facts, representation, *(f"{error:.2e}" for error in errors)]
                writer.writerow(row)
                file.flush()
                print(*row, flush=True)


def read(folder: Path) -> Tensor:
    """Images of a set in a drawn order, ``[N, C, H, W]`` in [0, 1]."""
    names = pd.read_csv(folder / "labels.csv")["image"].to_numpy()
    chosen = names[np.random.default_rng(0).permutation(len(names))[: QUERIES + BANK]]
    images = [Image.open(folder / name) for name in chosen]
    colour = any(image.mode == "RGB" and _coloured(image) for image in images[:20])
    arrays = [np.asarray(image.convert("RGB" if colour else "L")) for image in images]
    stack = torch.from_numpy(np.stack(arrays)).float() / 255
    return stack.movedim(-1, 1).contiguous() if colour else stack[:, None]


def _coloured(image: Image.Image) -> bool:
    red, green, blue = np.moveaxis(np.asarray(image, dtype=np.int16), -1, 0)
    return bool((np.abs(red - green).max() > 8) or (np.abs(green - blue).max() > 8))


def statistics_errors(
    bank: Tensor, exact: Tensor, fast: Tensor, representation: str
) -> tuple[float, ...]:
    """Relative to the exact deviation: of means and of deviations, fast and half precision."""
    shr = StatisticalHighFrequencyReplacement(representation=representation)  # type: ignore[arg-type]
    shr.fit(bank)
    of_exact, of_fast = shr.statistics(exact), shr.statistics(fast)
    scale = of_exact.deviation.clamp_min(1e-9)
    fast_mean = (of_fast.mean - of_exact.mean).abs() / scale
    fast_deviation = (of_fast.deviation - of_exact.deviation).abs() / scale
    spectrum = torch.fft.rfft2(bank[exact[0]].double(), norm="ortho")[..., shr.band().mask]
    values = encode(spectrum, representation)  # type: ignore[arg-type]
    mean = values.mean(0)
    deviation = (values - mean).abs().square().mean(0).sqrt()
    half_mean = (of_exact.mean[0] - mean).abs() / deviation
    half_deviation = (of_exact.deviation[0] - deviation).abs() / deviation
    means = (fast_mean, fast_deviation, half_mean, half_deviation)
    return (*(float(error.mean()) for error in means), float(half_deviation.max()))


if __name__ == "__main__":
    main(sys.argv[1:])
