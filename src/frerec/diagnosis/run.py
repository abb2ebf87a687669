"""From two folders of images, and perhaps a fitted calibrator, to a folder with the diagnosis."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frerec import __version__
from frerec.calibration import Calibrator
from frerec.data.resize import FITS
from frerec.diagnosis.figures import write_figures
from frerec.diagnosis.images import (
    Reading,
    choose_channels,
    common_size,
    list_files,
    patients_of,
)
from frerec.diagnosis.page import render
from frerec.diagnosis.remarks import describe_set, facts, notes, warnings
from frerec.diagnosis.sets import Measured, Pass, join_groups, measure_set
from frerec.diagnosis.summary import series, summarise
from frerec.diagnosis.verdict import verdict
from frerec.errors import ConfigError

PAGE, NUMBERS, FIGURES = "index.html", "diagnosis.json", "figures"
FORMAT = 1
_MOST_SHOWN = 8


@dataclass(frozen=True)
class Settings:
    """What to diagnose, and how.

    Attributes:
        real, synthetic: folders or zip archives of images, any depth.
        model: folder of the calibrator, only to be named; None without one.
        groups: CSV table with the columns image and group, the patients of the real images; None.
        channels: `auto`, `1` or `3`.
        image_size: side to which all images are resized; None keeps their sizes.
        fit: of the resizing, see `frerec.data.resize`.
        limit: at most so many images a set.
        seed: of the draw and of the bootstrap.
        bits: 8 or 16, to which calibrated images are rounded, as `frerec calibrate` writes them.
        shown: sample images a set, 1 to 8.
        batch_size: images held at once.
        on_error: `raise` or `skip`, for an image that cannot be read.
    """

    real: str
    synthetic: str
    model: str | None = None
    groups: str | None = None
    channels: str = "auto"
    image_size: int | None = None
    fit: str = "pad"
    limit: int = 2000
    seed: int = 0
    bits: int = 8
    shown: int = 4
    batch_size: int = 32
    on_error: str = "raise"

    def __post_init__(self) -> None:
        if self.channels not in ("auto", "1", "3"):
            raise ConfigError(f"channels={self.channels}: expected auto, 1 or 3")
        if self.fit not in FITS:
            raise ConfigError(f"fit={self.fit}: expected one of {', '.join(FITS)}")
        if self.bits not in (8, 16):
            raise ConfigError(f"bits={self.bits}: expected 8 or 16")
        if self.on_error not in ("raise", "skip"):
            raise ConfigError(f"on_error={self.on_error}: expected raise or skip")
        for name in ("limit", "batch_size", "image_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: expected at least 1")
        if not 1 <= self.shown <= _MOST_SHOWN:
            raise ConfigError(f"shown={self.shown}: expected 1 to {_MOST_SHOWN}")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed}: expected 0 or more")


@dataclass(frozen=True)
class Diagnosis:
    """The numbers of `diagnosis.json`, and the measured images that the figures need."""

    numbers: dict[str, Any]
    real: Measured
    synthetic: Measured


def diagnose(
    settings: Settings, calibrator: Calibrator | None = None, *, progress: bool = True
) -> Diagnosis:
    """Measure both sets and compare them.

    Args:
        settings: what to compare.
        calibrator: applied to both sets, on the device where it lies; None for no calibration.
        progress: show bars on a terminal.

    Raises:
        DataError: If a set is missing, empty or unreadable, or sizes differ.
        ConfigError: If the settings do not fit the calibrator.
    """
    skip = settings.on_error == "skip"
    roots = {"real": settings.real, "synthetic": settings.synthetic}
    files = [
        list_files(root, key=key, limit=settings.limit, seed=settings.seed, skip=skip)
        for key, root in roots.items()
    ]
    table = None if settings.groups is None else Path(settings.groups)
    patients = patients_of(files[0], table)
    shape = None if calibrator is None else calibrator.input_shape
    channels = choose_channels(settings.channels, files, None if shape is None else shape[0])
    reading = Reading(channels, settings.image_size, settings.fit)
    size = common_size(files, reading, None if shape is None else (shape[1], shape[2]))
    how = Pass(
        reading=reading,
        size=size,
        calibrator=calibrator,
        bits=settings.bits,
        batch_size=settings.batch_size,
        skip=skip,
        shown=settings.shown,
        progress=progress,
    )
    real, synthetic = (measure_set(of_set, how) for of_set in files)
    groups, source = join_groups(real, synthetic, patients)
    numbers: dict[str, Any] = {
        "format": FORMAT,
        "frerec": __version__,
        "settings": asdict(settings),
        "image_shape": [channels, *size],
        "sets": {
            of_set.key: describe_set(of_set, measured)
            for of_set, measured in zip(files, (real, synthetic), strict=True)
        },
        "groups": {"source": source, "real": len(np.unique(groups[: len(real)]))},
        "model": None
        if calibrator is None
        else {
            "folder": settings.model,
            "calibrator": calibrator.name,
            "config": calibrator.config(),
            "bits": settings.bits,
        },
        "warnings": warnings(files, (real, synthetic), reading),
        "notes": notes(files, (real, synthetic), settings.seed),
        **summarise(real, synthetic, groups, seed=settings.seed),
    }
    numbers["verdict"] = verdict(numbers)
    return Diagnosis(numbers, real, synthetic)


def write_diagnosis(diagnosis: Diagnosis, folder: Path, *, command: str) -> None:
    """Write `index.html`, `diagnosis.json` and `figures/` into an empty folder that exists.

    Args:
        diagnosis: as :func:`diagnose` gives it.
        folder: where to.
        command: that would do the same again, for the page.
    """
    numbers = diagnosis.numbers
    (folder / FIGURES).mkdir()
    spectra = series(diagnosis.real, diagnosis.synthetic)
    figures = write_figures(folder / FIGURES, spectra, diagnosis.real, diagnosis.synthetic, numbers)
    text = json.dumps(strict(numbers), indent=1, allow_nan=False, ensure_ascii=False)
    (folder / NUMBERS).write_text(text + "\n", encoding="utf-8")
    page = render(numbers, figures, facts(numbers), command)
    (folder / PAGE).write_text(page, encoding="utf-8", newline="\n")


def strict(value: Any) -> Any:
    """Plain values that strict JSON can hold: None for a number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return [strict(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def is_ours(name: str) -> bool:
    """Whether a file of this name, relative to the folder, may be part of a diagnosis of ours."""
    stems = ("radial", "planes", "detectors", "samples")
    figures = {
        f"{FIGURES}/{stem}{theme}.{suffix}"
        for stem in stems
        for theme in ("", "_dark")
        for suffix in ("png", "svg")
    }
    return name in {PAGE, NUMBERS} | figures
