"""Read a generator's samples: a folder a class, or a folder with a table of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.readers import read_header
from frerec.data.tree import IMAGE_SUFFIXES
from frerec.errors import ConfigError, DataError

TABLE = "labels.csv"


def load_samples(
    path: Path,
    *,
    classes: Sequence[str],
    labels: Path | None = None,
    label_map: Mapping[str, str | None] | None = None,
    dataset: str = "samples",
    allow_missing: bool = False,
) -> Manifest:
    """List a folder of labelled samples; the images are not decoded here.

    Args:
        path: The folder. Without a table, every folder in it is a class with its images, at any
            depth.
        classes: The real data's classes, in order.
        labels: A CSV file with the columns ``image`` (relative to ``path``) and ``label``. None
            takes ``path/labels.csv`` where that exists, else a folder a class.
        label_map: From a name in the samples to the real data's; to None leaves its images out.
        dataset: Name of these samples in the manifest.
        allow_missing: Accept that a real class has no sample.

    Returns:
        A manifest with source "synthetic", split "train" and a group of its own for every image.

    Raises:
        DataError: If the folder is missing or has no images, the table lacks a column or names a
            missing or outlying file, a class is none of the real ones, or a real class has no
            sample.
        ConfigError: If ``label_map`` maps to no real class or from no name in the samples.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: no such folder of samples; set samples.path to one")
    if labels is None and (path / TABLE).is_file():
        labels = path / TABLE
    rows = _from_folders(path) if labels is None else _from_table(path, Path(labels))
    rows = _mapped(rows, path, classes, dict(label_map or {}))
    if not rows:
        raise DataError(f"{path}: samples.label_map leaves out every image")
    absent = [name for name in classes if name not in {label for _, label in rows}]
    if absent and not allow_missing:
        raise DataError(
            f"{path}: no samples of the class {', '.join(absent)}; add some, or map another name"
            f" to it with samples.label_map"
        )
    images = [image for image, _ in rows]
    manifest = Manifest.build(
        path,
        images=images,
        labels=[label for _, label in rows],
        splits=["train"] * len(rows),
        # A real image of the same relative path is another patient.
        groups=[f"sample:{dataset}:{image}" for image in images],
        source="synthetic",
        dataset=dataset,
        classes=classes,
    )
    validate(manifest, min_classes=1)
    return manifest


def _from_folders(root: Path) -> list[tuple[str, str]]:
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    rows = []
    for folder in folders:
        found = [
            file.relative_to(root).as_posix()
            for file in sorted(folder.rglob("*"))
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        ]
        if not found:
            raise DataError(
                f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)}); add samples, or remove the "
                f"folder"
            )
        rows += [(image, folder.name) for image in found]
    if not rows:
        raise DataError(
            f"{root}: no samples; expected a folder for every class with images in it, or a table"
            f" {TABLE} with the columns image, label"
        )
    return rows


def _from_table(root: Path, table_path: Path) -> list[tuple[str, str]]:
    try:
        table = pd.read_csv(table_path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(f"{table_path}: no such file; set samples.labels to a CSV file") from None
    except (OSError, ValueError) as error:  # pandas' parsing errors are ValueErrors
        reason = " ".join(str(error).split())
        raise DataError(
            f"{table_path}: not a readable CSV file ({reason}); expected the columns image, label"
        ) from None
    for column in ("image", "label"):
        if column not in table.columns:
            raise DataError(
                f"{table_path}: column {column} is missing, found {', '.join(table.columns)};"
                " rename a column"
            )
    if table.empty:
        raise DataError(f"{table_path}: no rows; expected one for every sample")
    rows = []
    for line, (image, label) in enumerate(zip(table["image"], table["label"], strict=True), 2):
        where = f"{table_path}, line {line}"
        if not image or not label:
            raise DataError(f"{where}: image or label is empty; fill it in or remove the line")
        windows = PureWindowsPath(image)
        posix = PurePosixPath(image)
        if posix.is_absolute() or windows.is_absolute() or windows.drive or ".." in posix.parts:
            raise DataError(
                f"{where}: image {image} leads out of {root}; give a path relative to that folder"
            )
        if not (root / image).is_file():
            raise DataError(f"{where}: no such file {root / image}; correct the table")
        rows.append((posix.as_posix(), label))
    return rows


def _mapped(
    rows: list[tuple[str, str]],
    root: Path,
    classes: Sequence[str],
    label_map: dict[str, str | None],
) -> list[tuple[str, str]]:
    found = {label for _, label in rows}
    real = ", ".join(classes)
    for name, target in label_map.items():
        if target is not None and target not in classes:
            raise ConfigError(
                f"samples.label_map: maps {name} to {target}, which is none of the real classes"
                f" {real}"
            )
        if name not in found:
            raise ConfigError(
                f"samples.label_map: {name} is no class of the samples in {root}, which has"
                f" {', '.join(sorted(found))}"
            )
    unknown = sorted(name for name in found if name not in label_map and name not in classes)
    if unknown:
        raise DataError(
            f"{root}: the samples have the class {', '.join(unknown)}, the real data only {real};"
            f" map it with samples.label_map={{{unknown[0]}: {classes[0]}}}, or to null to leave"
            " it out"
        )
    pairs = [(image, label_map.get(label, label)) for image, label in rows]
    return [(image, label) for image, label in pairs if label is not None]


def check_against_real(samples: Manifest, real: Manifest, *, count: int = 16) -> list[str]:
    """Compare size, colour and compression of some samples with some real images.

    Each difference leaves its own trace in the spectrum, which a classifier could learn instead
    of the disease.

    Args:
        samples: The samples.
        real: The real images.
        count: Images looked at on each side, spread over the table.

    Returns:
        One-line warnings; none where nothing differs.

    Raises:
        DataError: If one of these images cannot be opened.
    """
    ours, theirs = _properties(samples, count), _properties(real, count)
    reasons = {
        "size": "resizing changes the spectrum",
        "colour": "colour conversion changes the images of one side only",
        "compression": "JPEG compression changes the high frequencies",
    }
    return [
        f"samples have {key} {', '.join(sorted(ours[key]))}, real images"
        f" {', '.join(sorted(theirs[key]))}: {reason}"
        for key, reason in reasons.items()
        if ours[key] != theirs[key]
    ]


def _properties(manifest: Manifest, count: int) -> dict[str, set[str]]:
    seen: dict[str, set[str]] = {"size": set(), "colour": set(), "compression": set()}
    spread = np.linspace(0, len(manifest) - 1, min(count, len(manifest)))
    for row in spread.round().astype(int):
        header = read_header(manifest.address(int(row)))
        seen["size"].add(f"{header.width}x{header.height}")
        seen["colour"].add("colour" if header.colour else "grey")
        seen["compression"].add("JPEG" if header.format == "JPEG" else "lossless")
    return seen
