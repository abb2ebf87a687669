"""BraTS in miniature: NIfTI volumes of all challenges' names, below grades and versions."""

from pathlib import Path

import nibabel as nib
import numpy as np

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = (
    "data.image_size=24", "data.min_tumour=20", "data.step=2", "data.slices_per_patient=2",
)  # fmt: skip
EXPECTED: dict[str, int] = {"notumor": 20, "tumor": 18}

SHAPE = (32, 32, 14)
BRAIN = range(1, 13)
"""The slices that show enough of the brain; of these 2, 4, ..., 12 are looked at."""
TUMOUR = {5: 9, 6: 36, 7: 36, 8: 25}
"""Pixels of tumour by slice; patient 9 has a tumour too small to count."""

FOLDERS = [
    *(f"HGG/Brats18_TCIA01_{200 + k}_1" for k in range(3)),
    *(f"LGG/Brats18_TCIA09_{300 + k}_1" for k in range(2)),
    "MICCAI_BraTS2020_TrainingData/BraTS20_Training_001",
    "MICCAI_BraTS2020_TrainingData/BraTS20_Training_355",
    "BraTS-GLI-00005-100",
    "BraTS-GLI-00005-101",
    "BraTS-GLI-00006-100",
]
_AFFINE = np.array([[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float)
"""As in all BraTS volumes: voxels run to the left, to the back and up."""


def volume(seed: int) -> np.ndarray:
    """A textured ball on background 0, int16."""
    texture = textured_images(SHAPE[2], height=SHAPE[0], width=SHAPE[1], seed=seed)
    texture = np.moveaxis(texture[:, 0].numpy(), 0, -1)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    return np.where(x**2 + y**2 + z**2 < 0.98, 100 + 900 * texture, 0).astype(np.int16)


def segmentation(areas: dict[int, int], label: int) -> np.ndarray:
    """A square of so many pixels in each slice, with a core of another label."""
    seg = np.zeros(SHAPE, dtype=np.uint8)
    for k, area in areas.items():
        side = round(area**0.5)
        seg[12 : 12 + side, 14 : 14 + side, k] = 2
        seg[13, 15, k] = label
    return seg


def save(path: Path, values: np.ndarray, affine: np.ndarray = _AFFINE) -> None:
    """Write NIfTI, gzipped or not by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)


def write(root: Path) -> None:
    """Ten folders of nine patients, with two of the four sequences."""
    for number, folder in enumerate(FOLDERS):
        name = Path(folder).name
        new, old2020 = "-GLI-" in name, "2020" in folder
        suffix = ".nii" if old2020 else ".nii.gz"
        ends = {"t1ce": "-t1c", "flair": "-t2f", "seg": "-seg"} if new else {}
        place = root / folder
        for k, sequence in enumerate(("t1ce", "flair")):
            end = ends.get(sequence, f"_{sequence}")
            save(place / f"{name}{end}{suffix}", volume(500 + 2 * number + k))
        areas = {6: 4} if number == 9 else TUMOUR
        file = f"{name}{ends.get('seg', '_seg')}{suffix}"
        file = "W39_1998.09.19_Segm.nii" if name.endswith("355") else file
        save(place / file, segmentation(areas, label=3 if new else 4))
