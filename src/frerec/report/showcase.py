"""The showcase of a run: sample images, their spectra, and how good the samples are."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from frerec.errors import DataError
from frerec.report.embedding import Embedding, read_embedding
from frerec.report.parsing import read_json, section

# What numpy raises for a file that is empty, torn, or something else.
_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)

# What a reader calls each set of images, in the order in which they are shown.
SET_TITLES: Mapping[str, str] = {
    "real": "real",
    "synthetic": "synthetic",
    "synthetic_shr": "synthetic, after SHR",
    "synthetic_frerec": "synthetic, after FreRec",
    "synthetic_calibrated": "synthetic, calibrated",
    "real_frerec": "real, after FreRec",
    "real_calibrated": "real, calibrated",
}


@dataclass(frozen=True)
class Showcase:
    """Every part may be empty: a run may not have come so far.

    Attributes:
        generator: its name, "" where unknown.
        card: what the generator's card says of it, in its own words and numbers.
        sets: set of images -> its quality (lsd_db, lsd_high_db, detector_auc, kid, kid_std,
            kid_features); any value may be None.
        quality: set of samples, by its generator -> how far it is from the real training images:
            plain values of :class:`frerec.evaluation.generative.GenerativeQuality`.
        fidelity: comparison -> psnr (dB), ssim, images, what.
        arm_fidelity: an entry a calibrated treatment of real images: key, data, arm, arms, extra,
            calibrates, split, psnr (dB), ssim, images.
        inference: an entry a calibrator: key, data, arm, arms, extra, calibrates, method, stages,
            network, ms_per_image, images, batch, size, channels, device, threads, precision.
        missing: part that failed -> why.
        images: set -> uint8 [n, C, H, W]; image i of the real sets is one real image, image i of
            the synthetic sets one sample.
        labels: "real" and "synthetic" -> int64 [n].
        rho: [R] radius / Nyquist radius, empty without spectra.
        spectra: set -> (mean [R], std [R]) of the natural-log radial power.
        planes: set -> mean natural-log power [H, W], DC at (H//2, W//2).
        embedding: stage ("before", "calibrated", "after") -> features of the classifiers in the
            plane.
    """

    generator: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fidelity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quality: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    arm_fidelity: tuple[Mapping[str, Any], ...] = ()
    inference: tuple[Mapping[str, Any], ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    rho: np.ndarray = field(default_factory=lambda: np.empty(0))
    spectra: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    planes: Mapping[str, np.ndarray] = field(default_factory=dict)
    embedding: Mapping[str, Embedding] = field(default_factory=dict)


def read_showcase(folder: Path) -> Showcase | None:
    """Read the showcase folder of a run, None where there is none (yet).

    Raises:
        DataError: where a file of it is damaged or an array has the wrong shape.
    """
    if not folder.is_dir():
        return None
    notes_file = folder / "showcase.json"
    notes = read_json(notes_file) if notes_file.is_file() else {}
    generator = section(notes, "generator", notes_file)
    sets, fidelity = section(notes, "sets", notes_file), section(notes, "fidelity", notes_file)
    images, labels = _images(folder / "images.npz")
    rho, spectra, planes = _spectra(folder / "spectra.npz")
    points_file = folder / "embedding.npz"
    return Showcase(
        generator=str(generator.get("name") or ""),
        card=section(generator, "card", notes_file),
        sets={name: section(sets, name, notes_file) for name in sets if sets[name]},
        fidelity={name: section(fidelity, name, notes_file) for name in fidelity if fidelity[name]},
        quality=_quality(notes.get("quality"), notes_file),
        arm_fidelity=_entries(notes, "arm_fidelity", ("arm", "psnr", "ssim"), notes_file),
        inference=_entries(notes, "inference", ("method", "ms_per_image"), notes_file),
        missing={k: str(v) for k, v in section(notes, "missing", notes_file).items()},
        images=images,
        labels=labels,
        rho=rho,
        spectra=spectra,
        planes=planes,
        embedding=read_embedding(
            _load(points_file), section(notes, "embedding", notes_file), points_file
        ),
    )


def _quality(content: Any, file: Path) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Name and values of each set of samples; none in runs from before they were measured."""
    entries = [] if content is None else content
    try:
        return tuple((str(entry["samples"]), section(entry, "quality", file)) for entry in entries)
    except (TypeError, KeyError):
        raise DataError(
            f"{file}: quality must be a list of samples and quality; run the benchmark again"
        ) from None


def _entries(
    notes: Mapping[str, Any], key: str, needed: tuple[str, ...], file: Path
) -> tuple[Mapping[str, Any], ...]:
    """A list of mappings; none in runs from before there was one."""
    entries = notes.get(key) or []
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and all(name in entry for name in needed) for entry in entries
    ):
        raise DataError(
            f"{file}: {key} must be a list of entries with {', '.join(needed)}; "
            "run the benchmark again"
        )
    return tuple(entries)


def _images(file: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    arrays = _load(file)
    images = {name: arrays[name] for name in SET_TITLES if name in arrays}
    for name, array in images.items():
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1] not in (1, 3):
            raise DataError(
                f"{file}: {name} must be uint8 [n, 1 or 3, H, W]; "
                f"found {array.dtype} {list(array.shape)}"
            )
    labels = {
        name: arrays[f"{name}_labels"]
        for name in ("real", "synthetic")
        if f"{name}_labels" in arrays
    }
    for name, array in labels.items():
        if name in images and array.shape != images[name].shape[:1]:
            raise DataError(f"{file}: {name}_labels must have one label an image of {name}")
    return images, labels


def _spectra(
    file: Path,
) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]], dict[str, np.ndarray]]:
    arrays = _load(file)
    if not arrays:
        return np.empty(0), {}, {}
    rho = arrays.get("rho", np.empty(0))
    spectra = {
        name: (arrays[f"{name}_mean"], arrays[f"{name}_std"])
        for name in SET_TITLES
        if f"{name}_mean" in arrays and f"{name}_std" in arrays
    }
    for name, (mean, std) in spectra.items():
        if rho.ndim != 1 or mean.shape != rho.shape or std.shape != rho.shape:
            raise DataError(f"{file}: {name}_mean and {name}_std must have the length of rho")
    planes = {name: arrays[f"{name}_plane"] for name in SET_TITLES if f"{name}_plane" in arrays}
    for name, plane in planes.items():
        if plane.ndim != 2 or plane.shape != next(iter(planes.values())).shape:
            raise DataError(f"{file}: {name}_plane must be [H, W], the same for all sets")
    return rho, spectra, planes


def _load(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        return {}
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{file}: not readable ({reason}); run the benchmark again") from error
