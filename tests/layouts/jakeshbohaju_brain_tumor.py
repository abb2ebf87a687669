"""Kaggle jakeshbohaju/brain-tumor in miniature: a table of texture features, names unsuffixed."""

from pathlib import Path

from fixtures import textured_images, write_tree

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"notumor": 11, "tumor": 9}

COLUMNS = (
    "Image,Class,Mean,Variance,Standard Deviation,Entropy,Skewness,Kurtosis,Contrast,Energy,ASM,"
    "Homogeneity,Dissimilarity,Correlation,Coarseness"
)


def has_tumour(number: int) -> bool:
    """Of Image1 ... Image20."""
    return number % 2 == 0 and number > 2


def write(root: Path) -> None:
    """`Brain Tumor.csv`, the older table, and `Brain Tumor/Brain Tumor/Image1.jpg` and so on."""
    numbers = range(1, 21)
    names = [f"Brain Tumor/Brain Tumor/Image{n}.jpg" for n in numbers]
    write_tree(root, textured_images(20, channels=3, seed=301), names)
    rows = [f"Image{n},{int(has_tumour(n))}" + ",7.458341e-155" * 13 for n in numbers]
    (root / "Brain Tumor.csv").write_text("\n".join([COLUMNS, *rows]) + "\n", encoding="utf-8")
    older = "\n".join([",Image,Mean,Target", *(f"{n},Image{n},6.5,1" for n in numbers)])
    (root / "bt_dataset_t3.csv").write_text(older, encoding="utf-8")
