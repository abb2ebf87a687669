"""A trained generator that the user has: whether it fits the data, and what it learned from."""

import json
import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from frerec.data.datamodules import ImageDataModule
from frerec.errors import ConfigError, DataError
from frerec.generators import Generator, load_generator

log = logging.getLogger(__name__)

TRAINED_ON = "data.json"  # beside a generator's weights: which data it learned from


def check_checkpoint(folder: Path, data: ImageDataModule, kind: type[Generator]) -> None:
    """Refuse a generator of other classes or images; warn where it may have seen test images.

    One whose samples are real images must be of exactly these data.

    Args:
        folder: Of the generator; ``data.json`` may lie beside its weights.
        data: Those that the samples are for.
        kind: The class that the configuration names.

    Raises:
        ConfigError: Names what differs.
        DataError: If a file of it is missing or damaged.
    """
    generator = load_generator(folder)
    known = read_record(folder / TRAINED_ON)
    if type(generator) is not kind:
        raise ConfigError(
            f"generator.checkpoint={folder}: holds a {type(generator).__name__}, not the"
            f" {kind.__name__} of the configuration; give the generator= that it was trained by"
        )
    for what, theirs, ours in (
        ("classes", known.get("classes"), list(data.classes)),
        ("classes", generator.num_classes, len(data.classes)),
        ("channels", generator.channels, data.channels),
        ("pixels a side", generator.image_size, data.image_size),
    ):
        if theirs is not None and theirs != ours:
            raise ConfigError(
                f"generator.checkpoint={folder}: made for {what} {theirs}, the data have"
                f" {ours}; take another checkpoint, or set the data accordingly"
            )
    generator.check(data)
    if known.get("fingerprint") == data.fingerprint:
        return
    if generator.uses_withheld:
        raise ConfigError(
            f"generator.checkpoint={folder}: its samples are real images, of other data than these"
            " or of a split that is not known; set generator.checkpoint=null to make it anew"
        )
    _warn_of_other_split(folder, data.fingerprint)


@cache
def _warn_of_other_split(folder: Path, _fingerprint: str) -> None:
    """Warn once a process: several stages look at the same checkpoint."""
    log.warning(
        "generator.checkpoint=%s was not trained on exactly this training split; make sure that it"
        " saw no validation or test image",
        folder,
    )


def trained_on(data: ImageDataModule) -> dict[str, Any]:
    """What ``data.json`` says of the data that a generator learns from."""
    counts = np.bincount(data.labels("train"), minlength=len(data.classes)).tolist()
    return {
        "data": data.name,
        "modality": data.modality,
        "fingerprint": data.fingerprint,
        "classes": list(data.classes),
        "training_images": dict(zip(data.classes, counts, strict=True)),
    }


def read_record(path: Path) -> dict[str, Any]:
    """What a JSON file beside a generator's weights says; nothing where there is none.

    Raises:
        DataError: If it is damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError(f"{path}: damaged; restore it, or remove it")
    return found
