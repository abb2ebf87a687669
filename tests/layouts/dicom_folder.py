"""DICOM files in miniature: 12 bits, both greys, RLE, names without suffix, a DICOMDIR."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, RLELossless

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"normal": 10, "cardiomegaly": 10}


def radiograph(seed: int, *, patient: str, view: str = "PA", **tags: Any) -> FileDataset:
    """A 12-bit radiograph of 40 x 36 pixels, ready for `save_as`; other tags replace its own."""
    pixels = np.rint(textured_images(1, height=40, width=36, seed=seed)[0, 0].numpy() * 4095)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{seed}"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{seed}.1"
    ds.PatientID, ds.PatientName = patient, f"Name^Of {patient}"
    ds.Modality, ds.ViewPosition = "CR", view
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = pixels.astype(np.uint16).tobytes()
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    return ds


def save(ds: FileDataset, path: Path) -> None:
    """Write it as a file with preamble."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


def write(root: Path) -> None:
    """Eight patients of a class, two of them with two images; the last has no PatientID."""
    for c, name in enumerate(("normal", "cardiomegaly")):
        for k in range(10):
            seed = 100 * c + k + 1
            ds = radiograph(seed, patient="" if k == 7 else f"PAT-{c}{k % 8}")
            if k % 3 == 0:
                ds.PhotometricInterpretation = "MONOCHROME1"
            if k == 4:
                ds.compress(RLELossless)
            named = (f"{k}.dcm", f"IM{k:06d}", f"deep/{k}.DCM")[k % 3]
            save(ds, root / name / named)
    index = radiograph(999, patient="PAT-index")
    save(index, root / "DICOMDIR")
    (root / "README").write_text("How these files came about." * 10)
