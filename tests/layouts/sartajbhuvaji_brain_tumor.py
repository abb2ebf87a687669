"""Kaggle sartajbhuvaji/brain-tumor-classification-mri in miniature: its own class names."""

from pathlib import Path

from fixtures import textured_images, write_tree

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"notumor": 12, "glioma": 12, "meningioma": 12, "pituitary": 12}

_FOLDERS = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")


def write(root: Path) -> None:
    """`Training/glioma_tumor/gg (1).jpg`, `Testing/glioma_tumor/image(1).jpg` and so on, in RGB."""
    seed = 100
    for split, pattern, count in (("Training", "gg ({}).jpg", 8), ("Testing", "image({}).jpg", 4)):
        for folder in _FOLDERS:
            seed += 1
            names = [f"{split}/{folder}/{pattern.format(k + 1)}" for k in range(count)]
            images = textured_images(count, channels=3, height=34, width=28, seed=seed)
            write_tree(root, images, names)
