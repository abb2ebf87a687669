"""NIH ChestX-ray14 in miniature: brackets that split, a trailing comma, labels joined by `|`."""

from pathlib import Path

import numpy as np
from PIL import Image

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_cardiomegaly": 11, "cardiomegaly": 13}

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
TEST_PATIENTS = (9, 10, 11, 12)


def labels(patient: int, image: int) -> str:
    """Odd patients have the finding; the last one got it between two images."""
    if patient % 2 or (patient, image) == (12, 1):
        return ("Cardiomegaly", "Cardiomegaly|Effusion")[image]
    return ("No Finding", "Effusion|Infiltration")[image]


def write(root: Path) -> None:
    """Two images of each of 12 patients in two folders, one of them RGBA; four patients to test."""
    pixels = (textured_images(24, height=40, width=40, seed=3)[:, 0] * 255).byte().numpy()
    lines, lists = [HEADER], {"train_val_list.txt": [], "test_list.txt": []}
    for k, grey in enumerate(pixels):
        patient, image = 1 + k // 2, k % 2
        name = f"{patient:08d}_{image:03d}.png"
        folder = root / f"images_{1 + k // 13:03d}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        opaque = np.full_like(grey, 255)
        rgba = np.stack([grey, grey, grey, opaque], -1)
        Image.fromarray(rgba if k == 5 else grey).save(folder / name)
        view = "PA" if patient % 3 else "AP"
        lines.append(
            f"{name},{labels(patient, image)},{image},{patient},{40 + patient},M,{view},2682,2749,"
            f"0.14300000000000002,0.14300000000000002,"
        )
        lists["test_list.txt" if patient in TEST_PATIENTS else "train_val_list.txt"].append(name)
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")
    for name, images in lists.items():
        (root / name).write_text("\n".join(images))
    (root / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_000.png,Cardiomegaly,225.08,547.02,86.78,79.19,,,\n"
    )
    (root / "README_CHESTXRAY.pdf").write_bytes(b"%PDF-1.4")
