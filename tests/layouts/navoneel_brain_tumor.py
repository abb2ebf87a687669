"""Kaggle navoneel/brain-mri-images-for-brain-tumor-detection in miniature: everything twice."""

from pathlib import Path

from fixtures import textured_images, write_tree

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"notumor": 10, "tumor": 12}


def write(root: Path) -> None:
    """`yes/Y1.jpg`, `no/1 no.jpeg`, `no/N3.JPG`, a PNG, and the same in brain_tumor_dataset/."""
    none = [f"no/{k} no.jpeg" for k in range(1, 9)] + ["no/N3.JPG", "no/No22.png"]
    tumour = [f"yes/Y{k}.jpg" for k in range(1, 11)] + ["yes/Y24.JPG", "yes/Y25.jpeg"]
    for place in ("", "brain_tumor_dataset/"):
        write_tree(root, textured_images(10, seed=201), [place + name for name in none])
        write_tree(root, textured_images(12, channels=3, seed=202), [place + n for n in tumour])
