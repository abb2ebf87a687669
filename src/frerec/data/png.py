"""PNG files of 8 or 16 bits a channel: a temporary name first, then renamed."""

import struct
import zlib
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from frerec.errors import ConfigError, DataError

LARGEST = {8: 255, 16: 65535}


def check_bits(bits: int, key: str = "bits") -> None:
    """Refuse a depth that PNG does not have.

    Raises:
        ConfigError: If it is neither 8 nor 16; names ``key``.
    """
    if isinstance(bits, bool) or bits not in LARGEST:
        raise ConfigError(f"{key}={bits}: expected 8 or 16")


def write_png(image: Tensor, path: Path, *, bits: int) -> None:
    """Write ``[C, H, W]`` in [0, 1], C 1 or 3, rounded to ``bits`` bits a channel.

    The temporary name is new at every call, so that two writers of one file, as when a machine is
    given up for dead too early, cannot mix their bytes.

    Raises:
        ConfigError: If ``bits`` is neither 8 nor 16.
        DataError: If the values are not finite, or the file cannot be written.
    """
    check_bits(bits)
    if not torch.isfinite(image).all():
        raise DataError(f"{path}: the model gives NaN or infinite values; give precision=32-true")
    levels = (image.float() * LARGEST[bits]).round().to(torch.int32).cpu().numpy()
    array = levels.astype(np.uint8 if bits == 8 else np.uint16)
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _save(array, partial)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another"
            " output folder, then run the same command again to go on"
        ) from None


def _save(array: np.ndarray, path: Path) -> None:
    if array.dtype == np.uint16 and len(array) == 3:  # which Pillow does not write
        path.write_bytes(encode_colour16(np.moveaxis(array, 0, -1)))
        return
    pixels = array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, format="PNG")


def encode_colour16(pixels: np.ndarray) -> bytes:
    """A PNG file of RGB with 16 bits a channel, as the PNG specification (W3C, 2003) has it.

    Args:
        pixels: uint16 [H, W, 3].
    """
    height, width, _ = pixels.shape
    rows = np.ascontiguousarray(pixels.astype(">u2")).view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), 2, np.uint8)  # filter 2: less the row above
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
