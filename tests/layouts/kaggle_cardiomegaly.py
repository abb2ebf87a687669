"""Kaggle cardiomegaly in miniature: doubled split folders, the same file names in both classes."""

from pathlib import Path

from fixtures import textured_images, write_tree

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_cardiomegaly": 12, "cardiomegaly": 12}


def write(root: Path) -> None:
    """8 + 8 images to train and 4 + 4 to test, 32 px grey PNG."""
    for seed, split, count in ((1, "train", 8), (2, "test", 4)):
        names = [f"{split}/{split}/{c}/{k}.png" for c in ("true", "false") for k in range(count)]
        write_tree(root, textured_images(len(names), seed=seed), names)
