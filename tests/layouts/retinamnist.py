"""RetinaMNIST in miniature: one compressed npz, colour, grades 0 to 4."""

from pathlib import Path

import numpy as np

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.size=28",)
EXPECTED: dict[str, int] = {"no_dr": 12, "dr": 14}

GRADES = {"train": [0, 1, 0, 2, 0, 3, 0, 4, 0, 1], "val": [0, 1, 2] * 2, "test": [0, 4] * 5}


def arrays(size: int = 28) -> dict[str, np.ndarray]:
    """The npz's arrays."""
    made = {}
    for seed, (split, grades) in enumerate(GRADES.items()):
        images = textured_images(len(grades), channels=3, height=size, width=size, seed=60 + seed)
        made[f"{split}_images"] = (images * 255).byte().permute(0, 2, 3, 1).numpy()
        made[f"{split}_labels"] = np.array(grades, dtype=np.uint8)[:, None]
    return made


def write(root: Path) -> None:
    """`retinamnist.npz`, 28 px."""
    np.savez_compressed(root / "retinamnist.npz", **arrays())
