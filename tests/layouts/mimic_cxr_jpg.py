"""MIMIC-CXR-JPG in miniature: three gzipped tables, labels by study, one study without labels."""

import gzip
import hashlib
from pathlib import Path

from PIL import Image

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_cardiomegaly": 10, "cardiomegaly": 10}

TABLES = {
    "split": "dicom_id,study_id,subject_id,split",
    "metadata": (
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
        "StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
        "PatientOrientationCodeSequence_CodeMeaning"
    ),
    "chexpert": (
        "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,"
        "Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,"
        "Pleural Other,Pneumonia,Pneumothorax,Support Devices"
    ),
}
SPLITS = ["train"] * 8 + ["validate"] * 4 + ["test"] * 4
UNCERTAIN, UNLABELLED = 16, 17
"""Two more patients of the training split, whose images are not used."""


def value(patient: int) -> str | None:
    """Cardiomegaly by patient: even ones positive, odd ones denied or not mentioned."""
    special = {UNCERTAIN: "-1.0", UNLABELLED: None}
    return special.get(patient, ("1.0", "0.0", "1.0", "")[patient % 4])


def write(root: Path) -> None:
    """18 patients with a study of a PA and a lateral view each, four of them with an AP view."""
    rows: dict[str, list[str]] = {kind: [header] for kind, header in TABLES.items()}
    seed = 0
    for patient in range(18):
        subject, study = 10000032 + 1000001 * patient // 3, 50414267 + 7 * patient
        split = (SPLITS + ["train"] * 2)[patient]
        for view in ("PA", "LATERAL" if patient % 2 else "LL", "AP")[: 3 if patient < 4 else 2]:
            seed += 1
            digest = hashlib.sha256(str(seed).encode()).hexdigest()
            dicom = "-".join(digest[8 * i : 8 * i + 8] for i in range(5))
            path = root / f"files/p{subject // 10**6}/p{subject}/s{study}/{dicom}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = textured_images(1, height=36, width=30, seed=seed)[0, 0]
            Image.fromarray((image * 255).byte().numpy()).save(path, quality=95)
            rows["split"].append(f"{dicom},{study},{subject},{split}")
            rows["metadata"].append(
                f'{dicom},{subject},{study},"CHEST (PA AND LAT)",{view},3056,2544,21800506,'
                f"213014.531,CHEST (PA AND LAT),,Erect"
            )
        if value(patient) is not None:
            rows["chexpert"].append(f"{subject},{study},,{value(patient)},,-1.0,,,,,,,,,,1.0")
    for kind, lines in rows.items():
        data = gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
        (root / f"mimic-cxr-2.0.0-{kind}.csv.gz").write_bytes(data)
