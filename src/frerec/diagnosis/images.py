"""The two sets of images: which files, what their headers say, and their pixels a few at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frerec.data.address import Address, parse_address
from frerec.data.parallel import in_threads
from frerec.data.readers import ImageHeader, read_header, read_image
from frerec.data.resize import resize, scale_factor
from frerec.data.tree import IMAGE_SUFFIXES, FolderTree, open_tree, read_table
from frerec.errors import ConfigError, DataError
from frerec.samples.own_outputs import generated_rows, is_generated

log = logging.getLogger(__name__)

SMALLEST = 16  # pixels a side: below, there is no high band to speak of and no SSIM window
_BATCH_VALUES = 2**24


@dataclass(frozen=True)
class Files:
    """Images of one set that can be read.

    Attributes:
        key: `real` or `synthetic`, as the command line names the set.
        root: as it was given.
        names: of the images, relative to the root.
        addresses: where they lie.
        headers: what the files say of themselves.
        found: how many images the root holds; more than are listed where the limit bites.
        skipped: how many of those drawn could not be read.
    """

    key: str
    root: str
    names: tuple[str, ...]
    addresses: tuple[Address, ...]
    headers: tuple[ImageHeader, ...]
    found: int
    skipped: int

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Reading:
    """How pixels are read: channels 1 or 3, and the side and `fit` of `frerec.data.resize`."""

    channels: int
    image_size: int | None
    fit: str

    def size_of(self, header: ImageHeader) -> tuple[int, int]:
        """Height and width once read."""
        if self.image_size is not None:
            return self.image_size, self.image_size
        return header.height, header.width


def list_files(root: str, *, key: str, limit: int, seed: int, skip: bool) -> Files:
    """List a folder or zip archive, draw at most `limit` images and read their headers.

    Raises:
        DataError: If there is no such folder, no image in it, or an image that cannot be read.
    """
    tree = open_tree(root, key=key)
    if is_generated(tree):  # its images, not its figures nor what it left out
        listed = generated_rows(tree)
        places = dict(zip(listed.names, listed.addresses, strict=True))
    else:
        places = {name: tree.address(name) for name in tree.files()}
    every = list(places)
    if not every:
        raise DataError(
            f"{key}={root}: no images ({', '.join(IMAGE_SUFFIXES)}) in it; give a folder or zip "
            "of images"
        )
    names = every
    if len(every) > limit:
        rows = np.random.default_rng(seed).permutation(len(every))[:limit]
        names = [every[row] for row in np.sort(rows)]
    addresses = [parse_address(tree.root, places[name]) for name in names]

    def header(address: Address) -> ImageHeader | None:
        try:
            return read_header(address)
        except DataError as error:
            _refuse(error, skip=skip)
            return None

    headers = list(in_threads(header, addresses, total=len(addresses), what=f"listing {key}"))
    kept = [row for row, head in enumerate(headers) if head is not None]
    if not kept:
        raise DataError(f"{key}={root}: none of its {len(names)} images can be read; replace them")
    return Files(
        key=key,
        root=root,
        names=tuple(names[row] for row in kept),
        addresses=tuple(addresses[row] for row in kept),
        headers=tuple(head for head in headers if head is not None),
        found=len(every),
        skipped=len(names) - len(kept),
    )


def choose_channels(wanted: str, sets: Sequence[Files], model: int | None) -> int:
    """1 or 3: as given; else the model's; else 3 where both sets have colour images.

    Raises:
        ConfigError: For another value, or one that is not the model's.
    """
    if wanted not in ("auto", "1", "3"):
        raise ConfigError(f"channels={wanted}: expected auto, 1 or 3")
    if wanted != "auto":
        if model is not None and int(wanted) != model:
            raise ConfigError(
                f"channels={wanted}: the model takes images of {model}; give channels=auto"
            )
        return int(wanted)
    if model is not None:
        return model
    return 3 if all(any(h.colour for h in files.headers) for files in sets) else 1


def common_size(
    sets: Sequence[Files], reading: Reading, model: tuple[int, int] | None
) -> tuple[int, int]:
    """Height and width that all images have once read.

    Raises:
        DataError: Names the first image of another size, and both sizes.
    """
    first = sets[0].headers[0]
    expected = model or reading.size_of(first)
    whose = "the model was fitted on" if model else f"{sets[0].addresses[0].name} has"
    side = expected[0] if expected[0] == expected[1] else "N"
    for files in sets:
        for address, header in zip(files.addresses, files.headers, strict=True):
            size = reading.size_of(header)
            if size != expected:
                raise DataError(
                    f"{address.name}: {size[1]}x{size[0]} pixels, {whose} "
                    f"{expected[1]}x{expected[0]}; give images of one size, or image_size={side}"
                )
    if min(expected) < SMALLEST:
        raise DataError(
            f"{sets[0].addresses[0].name}: {expected[1]}x{expected[0]} pixels; expected at least "
            f"{SMALLEST} a side"
        )
    return expected


def enlarged(files: Files, reading: Reading) -> int:
    """How many images are enlarged, which leaves their high frequencies empty."""
    scales = [
        scale_factor(h.height, h.width, reading.image_size, reading.fit) for h in files.headers
    ]
    return sum(scale > 1 for scale in scales)


def read_batches(
    files: Files, reading: Reading, size: tuple[int, int], *, batch_size: int, skip: bool
) -> Iterator[tuple[list[int], Tensor]]:
    """Row numbers and pixels float32 ``[n, C, H, W]`` in [0, 1], in order, n at most `batch_size`.

    Large images come in smaller batches, so that memory is bounded. A batch may be empty where its
    images cannot be read and `skip` is set.

    Raises:
        DataError: If an image cannot be read, or is not of the size that its header says.
    """
    height, width = size

    def decode(row: int) -> Tensor | None:
        try:
            image = read_image(files.addresses[row], channels=reading.channels)
            if reading.image_size is not None:
                image = resize(image, reading.image_size, fit=reading.fit)
            if tuple(image.shape[1:]) != size:
                raise DataError(
                    f"{files.addresses[row].name}: {image.shape[2]}x{image.shape[1]} pixels, its "
                    f"header says {width}x{height}; replace it"
                )
        except DataError as error:
            _refuse(error, skip=skip)
            return None
        return image

    largest = max(max(h.height * h.width for h in files.headers), height * width)
    step = max(1, min(batch_size, _BATCH_VALUES // (largest * reading.channels)))
    for start in range(0, len(files), step):
        rows = range(start, min(start + step, len(files)))
        images = list(in_threads(decode, rows, total=len(rows), what="", progress=False))
        kept = [row for row, image in zip(rows, images, strict=True) if image is not None]
        pixels = [image for image in images if image is not None]
        empty = torch.empty(0, reading.channels, height, width)
        yield kept, torch.stack(pixels) if pixels else empty


def patients_of(files: Files, table: Path | None) -> list[str] | None:
    """The patient of each image by a CSV table with the columns image and group, None without one.

    Raises:
        DataError: If the table is missing, lacks a column or an image.
    """
    if table is None:
        return None
    rows = read_table(FolderTree(table.absolute().parent), table.name, ("image", "group"))
    by_name = dict(zip(rows["image"], rows["group"], strict=True))
    absent = [name for name in files.names if not by_name.get(name)]
    if absent:
        raise DataError(
            f"groups={table}: no group for the image {absent[0]} ({len(absent)} such images); "
            f"expected every image of real={files.root} by its path in it"
        )
    return [by_name[name] for name in files.names]


def _refuse(error: DataError, *, skip: bool) -> None:
    """Raise the error in this command's own words, or log it where such images are skipped."""
    message = str(error).replace("data.on_error", "on_error")
    if not skip:
        raise DataError(message) from None
    log.warning("skipped: %s", message)
