"""The decoding pass: every image read once, described, resized and put into a stack."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from frerec.data.decoding import Decoding, Skipped
from frerec.data.headers import SMALLER, common_size, read_headers, too_small
from frerec.data.journal import Journal
from frerec.data.manifest import FACTS, Manifest
from frerec.data.parallel import default_workers, in_threads
from frerec.data.perceptual import perceptual_hash
from frerec.data.readers import ImageHeader, read_described
from frerec.data.resize import resize, scale_factor
from frerec.data.stack import ImageStack, ImageStackWriter
from frerec.errors import DataError

_BUDGET = 2**31
_BYTES_PER_VALUE = 20
"""What threads may hold together, and what one holds for each decoded value of its image."""


def build_stack(
    manifest: Manifest,
    path: Path,
    decoding: Decoding,
    *,
    on_error: str = "raise",
    resume: bool = False,
    num_workers: int | None = None,
    progress: bool | None = None,
) -> tuple[ImageStack, Manifest, list[Skipped]]:
    """Decode every image of a manifest into one stack, in parallel threads.

    The stack is uint8 where that is exact (8-bit images of the right number of channels at their
    own size) and uint16 otherwise. Images that cannot be decoded are left out and returned; whether
    that is an error is for the caller to say (`decoding.refuse_skipped`), and loses no work.

    Args:
        manifest: what to decode, in the stack's order.
        path: the .npy file to make, under a temporary name until it is complete.
        decoding: how.
        on_error: `raise` at a header that cannot be read or is of an image too small, before
            anything is decoded; `skip` leaves these out like the others.
        resume: keep what was decoded beside `path` where the work is interrupted, and go on from
            what an interrupted call with the same manifest and decoding has kept.
        num_workers: decoding threads; None for one a core, fewer where images are large.
        progress: show a bar on stderr; None for only on a terminal.

    Returns:
        the stack, the manifest of its rows with all `FACTS` but the files' hashes, and the images
        left out.

    Raises:
        DataError: see `on_error`; no readable image; native sizes that differ.
    """
    names = [str(name) for name in manifest.table["image"]]
    failed: dict[int, str] = {}
    headers = read_headers(manifest, decoding, on_error, failed, num_workers, progress)
    if decoding.options.crop is None:
        failed |= too_small(names, headers, decoding, on_error)
    rows = [row for row in headers if row not in failed]
    if not rows:
        raise _nothing_readable(manifest, failed)
    kept_headers = {row: headers[row] for row in rows}
    height, width = common_size(names, kept_headers, decoding)
    exact = decoding.options.crop is None and all(
        (h.height, h.width) == (height, width) and h.fits_uint8(decoding.channels)
        for h in kept_headers.values()
    )
    shape = (len(rows), decoding.channels, height, width)
    position = {row: k for k, row in enumerate(rows)}
    subject = hashlib.sha256(f"{shape} {exact} {[names[row] for row in rows]}".encode()).hexdigest()
    journal = Journal(path.with_name(f"{path.name}.journal") if resume else None, subject)
    try:
        with (
            journal,
            ImageStackWriter.create(
                path, shape, "uint8" if exact else "uint16", journal.done if resume else None
            ) as writer,
        ):
            described = {k: journal.facts[k] for k in writer.written.tolist()}

            def decode(row: int) -> dict[str, Any] | None:
                try:
                    image, cropped = read_described(
                        manifest.address(row), channels=decoding.channels, options=decoding.options
                    )
                    facts = _facts(image, headers[row], decoding, cropped=cropped)
                    image = _resized(image, facts, names[row], decoding)
                    if image.shape[1:] != (height, width):
                        found = f"{image.shape[2]}x{image.shape[1]}"
                        raise DataError(
                            f"{names[row]}: {found} pixels, its header says {width}x{height}"
                        )
                except DataError as error:
                    failed[row] = str(error)
                    return None
                writer.write(position[row], image[None])
                if resume:
                    writer.flush()
                return facts

            left = [row for row in rows if position[row] not in described]
            results = in_threads(
                decode,
                left,
                total=len(left),
                what="decoding",
                num_workers=num_workers or _affordable_workers(kept_headers),
                progress=progress,
            )
            for row, facts in zip(left, results, strict=True):
                if facts is not None:
                    described[position[row]] = facts
                    journal.add(position[row], facts)
            if not described:
                raise _nothing_readable(manifest, failed)
            stack = writer.close(drop_missing=True)
        journal.remove()
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None
    kept = [row for row in rows if position[row] in described]
    facts_of = [described[position[row]] for row in kept]
    columns = {
        name: pd.Series([facts[name] for facts in facts_of], dtype=kind)
        for name, kind in FACTS.items()
        if name in facts_of[0]
    }
    out = [Skipped(names[row], failed[row]) for row in sorted(failed)]
    return stack, manifest.take(np.array(kept)).with_columns(**columns), out


def _affordable_workers(headers: dict[int, ImageHeader]) -> int:
    """Threads whose images fit into the budget together."""
    largest = max(h.height * h.width * (3 if h.colour else 1) for h in headers.values())
    return max(1, min(default_workers(), _BUDGET // (largest * _BYTES_PER_VALUE)))


def _resized(image: Tensor, facts: dict[str, Any], name: str, decoding: Decoding) -> Tensor:
    if decoding.image_size is None:
        return image
    if facts["scale"] > 1 and not decoding.upsample:
        found = f"{facts['width']}x{facts['height']}"
        raise DataError(f"{name}: only {found} pixels once cropped; {SMALLER}")
    return resize(image, decoding.image_size, fit=decoding.fit)


def _facts(
    image: Tensor, header: ImageHeader, decoding: Decoding, *, cropped: bool
) -> dict[str, Any]:
    """The columns `FACTS` of one image [C, H, W] before resizing, but for its file's hash."""
    _, H, W = image.shape
    return {
        "pixels": pixel_digest(image),
        "phash": perceptual_hash(image),
        "height": H,
        "width": W,
        "format": header.format,
        "mode": header.mode,
        "bits": header.native_bits,
        "quality": header.quality or 0,
        "scale": scale_factor(H, W, decoding.image_size, decoding.fit),
        "resizing": decoding.described(H, W, cropped=cropped),
    }


def pixel_digest(image: Tensor) -> str:
    """The fact `pixels` of an image [C, H, W] in [0, 1] that is not resized yet."""
    C, H, W = image.shape
    digest = hashlib.sha256(f"{C}x{H}x{W}:".encode())
    for channel in image.numpy():
        digest.update(np.rint(channel * 65535).astype("<u2").tobytes())
    return digest.hexdigest()


def _nothing_readable(manifest: Manifest, failed: dict[int, str]) -> DataError:
    return DataError(
        f"{manifest.root}: none of the {len(manifest)} images can be read; the first: "
        f"{failed[min(failed)]}"
    )
