"""Write a generator's samples as lossless PNG files, resumably."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from frerec.data.manifest import Manifest
from frerec.data.png import check_bits, write_png
from frerec.errors import ConfigError, DataError
from frerec.generators.base import Generator
from frerec.samples.guards import COMPANIONS, check_class_names, refuse_links
from frerec.samples.set_folder import (
    CARD,
    MANIFEST,
    MEMORISED,
    UNFINISHED,
    differing,
    finish,
    read_card,
    restore,
)
from frerec.training_tools import derive_seed, write_json


def write_samples(
    generator: Generator,
    counts: Mapping[str, int],
    classes: Sequence[str],
    directory: Path,
    *,
    seed: int,
    bits: int = 8,
    batch_size: int | None = None,
    dataset: str = "samples",
    progress: bool = False,
    finished: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write ``directory/CLASS/000000.png`` and so on; at the end manifest and card.

    ``manifest.parquet`` lists the images, ``samples.json`` says what made them; both appear when
    the set is complete. Images that were left out of it before are in it again.

    Image i of a class depends on generator, seed, class and i only, so that the images of a
    smaller count are among those of a larger one. Killed and called again, it keeps the files
    that exist (each appears under its name only when complete) and writes the others.

    Args:
        generator: Conditional on the positions of ``classes``.
        counts: Images a class; classes that are left out get none.
        classes: All class names, in the order of the generator's labels.
        directory: Made if it does not exist; may hold only samples of the same generator.
        seed: Seed of the samples.
        bits: Of a channel, 8 or 16. A real image that an oracle hands out keeps its values where
            these are those that its stack holds.
        batch_size: Images made at once; part of what the last bit of a pixel depends on. None for
            the generator's own.
        dataset: Name of these samples in the manifest.
        progress: Show a progress bar.
        finished: False leaves ``samples.unfinished.json``, with which nobody reads the set, until
            :func:`frerec.samples.set_folder.finish`.
        extra: What else ``samples.json`` says of them; other values there are other samples. Of
            real images ``real`` is true and ``data`` the fingerprint of their data.

    Raises:
        DataError: If a class cannot be a folder's name or is unknown, the generator has fewer
            images than asked, or ``directory`` holds other images, samples of another generator or
            seed, more images than asked or links, or it makes an image that is not finite.
        ConfigError: If ``bits``, ``batch_size`` or a count is out of range.
    """
    check_bits(bits, "samples.bits")
    batch_size = generator.batch_size if batch_size is None else batch_size
    if batch_size < 1:
        raise ConfigError(f"samples batch_size={batch_size}: expected at least 1")
    _check_classes(generator, counts, classes)
    _check_available(generator, counts, classes)
    origin: dict[str, Any] = {
        "generator": type(generator).__name__,
        "fingerprint": generator.fingerprint(),
        "classes": list(classes),
        "seed": seed,
        "bits": bits,
        "batch_size": batch_size,
        **(extra or {}),
    }
    directory.mkdir(parents=True, exist_ok=True)
    refuse_links(directory)
    present = _check_directory(directory, origin, counts)
    write_json(directory / UNFINISHED, origin)
    (directory / CARD).unlink(missing_ok=True)  # it says that the set is complete
    restore(directory)

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
                        path = directory / name / _file(number)
                        write_png(images[number - first], path, bits=bits)
                bar.update(len(numbers))
    _write_manifest(directory, counts, classes, dataset)
    write_json(directory / CARD, {**origin, "counts": {n: counts.get(n, 0) for n in classes}})
    if finished:
        finish(directory)


def _draw(generator: Generator, label: int, first: int, batch_size: int, seed: int) -> Tensor:
    # Always whole batches: the arithmetic of a convolution may differ with the batch's size.
    labels = torch.full((batch_size,), label, dtype=torch.int64)
    numbers = list(range(first, first + batch_size))
    available = generator.available(label)
    if available is not None:  # what is beyond is not kept
        numbers = [min(number, available - 1) for number in numbers]
    images = generator.sample(labels, derive_seed(seed, label), numbers=numbers).cpu()
    if not torch.isfinite(images).all():
        raise DataError(
            f"{type(generator).__name__} makes images with NaN or infinite values; train it anew,"
            " with a lower learning rate"
        )
    return images


def _file(number: int) -> str:
    return f"{number:06d}.png"


def _check_classes(generator: Generator, counts: Mapping[str, int], classes: Sequence[str]) -> None:
    if len(classes) != generator.num_classes:
        raise DataError(
            f"the generator knows {generator.num_classes} classes, the data have {len(classes)}"
            f" ({', '.join(classes)}); train a generator on these data"
        )
    check_class_names(classes)
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
    partials = set(directory.glob("*/*.png*.partial"))
    found = [p for p in sorted(directory.rglob("*")) if p.is_file() and p not in partials]
    files = [p.relative_to(directory) for p in found]
    if not files:
        return set()
    cards = [directory / name for name in (UNFINISHED, CARD) if (directory / name).exists()]
    if not cards:
        raise DataError(
            f"{directory}: holds other files ({files[0]}); name an empty folder for the samples"
        )
    others = differing(read_card(cards[0]), origin)
    if others:
        raise DataError(
            f"{directory}: holds samples made with another {others[0]}; name another folder or"
            " delete this one"
        )
    for partial in partials:
        partial.unlink()
    # Our own files of the whole set lie at the top, images in their folders, also where left out.
    files = [p.relative_to(MEMORISED) if p.parts[0] == MEMORISED else p for p in files]
    files = [p for p in files if len(p.parts) > 1 and p.parts[0] not in COMPANIONS]
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
