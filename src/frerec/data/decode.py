"""The decoding pass: every image read once, described, resized and put into a stack."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from frerec.data.manifest import FACTS, Manifest
from frerec.data.parallel import in_threads
from frerec.data.perceptual import perceptual_hash
from frerec.data.readers import ImageHeader, ReadOptions, read_header, read_image
from frerec.data.resize import FITS, METHOD, resize, scale_factor
from frerec.data.stack import ImageStack, ImageStackWriter
from frerec.errors import ConfigError, DataError


@dataclass(frozen=True)
class Decoding:
    """How images are decoded; all of it changes their pixels, so all of it is part of their key.

    Attributes:
        channels: 1 or 3.
        image_size: side of the square images; None keeps native sizes, which must then agree.
        fit: `pad`, `crop` or `stretch`, see `resize.resize`.
        upsample: allow images smaller than `image_size` to be enlarged.
        on_error: `raise` at the first image that is unreadable or too small, or `skip` it.
        options: of the readers.
    """

    channels: int
    image_size: int | None
    fit: str = "pad"
    upsample: bool = False
    on_error: str = "raise"
    options: ReadOptions = field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ConfigError(f"data.fit={self.fit}: expected one of {', '.join(FITS)}")
        if self.on_error not in ("raise", "skip"):
            raise ConfigError(f"data.on_error={self.on_error}: expected raise or skip")
        if self.image_size is not None and self.image_size < 8:
            raise ConfigError(f"data.image_size={self.image_size}: expected at least 8 pixels")
        if self.options.crop is not None and self.image_size is None:
            raise ConfigError(
                f"data.crop={self.options.crop}: cropped images differ in size; give "
                f"data.image_size=..."
            )

    @property
    def resizing(self) -> dict[str, Any]:
        """What resizing does, for records: it changes the spectrum."""
        method = METHOD if self.image_size is not None else "none"
        return {"image_size": self.image_size, "method": method, "fit": self.fit}

    def described(self, height: int, width: int) -> str:
        """What becomes of an image of this size, in words, for the manifest."""
        steps = [] if self.options.crop is None else [f"cropped to {self.options.crop}"]
        if self.image_size is not None and not height == width == self.image_size:
            scale = scale_factor(height, width, self.image_size, self.fit)
            method = f"{METHOD}, " if scale != 1 or self.fit == "stretch" else ""
            steps.append(f"{method}{self.fit} to {self.image_size}x{self.image_size}")
        return "; ".join(steps) or "none"


@dataclass(frozen=True)
class Skipped:
    """An image that was left out, and why."""

    image: str
    reason: str


def build_stack(
    manifest: Manifest,
    path: Path,
    decoding: Decoding,
    *,
    num_workers: int | None = None,
    progress: bool | None = None,
) -> tuple[ImageStack, Manifest, list[Skipped]]:
    """Decode every image of a manifest into one stack, in parallel threads.

    The stack is uint8 where that is exact (8-bit images of the right number of channels at their
    own size) and uint16 otherwise.

    Args:
        manifest: what to decode, in the stack's order.
        path: the .npy file to make, under a temporary name until it is complete.
        decoding: how.
        num_workers: decoding threads; None for one a core, at most 8.
        progress: show a bar on stderr; None for only on a terminal.

    Returns:
        the stack, the manifest of its rows with all `FACTS` but the files' hashes, and the images
        left out.

    Raises:
        DataError: an unreadable image; no readable image; sizes that differ or are too small.
    """
    names = [str(name) for name in manifest.table["image"]]
    failed: dict[int, str] = {}

    def attempt(task: Callable[[int], Any]) -> Callable[[int], Any]:
        def run(row: int) -> Any:
            try:
                return task(row)
            except DataError as error:
                if decoding.on_error == "raise":
                    raise
                failed[row] = str(error)
                return None

        return run

    def go(task: Callable[[int], Any], rows: list[int], what: str) -> list[Any]:
        return list(
            in_threads(
                attempt(task),
                rows,
                total=len(rows),
                what=what,
                num_workers=num_workers,
                progress=progress,
            )
        )

    def header_of(row: int) -> ImageHeader:
        return read_header(manifest.address(row), options=decoding.options)

    every = list(range(len(manifest)))
    read = dict(zip(every, go(header_of, every, "reading headers"), strict=True))
    headers: dict[int, ImageHeader] = {r: h for r, h in read.items() if h is not None}
    if decoding.options.crop is None:
        failed |= _too_small(names, headers, decoding)
    rows = [row for row in headers if row not in failed]
    if not rows:
        raise _nothing_readable(manifest, failed)
    height, width = _common_size(names, {row: headers[row] for row in rows}, decoding)
    exact = decoding.options.crop is None and all(
        (h.height, h.width) == (height, width) and h.fits_uint8(decoding.channels)
        for h in (headers[row] for row in rows)
    )
    shape = (len(manifest), decoding.channels, height, width)
    writer = ImageStackWriter.create(path, shape, "uint8" if exact else "uint16")

    def decode(row: int) -> dict[str, Any]:
        address = manifest.address(row)
        image = read_image(address, channels=decoding.channels, options=decoding.options)
        facts = _facts(image, headers[row], decoding)
        if decoding.image_size is not None:
            if facts["scale"] > 1 and not decoding.upsample:
                found = f"{facts['width']}x{facts['height']}"
                raise DataError(f"{names[row]}: only {found} pixels once cropped; {_SMALLER}")
            image = resize(image, decoding.image_size, fit=decoding.fit)
        if image.shape[1:] != (height, width):
            found = f"{image.shape[2]}x{image.shape[1]}"
            raise DataError(f"{names[row]}: {found} pixels, its header says {width}x{height}")
        writer.write(row, image[None])
        return facts

    try:
        with writer:
            described = dict(zip(rows, go(decode, rows, "decoding"), strict=True))
            if len(failed) == len(manifest):
                raise _nothing_readable(manifest, failed)
            stack = writer.close(drop_missing=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None
    kept = [row for row in every if row not in failed]
    rows_of_facts = [described[row] for row in kept]
    columns = {
        name: pd.Series([facts[name] for facts in rows_of_facts], dtype=kind)
        for name, kind in FACTS.items()
        if name in rows_of_facts[0]
    }
    out = [Skipped(names[row], failed[row]) for row in sorted(failed)]
    return stack, manifest.take(np.array(kept)).with_columns(**columns), out


_SMALLER = (
    "give a smaller data.image_size, data.upsample=true (which leaves high frequencies empty), or "
    "data.on_error=skip to leave such images out"
)


def _facts(image: Tensor, header: ImageHeader, decoding: Decoding) -> dict[str, Any]:
    """The columns `FACTS` of one image [C, H, W] before resizing, but for its file's hash."""
    _, H, W = image.shape
    levels = np.rint(image.numpy() * 65535).astype("<u2")
    digest = hashlib.sha256(f"{image.shape[0]}x{H}x{W}:".encode())
    digest.update(levels.tobytes())
    return {
        "pixels": digest.hexdigest(),
        "phash": perceptual_hash(image),
        "height": H,
        "width": W,
        "format": header.format,
        "mode": header.mode,
        "bits": header.native_bits,
        "quality": header.quality or 0,
        "scale": scale_factor(H, W, decoding.image_size, decoding.fit),
        "resizing": decoding.described(H, W),
    }


