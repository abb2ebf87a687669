"""CheXpert (small) in miniature: all four label values, frontal and lateral JPEGs, two tables."""

from pathlib import Path

from PIL import Image

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_cardiomegaly": 9, "cardiomegaly": 10}

FOLDER = "CheXpert-v1.0-small"
HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
TRAIN = [
    *((patient, 1, ("", "1.0", "0.0", "1.0")[patient % 4]) for patient in range(1, 13)),
    (1, 2, "1.0"),
    (13, 1, "-1.0"),
]
"""Patient, study and cardiomegaly: six patients with, six without or blank, one uncertain."""
VALID = [(64541 + k, 1, ("1.0", "0.0")[k % 2]) for k in range(6)]


def row(path: str, frontal: bool, cardiomegaly: str) -> str:
    """One line; the projection of lateral views is blank."""
    view = "Frontal,AP" if frontal else "Lateral,"
    return f"{path},Female,68,{view},,,{cardiomegaly},-1.0,,,,,,,0.0,,,1.0"


def write(root: Path) -> None:
    """Below `CheXpert-v1.0-small/`; patients of even number have a lateral view, too."""
    seed = 0
    for split, studies in (("train", TRAIN), ("valid", VALID)):
        lines = [HEADER]
        for patient, study, value in studies:
            for view in ("view1_frontal", "view2_lateral")[: 2 - patient % 2]:
                path = f"{FOLDER}/{split}/patient{patient:05d}/study{study}/{view}.jpg"
                seed += 1
                image = textured_images(1, height=32, width=39, seed=seed)[0, 0]
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((image * 255).byte().numpy()).save(root / path, quality=90)
                lines.append(row(path, view.endswith("frontal"), value))
        (root / FOLDER / f"{split}.csv").write_text("\n".join(lines) + "\n")
