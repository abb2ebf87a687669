"""PNG, JPEG and TIFF through Pillow: 1 to 16 bits, grey or colour, and 32-bit floating point.

MinIsWhite is inverted; the EXIF orientation is applied; a file with more than one page is refused.
So are signed and 32-bit integers in TIFF: writers agree neither on what their zero means (black,
the middle, 0 HU) nor on the number that is white, so no division would be right for all of them.
16-bit colour keeps its depth through torchvision (PNG) and `tiff16`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from frerec.data.address import Blob
from frerec.data.readers.jpeg_quality import jpeg_quality
from frerec.data.readers.policy import ImageHeader, ReadOptions, check_pixels, unit_floats
from frerec.data.readers.tiff16 import sixteen_bit_colour
from frerec.errors import DataError

_FORMATS = ("PNG", "JPEG", "TIFF")
_GREY_8 = ("1", "L", "LA")
_COLOUR_8 = ("P", "PA", "RGB", "RGBA", "RGBX")
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = 0x0112


def header(blob: Blob, index: str, options: ReadOptions) -> ImageHeader:
    """See `policy.Reader`; of a PNG or JPEG in an archive, only its beginning is decompressed."""
    with _opened(blob, index, options, header_only=True) as image:
        bits, colour = _depth(image)
        width, height = image.size
        orientation = 1
        # A PNG would have to be decoded to look for EXIF behind its pixels.
        if image.format == "JPEG" or "exif" in image.info:
            orientation = image.getexif().get(_ORIENTATION, 1)
        elif isinstance(image, TiffImagePlugin.TiffImageFile):
            orientation = image.tag_v2.get(_ORIENTATION, 1)
            # Not `image.size`, which versions of Pillow turn, or do not.
            width, height = (
                image.tag_v2[t] for t in (TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.IMAGELENGTH)
            )
        if orientation in (5, 6, 7, 8):
            width, height = height, width
        tables = getattr(image, "quantization", None)
        quality = jpeg_quality(tables) if image.format == "JPEG" and tables else None
        format = str(image.format)
        return ImageHeader(height, width, bits, colour, format, image.mode, quality)


def pixels(blob: Blob, index: str, options: ReadOptions) -> np.ndarray:
    """See `policy.Reader`."""
    if not index and _front_is_cheap(blob):
        header(blob, index, options)  # its size, before all of it is decompressed
    with _opened(blob, index, options) as image:
        values = _pixels(image, blob)
        return _orient(values, int(image.getexif().get(_ORIENTATION, 1)))


@contextmanager
def _opened(
    blob: Blob, index: str, options: ReadOptions, *, header_only: bool = False
) -> Iterator[Image.Image]:
    """Open a file that is one image, within the limit."""
    if index:
        raise DataError(f"{blob.name}::{index}: this file is one image; leave ::{index} out")
    front = header_only and _front_is_cheap(blob)
    try:
        # A file object, not a name: Pillow maps named TIFFs into memory and then gets the
        # orientation of some of them wrong.
        with (
            blob.stream() if front else blob.open() as file,
            Image.open(file, formats=_FORMATS) as image,
        ):
            check_pixels(blob.name, image.height, image.width, options)
            yield image
    except UnidentifiedImageError:
        raise DataError(
            f"{blob.name}: not a PNG, JPEG or TIFF image that can be read (up to 16 bits, or "
            f"32-bit floating point, one page); replace it, or leave it out with data.on_error=skip"
        ) from None


def _front_is_cheap(blob: Blob) -> bool:
    """Whether this is a PNG or a JPEG in an archive, whose header is read without seeking."""
    if not blob.member:
        return False
    with blob.stream() as file:
        return file.read(4).startswith((b"\x89PNG", b"\xff\xd8"))


def _depth(image: Image.Image) -> tuple[int, bool]:
    """Bits per channel (8, 16, 32 for floating point) and whether the image has colour."""
    pages = int(getattr(image, "n_frames", 1)) if image.format in ("TIFF", "PNG") else 1
    if pages > 1:
        raise ValueError(f"{pages} pages or frames, expected one")
    mode = image.mode
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        kind = image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
        if 2 in kind:
            raise ValueError("signed integers have no agreed range; convert to unsigned 16 bits")
        if mode in _GREY_16 and max(bits) != 16:
            raise ValueError(f"{max(bits)} bits per sample; convert to 8 or 16 bits")
        if mode in _COLOUR_8 and max(bits) > 8:
            return 16, True
    if mode in _GREY_8:
        return 8, False
    if mode in _GREY_16:
        return 16, False
    if mode == "F":
        return 32, False
    if mode in _COLOUR_8:
        return _png_depth(image), _png_colours(image)
    if mode == "I":
        raise ValueError("32-bit integers have no agreed range; convert to unsigned 16 bits")
    raise ValueError(f"colour mode {mode} is not supported; convert to grey or RGB")


def _png_depth(image: Image.Image) -> int:
    """16 for PNGs with 16-bit colour or alpha, which Pillow would silently cut to 8 bits."""
    return 16 if "16" in _raw_mode(image) else 8


def _png_colours(image: Image.Image) -> bool:
    """False for 16-bit grey with alpha, which Pillow calls RGBA."""
    return not _raw_mode(image).startswith("LA")


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    return str(tiles[0][3]) if image.format == "PNG" and tiles else ""


def _pixels(image: Image.Image, blob: Blob) -> np.ndarray:
    """The decoded pixels, not yet oriented: uint8, uint16 or float32, as `policy.Reader` says."""
    bits, colour = _depth(image)
    if bits == 8:
        image.load()
        mode = "RGB" if colour else "L"
        return np.asarray(image if image.mode == mode else image.convert(mode))
    if bits == 32:
        return unit_floats(np.asarray(image))
    if _raw_mode(image).startswith(("RGB", "LA")):
        return _sixteen_bit_png(image, blob, colour)
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return np.asarray(image).astype(np.uint16)
    if colour:
        return sixteen_bit_colour(image)
    values = np.asarray(image).astype(np.uint16)
    white_is_zero = image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    return 65535 - values if white_is_zero else values


def _sixteen_bit_png(image: Image.Image, blob: Blob, colour: bool) -> np.ndarray:
    """Decode 16-bit colour or grey-alpha PNGs through torchvision, at full depth, uint16."""
    from torchvision.io import ImageReadMode, decode_png

    data = torch.frombuffer(bytearray(blob.read()), dtype=torch.uint8)
    values: np.ndarray = decode_png(data, mode=ImageReadMode.UNCHANGED).numpy()
    if values.shape[1:] != (image.height, image.width) or values.dtype != np.uint16:
        raise ValueError("16-bit PNG decoded to another size or depth than its header says")
    image.load()  # EXIF may come after the pixels
    return values[:3].transpose(1, 2, 0) if colour else values[0]


def _orient(values: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8 (Pillow has applied and removed that of a TIFF)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values
