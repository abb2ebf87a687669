"""Which rule finds planted copies of training images, and spares images that copy nothing?

    python experiments/memorisation/copies.py data.root=DIR [size=400] [queries=100]

Takes `size` training images a class of the cardiomegaly set at 64 px as what a generator was
trained on. Plants `queries` copies of them, each altered in one way, and as many fresh images:
validation images, altered in the same ways, and what a linear generator (PCA) makes. Writes the
share that each rule flags to copies.csv beside itself.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from frerec.config import compose_config, instantiate
from frerec.evaluation.features import build_extractor
from frerec.samples.memorisation import RULES, find_memorised
from frerec.spectral.damage import damage

COMPONENTS = 60  # of the linear generator


def blurred(images: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of `sigma` pixels."""
    return gaussian_blur(images, 4 * int(np.ceil(sigma)) + 1, sigma)


def compressed(images: Tensor, quality: int = 75) -> Tensor:
    """Through JPEG and back."""
    parts = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray((image[0] * 255).round().byte().numpy()).save(file, "JPEG", quality=quality)
        parts.append(torch.from_numpy(np.asarray(Image.open(file)).copy())[None].float() / 255)
    return torch.stack(parts)


def shifted(images: Tensor, pixels: int) -> Tensor:
    """Down and to the right, edges repeated."""
    padded = torch.nn.functional.pad(images, (pixels, 0, pixels, 0), mode="replicate")
    return padded[..., : images.shape[-2], : images.shape[-1]]


def alterations(noise: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    """What is done to copies and to fresh images alike."""
    return {
        "unaltered": lambda x: x,
        "mirrored": lambda x: x.flip(-1),
        "JPEG 75": compressed,
        "blur 1 px": lambda x: blurred(x, 1.0),
        "blur 2 px": lambda x: blurred(x, 2.0),
        "shift 1 px": lambda x: shifted(x, 1),
        "shift 2 px": lambda x: shifted(x, 2),
        "0.9 x + 0.08": lambda x: 0.9 * x + 0.08,
        "gamma 0.85": lambda x: x**0.85,
        "white noise 0.05": lambda x: (x + 0.05 * noise).clamp(0, 1),
        "high band attenuated": lambda x: damage(x, "attenuation", 1.0, noise=noise),
        "high band checkerboard": lambda x: damage(x, "checkerboard", 1.0, noise=noise),
        "high band noise": lambda x: damage(x, "noise", 1.0, noise=noise),
    }


def linear_samples(real: Tensor, fresh: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """A generator that cannot copy: Gaussian in the first principal components; and its blur."""
    flat = real.flatten(1)
    mean = flat.mean(0)
    _, scales, axes = torch.linalg.svd(flat - mean, full_matrices=False)
    axes, scales = axes[:COMPONENTS], scales[:COMPONENTS] / len(real) ** 0.5
    drawn = mean + (noise[:, :COMPONENTS] * scales) @ axes
    rebuilt = mean + ((fresh.flatten(1) - mean) @ axes.T) @ axes
    return {
        "PCA samples": drawn.view_as(fresh).clamp(0, 1),
        "PCA of fresh images": rebuilt.view_as(fresh).clamp(0, 1),
        "means of two fresh images": (fresh + fresh.roll(1, 0)) / 2,
    }


def main(arguments: list[str]) -> None:
    """Measure every set by every rule."""
    numbers = {"size": 400, "queries": 100}
    own = [a for a in arguments if a.partition("=")[0] in numbers]
    numbers |= {key: int(value) for key, value in (a.split("=") for a in own)}
    overrides = [a for a in arguments if a not in own]
    config = compose_config(
        "benchmark",
        [
            "experiment=cardiomegaly", "data.image_size=64",
            f"data.train_size={numbers['size']}", *overrides,
        ],
    )  # fmt: skip
    data = instantiate(config.data)
    data.prepare_data()
    data.setup()
    rng = np.random.default_rng(0)
    real = data.stack.tensor(data.rows("train"))
    groups = data.manifest.groups()[data.rows("train")]
    copied = real[rng.permutation(len(real))[: numbers["queries"]]]
    fresh = data.stack.tensor(np.sort(rng.permutation(data.rows("val"))[: numbers["queries"]]))
    noise = torch.randn(copied.shape, generator=torch.Generator().manual_seed(0))
    sets = {("copy", name): alter(copied) for name, alter in alterations(noise).items()}
    sets |= {("fresh", name): alter(fresh) for name, alter in alterations(noise).items()}
    others = linear_samples(real, fresh, noise.flatten(1))
    sets |= {("fresh", name): images for name, images in others.items()}
    queries = torch.cat(list(sets.values()))
    extractor = build_extractor(channels=data.channels)
    flagged = {}
    for mirrored in (False, True):
        found = find_memorised(queries, real, groups, extractor, mirrored=mirrored)
        limits, ratios = found.thresholds, found.table
        by_ssim = ratios["ssim_ratio"].to_numpy() < limits["ssim"]
        by_features = ratios["feature_ratio"].to_numpy() < limits["features"]
        rules = {
            "ssim": by_ssim,
            "features": by_features,
            "both": by_ssim & by_features,
            "either": by_ssim | by_features,
        }
        for rule in RULES:
            key = f"{rule}, mirrored" if mirrored else rule
            flagged[key] = [float(part.mean()) for part in np.split(rules[rule], len(sets))]
    table = pd.DataFrame(flagged, index=pd.MultiIndex.from_tuples(sets, names=("kind", "set")))
    table.round(3).to_csv(Path(__file__).with_name("copies.csv"), lineterminator="\n")
    print(table.round(3).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
