"""Tiny images drawn on the spot; nothing binary is committed."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def textured_images(
    count: int, *, channels: int = 1, height: int = 32, width: int = 32, seed: int = 0
) -> Tensor:
    """Smooth blobs plus weak noise, in [0, 1]: power falls with frequency, as in real images."""
    rng = np.random.default_rng(seed)
    shape = (count, channels, height, width)
    rows = np.fft.fftfreq(height)[:, None]
    columns = np.fft.rfftfreq(width)[None, :]
    falloff = 1.0 / np.maximum(np.hypot(rows, columns), 1.0 / max(height, width)) ** 1.3
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * falloff
    images = np.fft.irfft2(spectrum, s=(height, width))
    images -= images.min(axis=(-2, -1), keepdims=True)
    images /= np.maximum(images.max(axis=(-2, -1), keepdims=True), 1e-9)
    images = 0.15 + 0.7 * images + 0.02 * rng.standard_normal(shape)
    return torch.from_numpy(np.clip(images, 0, 1)).float()


def write_tree(root: Path, images: Tensor, names: list[str]) -> None:
    """Write ``[N, 1 or 3, H, W]`` images as 8-bit files under ``root``."""
    levels = (images * 255).round().byte().numpy()
    for level, name in zip(levels, names, strict=True):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(level[0] if len(level) == 1 else np.moveaxis(level, 0, -1)).save(path)


def class_folders(root: Path, per_class: int = 20, size: int = 16, seed: int = 0) -> Path:
    """Two classes of random grey PNGs, different for each file."""
    rng = np.random.default_rng(seed)
    for label in ("normal", "ill"):
        (root / label).mkdir(parents=True)
        for k in range(per_class):
            pixels = rng.integers(0, 256, (size, size), dtype=np.uint8)
            Image.fromarray(pixels).save(root / label / f"{k:03d}.png")
    return root
