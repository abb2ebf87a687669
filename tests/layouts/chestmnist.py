"""ChestMNIST in miniature: one compressed npz, 14 labels an image."""

from pathlib import Path

import numpy as np

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.size=28",)
EXPECTED: dict[str, int] = {"no_cardiomegaly": 12, "cardiomegaly": 12}

COUNTS = {"train": 12, "val": 6, "test": 6}


def arrays(size: int = 28) -> dict[str, np.ndarray]:
    """The npz's arrays; every other image has cardiomegaly, every third an effusion."""
    made = {}
    for seed, (split, count) in enumerate(COUNTS.items()):
        images = textured_images(count, height=size, width=size, seed=50 + seed)[:, 0]
        labels = np.zeros((count, 14), dtype=np.uint8)
        labels[::2, 1] = 1
        labels[::3, 2] = 1
        made[f"{split}_images"] = (images * 255).byte().numpy()
        made[f"{split}_labels"] = labels
    return made


def write(root: Path) -> None:
    """`chestmnist.npz`, 28 px."""
    np.savez_compressed(root / "chestmnist.npz", **arrays())
