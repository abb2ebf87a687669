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

from frerec.errors import ConfigError, DataError
from frerec.generators.base import Generator
from frerec.training_tools import derive_seed, write_json

CARD, UNFINISHED = "samples.json", "samples.unfinished.json"


def balanced_counts(real_counts: Mapping[str, int], ratio: float) -> dict[str, int]:
    """Samples a class for ``ratio`` samples per real image, rounded half up, at least one.

    Raises:
        ConfigError: If ``ratio`` is not above 0.
    """
    if not ratio > 0:
        raise ConfigError(f"samples.ratio={ratio}: expected a number above 0")
    return {name: max(int(n * ratio + 0.5), 1) if n else 0 for name, n in real_counts.items()}


def write_samples(
    generator: Generator,
    counts: Mapping[str, int],
    classes: Sequence[str],
    directory: Path,
    *,
    seed: int,
    batch_size: int = 64,
    progress: bool = False,
) -> None:
    """Write ``directory/CLASS/000000.png`` and so on, 8 bit, and ``samples.json`` at the end.

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
        progress: Show a progress bar.

    Raises:
        DataError: If a class cannot be a folder's name or is unknown, or ``directory`` holds other
            images, samples of another generator or seed, or more images than asked.
        ConfigError: If ``batch_size`` or a count is out of range.
    """
    if batch_size < 1:
        raise ConfigError(f"samples batch_size={batch_size}: expected at least 1")
    _check_classes(generator, counts, classes)
    origin: dict[str, Any] = {
        "generator": type(generator).__name__,
        "fingerprint": generator.fingerprint(),
        "classes": list(classes),
        "seed": seed,
        "batch_size": batch_size,
    }
    directory.mkdir(parents=True, exist_ok=True)
    present = _check_directory(directory, origin, counts)
    (directory / CARD).unlink(missing_ok=True)  # it says that the set is complete
    write_json(directory / UNFINISHED, origin)

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
    write_json(directory / CARD, {**origin, "counts": {n: counts.get(n, 0) for n in classes}})
    (directory / UNFINISHED).unlink()


def _draw(generator: Generator, label: int, first: int, batch_size: int, seed: int) -> np.ndarray:
    # Always whole batches: the arithmetic of a convolution may differ with the batch's size.
    labels = torch.full((batch_size,), label, dtype=torch.int64)
    numbers = range(first, first + batch_size)
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
        if name in ("", ".", "..") or any(c in name for c in "/\\:\0") or name != name.strip():
            raise DataError(f"class {name!r}: cannot be a folder's name; rename it in the labels")
    for name, count in counts.items():
        if name not in classes:
            raise DataError(f"samples of class {name} were asked; known are {', '.join(classes)}")
        if count < 0:
            raise ConfigError(f"samples: {count} images of class {name} were asked")


def _check_directory(
    directory: Path, origin: Mapping[str, Any], counts: Mapping[str, int]
) -> set[tuple[str, int]]:
    """The (class, number) of the files that are there, or an error where they are not ours."""
    for partial in directory.glob("*/*.png.partial"):
        partial.unlink()
    files = [p.relative_to(directory) for p in sorted(directory.rglob("*")) if p.is_file()]
    files = [p for p in files if p.name not in (CARD, UNFINISHED)]
    if not files:
        return set()
    cards = [directory / name for name in (UNFINISHED, CARD) if (directory / name).exists()]
    if not cards:
        raise DataError(
            f"{directory}: holds other files ({files[0]}); name an empty folder for the samples"
        )
    card = json.loads(cards[0].read_text(encoding="utf-8"))
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
