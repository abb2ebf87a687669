"""16-bit colour TIFF at full depth; Pillow itself would cut it to 8 bits.

Pillow reads the file's directory. Each strip or tile is then handed back to Pillow as a grey 16-bit
image of its own, samples times as wide, so that libtiff unpacks it, and no more than its size. The
predictor, which takes differences between pixels and not between samples, is undone here (TIFF 6.0,
section 14).

RGB of 16 bits a sample, in one plane or three, in strips or tiles, uncompressed or compressed
without loss; alpha and other further samples are dropped. Alpha that is multiplied into the colours
is refused.
"""

import io
import struct
from itertools import product
from typing import IO, Any

import numpy as np
from PIL import TiffImagePlugin

from frerec.data.readers.policy import PIXEL_LIMIT

_COMPRESSIONS = {
    1: "none",
    5: "LZW",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    34925: "LZMA",
    50000: "ZSTD",
}
_NONE, _DIFFERENCES, _MULTIPLIED = 1, 2, 1
_PLANAR_CONFIGURATION = 284
_HEADER = 122


def sixteen_bit_colour(image: TiffImagePlugin.TiffImageFile) -> np.ndarray:
    """The colours of an open file, uint16 [H, W, 3], not yet oriented.

    Raises:
        ValueError: a compression or layout that is not read; truncated.
    """
    tags, file = image.tag_v2, image.fp
    if file is None:
        raise ValueError("closed")
    _check(tags)
    height, width = tags[TiffImagePlugin.IMAGELENGTH], tags[TiffImagePlugin.IMAGEWIDTH]
    tiled = TiffImagePlugin.TILEOFFSETS in tags
    if tiled:
        rows, columns = tags[TiffImagePlugin.TILELENGTH], tags[TiffImagePlugin.TILEWIDTH]
        offsets, counts = tags[TiffImagePlugin.TILEOFFSETS], tags[TiffImagePlugin.TILEBYTECOUNTS]
    else:
        rows, columns = min(tags.get(TiffImagePlugin.ROWSPERSTRIP, height), height), width
        offsets, counts = tags[TiffImagePlugin.STRIPOFFSETS], tags[TiffImagePlugin.STRIPBYTECOUNTS]
    planes = 3 if tags.get(_PLANAR_CONFIGURATION, 1) == 2 else 1
    samples = 1 if planes == 3 else tags[TiffImagePlugin.SAMPLESPERPIXEL]
    if min(rows, columns) < 1 or rows * columns > PIXEL_LIMIT:
        raise ValueError(f"tiles of {columns}x{rows} pixels")
    needed = planes * -(-height // rows) * -(-width // columns)
    if min(len(offsets), len(counts)) < needed:
        raise ValueError(f"{min(len(offsets), len(counts))} strips or tiles, expected {needed}")
    colours = np.empty((height, width, 3), dtype=np.uint16)
    places = product(range(planes), range(0, height, rows), range(0, width, columns))
    for (plane, y, x), offset, count in zip(places, offsets, counts, strict=False):
        tall = rows if tiled else min(rows, height - y)
        file.seek(offset)
        block = _unpacked(file, count, (tall, columns * samples), tags)
        block = block.reshape(tall, columns, samples)
        if tags.get(TiffImagePlugin.PREDICTOR, 1) == _DIFFERENCES:
            block = np.cumsum(block, axis=1, dtype=np.uint16)  # modulo 65536, as it should be
        channels = slice(plane, plane + 1) if planes == 3 else slice(3)
        part = colours[y : y + rows, x : x + columns, channels]
        part[:] = block[: part.shape[0], : part.shape[1], :3]
    return colours


def _check(tags: Any) -> None:
    """Raise ValueError where the file's layout is not one of those that are read."""
    compression, predictor = (
        tags.get(TiffImagePlugin.COMPRESSION, _NONE),
        tags.get(TiffImagePlugin.PREDICTOR, 1),
    )
    if compression not in _COMPRESSIONS:
        names = ", ".join(dict.fromkeys(_COMPRESSIONS.values()))
        raise ValueError(f"16-bit colour with compression {compression}, expected {names}")
    if predictor not in (1, _DIFFERENCES):
        raise ValueError(f"16-bit colour with predictor {predictor}, expected 1 or 2")
    if tags.get(TiffImagePlugin.FILLORDER, 1) != 1:
        raise ValueError("16-bit colour with reversed bits (FillOrder 2)")
    if _MULTIPLIED in tags.get(TiffImagePlugin.EXTRASAMPLES, ()):
        raise ValueError("16-bit colours that are multiplied by alpha; save it without alpha")


def _unpacked(file: IO[bytes], count: int, shape: tuple[int, int], tags: Any) -> np.ndarray:
    """A strip's or tile's samples [rows, samples of a row], uint16 of either byte order."""
    order = "<" if tags.prefix == b"II" else ">"
    compression = tags.get(TiffImagePlugin.COMPRESSION, _NONE)
    if compression == _NONE:
        size = 2 * shape[0] * shape[1]
        data = file.read(size)
        if len(data) < size:
            raise ValueError(f"truncated: {size - len(data)} bytes are missing")
        return np.frombuffer(data, f"{order}u2").reshape(shape)
    grey = io.BytesIO(_grey_tiff(file.read(count), compression, shape, order))
    with TiffImagePlugin.TiffImageFile(grey) as image:
        return np.asarray(image)


def _grey_tiff(data: bytes, compression: int, shape: tuple[int, int], order: str) -> bytes:
    """A file whose one strip is this data: grey, 16 bits, [rows, columns]."""
    short, long = 3, 4
    entries = [
        (TiffImagePlugin.IMAGEWIDTH, long, shape[1]),
        (TiffImagePlugin.IMAGELENGTH, long, shape[0]),
        (TiffImagePlugin.BITSPERSAMPLE, short, 16),
        (TiffImagePlugin.COMPRESSION, short, compression),
        (TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, short, 1),
        (TiffImagePlugin.STRIPOFFSETS, long, _HEADER),
        (TiffImagePlugin.SAMPLESPERPIXEL, short, 1),
        (TiffImagePlugin.ROWSPERSTRIP, long, shape[0]),
        (TiffImagePlugin.STRIPBYTECOUNTS, long, len(data)),
    ]
    directory = b"".join(
        struct.pack(f"{order}HHIHxx" if kind == short else f"{order}HHII", tag, kind, 1, value)
        for tag, kind, value in entries
    )
    magic = b"II" if order == "<" else b"MM"
    start = magic + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return start + directory + bytes(4) + data
