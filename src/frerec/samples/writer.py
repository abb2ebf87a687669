"""Write a generator's samples as lossless PNG files, resumably."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError
from frerec.generators.base import Generator
from frerec.training_tools import derive_seed, write_json

CARD, UNFINISHED, MANIFEST = "samples.json", "samples.unfinished.json", "manifest.parquet"
COMPANIONS = ("generator",)  # folders that may lie beside those of the classes


def write_samples(
    generator: Generator,
    counts: Mapping[str, int],
    classes: Sequence[str],
    directory: Path,
    *,
    seed: int,
    batch_size: int = 64,
    dataset: str = "samples",
    progress: bool = False,
) -> None:
    """Write ``directory/CLASS/000000.png`` and so on, 8 bit; at the end manifest and card.

    ``manifest.parquet`` lists the images, ``samples.json`` says what made them; both appear when
    the set is complete.

    Image i of a class depends on generator, seed, class and i only, so that the images of a
    smaller count are among those of a larger one. Killed and called again, it keeps the files
    that exist (each appears under its name only when complete) and writes the others.

    Args:
        generator: Conditional on the positions of ``classes``.
        counts: Images a class; classes that are left out get none.
        classes: All class names, in the order of the generator's labels.
        directory: Made if it does not exist; may hold only samples of the same generator.
        seed: Seed of the samples.
        batch_size: Images made at once; part of what the last bit of a pixel depends on.
        dataset: Name of these samples in the manifest.
        progress: Show a progress bar.

    Raises:
        DataError: If a class cannot be a folder's name or is unknown, the generator has fewer
            images than asked, or ``directory`` holds other images, samples of another generator or
            seed, or more images than asked.
        ConfigError: If ``batch_size`` or a count is out of range.
    """
    if batch_size < 1:
        raise ConfigError(f"samples batch_size={batch_size}: expected at least 1")
    _check_classes(generator, counts, classes)
    _check_available(generator, counts, classes)
    origin: dict[str, Any] = {
        "generator": type(generator).__name__,
        "fingerprint": generator.fingerprint(),
        "classes": list(classes),
        "seed": seed,
        "batch_size": batch_size,
    }
    directory.mkdir(parents=True, exist_ok=True)
    present = _check_directory(directory, origin, counts)
    write_json(directory / UNFINISHED, origin)
    (directory / CARD).unlink(missing_ok=True)  # it says that the set is complete

    total = sum(counts.values())
    with tqdm(total=total, desc="samples", unit="image", disable=not progress) as bar:
        for label, name in enumerate(classes):
            count = counts.get(name, 0)
            if count:
                (directory / name).mkdir(exist_ok=True)
            for first in range(0, count, batch_size):
                numbers = range(first, min(first + batch_size, count))
                missing = [n for n in numbers if (name, n) not in present]
                if missing:
                    images = _draw(generator, label, first, batch_size, seed)
                    for number in missing:
                        _write_png(images[number - first], directory / name / _file(number))
                bar.update(len(numbers))
    _write_manifest(directory, counts, classes, dataset)
    write_json(directory / CARD, {**origin, "counts": {n: counts.get(n, 0) for n in classes}})
    (directory / UNFINISHED).unlink()


def _draw(generator: Generator, label: int, first: int, batch_size: int, seed: int) -> np.ndarray:
    # Always whole batches: the arithmetic of a convolution may differ with the batch's size.
    labels = torch.full((batch_size,), label, dtype=torch.int64)
    numbers = list(range(first, first + batch_size))
    available = generator.available(label)
    if available is not None:  # what is beyond is not kept
        numbers = [min(number, available - 1) for number in numbers]
    images: Tensor = generator.sample(labels, derive_seed(seed, label), numbers=numbers)
    return (images * 255.0).round().to(torch.uint8).cpu().numpy()


def _write_png(image: np.ndarray, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
    Image.fromarray(np.ascontiguousarray(pixels)).save(partial, format="PNG")
    partial.replace(path)


def _file(number: int) -> str:
    return f"{number:06d}.png"


def _check_classes(generator: Generator, counts: Mapping[str, int], classes: Sequence[str]) -> None:
    if len(classes) != generator.num_classes:
        raise DataError(
            f"the generator knows {generator.num_classes} classes, the data have {len(classes)}"
            f" ({', '.join(classes)}); train a generator on these data"
        )
    for name in classes:
        if (
            name in ("", ".", "..", *COMPANIONS)
            or any(c in name for c in "/\\:\0")
            or name != name.strip()
        ):
            raise DataError(f"class {name!r}: cannot be a folder's name; rename it in the labels")
    for name, count in counts.items():
        if name not in classes:
            raise DataError(f"samples of class {name} were asked; known are {', '.join(classes)}")
        if count < 0:
            raise ConfigError(f"samples: {count} images of class {name} were asked")


def _check_available(
    generator: Generator, counts: Mapping[str, int], classes: Sequence[str]
) -> None:
    for label, name in enumerate(classes):
        available, count = generator.available(label), counts.get(name, 0)
        if available is not None and count > available:
            raise DataError(
                f"{count} samples of class {name} were asked, {type(generator).__name__} has"
                f" {available}; lower samples.ratio or samples.counts"
            )


def _write_manifest(
    directory: Path, counts: Mapping[str, int], classes: Sequence[str], dataset: str
) -> None:
    pairs = [(f"{name}/{_file(n)}", name) for name in classes for n in range(counts.get(name, 0))]
    images = [image for image, _ in pairs]
    manifest = Manifest.build(
        Path(),  # the folder may be moved
        images=images,
        labels=[name for _, name in pairs],
        splits=["train"] * len(pairs),
        groups=[f"sample:{dataset}:{image}" for image in images],
        source="synthetic",
        dataset=dataset,
        classes=classes,
    )
    manifest.write(directory / MANIFEST)


def _check_directory(
    directory: Path, origin: Mapping[str, Any], counts: Mapping[str, int]
) -> set[tuple[str, int]]:
    """The (class, number) of the files that are there, or an error where they are not ours."""
    for partial in directory.glob("*/*.png.partial"):
        partial.unlink()
    files = [p.relative_to(directory) for p in sorted(directory.rglob("*")) if p.is_file()]
    if not files:
        return set()
    cards = [directory / name for name in (UNFINISHED, CARD) if (directory / name).exists()]
    if not cards:
        raise DataError(
            f"{directory}: holds other files ({files[0]}); name an empty folder for the samples"
        )
    # Our own files of the whole set lie at the top, images in their folders.
    files = [p for p in files if len(p.parts) > 1 and p.parts[0] not in COMPANIONS]
    card = _read_card(cards[0])
    differing = [key for key, value in origin.items() if card.get(key) != value]
    if differing:
        raise DataError(
            f"{directory}: holds samples made with another {differing[0]}; name another folder or"
            " delete this one"
        )
    expected = {
        Path(name) / _file(number): (name, number)
        for name, count in counts.items()
        for number in range(count)
    }
    for file in files:
        if file not in expected:
            raise DataError(
                f"{directory}: holds {file}, which is not among the samples asked for; name"
                " another folder or delete that file"
            )
    return {expected[file] for file in files}


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        card.get("seed")
    except (ValueError, AttributeError):
        raise DataError(f"{path}: damaged; delete its folder to make the samples anew") from None
    return card
