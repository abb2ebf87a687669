"""Kaggle masoudnickparvar/brain-tumor-mri-dataset in miniature: JPEGs, grey or RGB by class."""

from pathlib import Path

from fixtures import textured_images, write_tree

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"notumor": 12, "glioma": 12, "meningioma": 12, "pituitary": 12}

_FOLDERS = ("glioma", "meningioma", "notumor", "pituitary")
_SPLITS = {"Training": ("Tr", 8), "Testing": ("Te", 4)}


def write(root: Path) -> None:
    """`Training/glioma/Tr-gl_0010.jpg` and so on; images without tumour are RGB and not square."""
    seed = 0
    for split, (short, count) in _SPLITS.items():
        for folder in _FOLDERS:
            seed += 1
            names = [f"{split}/{folder}/{short}-{folder[:2]}_{10 + k:04}.jpg" for k in range(count)]
            none = folder == "notumor"
            images = textured_images(
                count, channels=3 if none else 1, height=30, width=36 if none else 30, seed=seed
            )
            write_tree(root, images, names)