def _too_small(
    names: list[str], headers: dict[int, ImageHeader], decoding: Decoding
) -> dict[int, str]:
    """Images that would have to be enlarged, with the reason; DataError unless they are skipped."""
    if decoding.image_size is None or decoding.upsample:
        return {}
    small = {
        row: f"{h.width}x{h.height} pixels, smaller than data.image_size={decoding.image_size}"
        for row, h in headers.items()
        if scale_factor(h.height, h.width, decoding.image_size, decoding.fit) > 1
    }
    if small and decoding.on_error == "raise":
        first = next(iter(small))
        raise DataError(
            f"data.image_size={decoding.image_size}: {len(small)} images are smaller, the first "
            f"{names[first]} with {headers[first].width}x{headers[first].height}; {_SMALLER}"
        )
    return small


def _common_size(
    names: list[str], headers: dict[int, ImageHeader], decoding: Decoding
) -> tuple[int, int]:
    """The stack's height and width; DataError where native sizes are kept but differ."""
    if decoding.image_size is not None:
        return decoding.image_size, decoding.image_size
    first = next(iter(headers))
    size = (headers[first].height, headers[first].width)
    for row, header in headers.items():
        if (header.height, header.width) != size:
            raise DataError(
                f"images differ in size: {names[first]} is {size[1]}x{size[0]}, {names[row]} "
                f"is {header.width}x{header.height}; give data.image_size=..."
            )
    return size


def _nothing_readable(manifest: Manifest, failed: dict[int, str]) -> DataError:
    return DataError(
        f"{manifest.root}: none of the {len(manifest)} images can be read; the first: "
        f"{failed[min(failed)]}"
    )
