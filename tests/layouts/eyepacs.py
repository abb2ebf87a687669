"""EyePACS 2015 in miniature: JPEG photographs of the left and right eye, two tables."""

from pathlib import Path

import numpy as np
from PIL import Image

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_dr": 18, "dr": 18}


def photograph(seed: int, *, height: int = 44, width: int = 60, radius: int = 21) -> Image.Image:
    """A reddish textured disc on black, a different one for each seed."""
    texture = textured_images(1, height=height, width=width, seed=seed)[0, 0].numpy()
    y, x = np.mgrid[:height, :width]
    disc = (y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2 <= radius**2
    colour = np.array([0.9, 0.5, 0.3]) * (0.3 + 0.7 * texture[..., None]) * disc[..., None]
    return Image.fromarray((255 * colour).round().astype(np.uint8))


def write(root: Path) -> None:
    """12 patients to train and 6 to test, half of them without retinopathy in either eye."""
    for part, first, patients in (("train", 10, 12), ("test", 1001, 6)):
        (root / part).mkdir(parents=True)
        lines = []
        for k in range(patients):
            for side, eye in enumerate(("left", "right")):
                level = 0 if k % 2 == 0 else 1 + (k // 2 + side) % 4
                name = f"{first + 3 * k}_{eye}"
                photograph(first + 2 * k + side).save(root / part / f"{name}.jpeg", quality=95)
                usage = ",Public" if k < 3 else ",Private"
                lines.append(f"{name},{level}" + (usage if part == "test" else ""))
        header = "image,level" if part == "train" else "image,level,Usage"
        table = "trainLabels.csv" if part == "train" else "retinopathy_solution.csv"
        (root / table).write_text("\n".join([header, *lines]) + "\n")
