"""Cheng's figshare set in miniature: MATLAB v7.3 files as MATLAB writes them, and the folds."""

from pathlib import Path

import h5py
import numpy as np

from fixtures import textured_images

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"meningioma": 8, "glioma": 10, "pituitary": 9}

LABELS = [1] * 8 + [2] * 10 + [3] * 9
"""Of 1.mat ... 27.mat."""
PATIENTS = [
    *(f"{100360 + k * 6 // 8}" for k in range(8)),
    *(f"MR0{k * 7 // 10:02}240F" for k in range(10)),
    *(f"MR1{k * 7 // 9:02}" for k in range(9)),
]
"""6 + 7 + 7, of one or two slices each."""


def picture(number: int) -> np.ndarray:
    """The upright pixels of one file, int16 [30, 26]."""
    image = textured_images(1, height=30, width=26, seed=400 + number)[0, 0].numpy()
    return np.round(image * 2000).astype(np.int16)


def folds() -> list[int]:
    """1 to 5 in turn, patient by patient."""
    order = list(dict.fromkeys(PATIENTS))
    return [order.index(patient) % 5 + 1 for patient in PATIENTS]


def write_mat(path: Path, label: float, patient: str, image: np.ndarray) -> None:
    """One file: 512 bytes of MATLAB's own header, and every array column by column."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[4:9, 5:12] = 1
    values = {
        "PID": (np.array([[ord(c)] for c in patient], dtype=np.uint16), "char"),
        "image": (image.T, "int16"),
        "label": (np.array([[float(label)]]), "double"),
        "tumorBorder": (np.array([[4.0, 5.0, 9.0, 5.0, 9.0, 12.0]]), "double"),
        "tumorMask": (mask.T, "logical"),
    }
    with h5py.File(path, "w", userblock_size=512) as file:
        struct = file.create_group("cjdata")
        struct.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, (array, kind) in values.items():
            compression = "gzip" if array.size > 100 else None
            dataset = struct.create_dataset(name, data=array, compression=compression)
            dataset.attrs["MATLAB_class"] = np.bytes_(kind)
        struct["PID"].attrs["MATLAB_int_decode"] = np.int32(2)
    _write_header(path)


def write_folds(path: Path, numbers: list[int]) -> None:
    """`cvind.mat` in MATLAB v7.3: a column vector, which HDF5 sees as a row."""
    with h5py.File(path, "w", userblock_size=512) as file:
        dataset = file.create_dataset("cvind", data=np.array([numbers], dtype=np.float64))
        dataset.attrs["MATLAB_class"] = np.bytes_("double")
    _write_header(path)


def write(root: Path) -> None:
    """`1.mat` ... `27.mat` and `cvind.mat`, as the archives hold them when unpacked."""
    for number, (label, patient) in enumerate(zip(LABELS, PATIENTS, strict=True), 1):
        write_mat(root / f"{number}.mat", label, patient, picture(number))
    write_folds(root / "cvind.mat", folds())


def _write_header(path: Path) -> None:
    text = (
        b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Mon Mar 16 10:00:00 2015 HDF5 schema"
    )
    with path.open("r+b") as file:
        file.write(text.ljust(124) + b"\x00\x02IM")
