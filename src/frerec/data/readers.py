"""Files to tensors: PNG, JPEG and TIFF, with one intensity policy.

The policy [ours]: stored integers are divided by the largest that their depth can hold, 255 for up
to 8 bits and 65535 for 16; nothing is stretched to the image's own range, because that would
change amplitudes from image to image. Floating-point TIFFs must lie in [0, 1] already. Alpha is
dropped, not composited; palettes are looked up; MinIsWhite is inverted; ICC profiles and gamma are
ignored. Colour becomes grey by ITU-R BT.601 luma, grey becomes colour by replication. The EXIF
orientation is applied. A file with more than one page is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from torch import Tensor

from frerec.errors import ConfigError, DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
PIXEL_LIMIT = 2**26
"""Most pixels an image may have before it is refused, 8192 x 8192; Pillow's own hard limit,
about 179 million, stays in force above it."""

_FORMATS = ("PNG", "JPEG", "TIFF")
_GREY_8 = ("1", "L", "LA")
_COLOUR_8 = ("P", "PA", "RGB", "RGBA", "RGBX")
_GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class ImageHeader:
    """What a file says of itself before its pixels are decoded.

    Attributes:
        height, width: pixels, after the EXIF orientation.
        native_bits: 8 (or fewer), 16 or 32 (floating point) per channel.
        colour: whether the pixels have three channels.
    """

    height: int
    width: int
    native_bits: int
    colour: bool

    def fits_uint8(self, channels: int) -> bool:
        """Whether 8 bits hold the pixels exactly once they have this number of channels."""
        return self.native_bits == 8 and (channels == 3 or not self.colour)


def read_header(path: Path, *, pixel_limit: int = PIXEL_LIMIT) -> ImageHeader:
    """Read size and depth without decoding.

    Raises:
        DataError: as for `read_image`, as far as the header tells.
    """
    with _opened(Path(path), pixel_limit) as image:
        bits, colour = _depth(image)
        width, height = image.size
        # A PNG would have to be decoded to look for EXIF behind its pixels.
        has_exif = image.format == "JPEG" or "exif" in image.info
        if has_exif and image.getexif().get(_ORIENTATION) in (5, 6, 7, 8):
            width, height = height, width
        return ImageHeader(height, width, bits, colour)


def read_image(path: Path, *, channels: int, pixel_limit: int = PIXEL_LIMIT) -> Tensor:
    """Decode one file by the module's intensity policy.

    Args:
        path: a PNG, JPEG or TIFF file, told apart by content, not by name.
        channels: 1 (grey) or 3 (colour).
        pixel_limit: refuse images with more pixels than this before they are decoded.

    Returns:
        [C, H, W] float32 in [0, 1].

    Raises:
        DataError: missing, truncated, not an image, too many pixels, several pages, an encoding
            without an agreed range (CMYK, signed or 32-bit integers), or floats outside [0, 1].
        ConfigError: `channels` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ConfigError(f"channels={channels}: images have 1 (grey) or 3 (colour) channels")
    path = Path(path)
    with _opened(path, pixel_limit) as image:
        pixels = _pixels(image, path)
        pixels = _orient(pixels, int(image.getexif().get(_ORIENTATION, 1)))
    if pixels.ndim == 2:
        pixels = np.broadcast_to(pixels, (channels, *pixels.shape))
    elif channels == 1:
        pixels = np.clip(pixels @ _LUMA, 0, 1)[None]
    else:
        pixels = pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32).copy())


@contextmanager
def _opened(path: Path, pixel_limit: int) -> Iterator[Image.Image]:
    """Open a file; whatever goes wrong inside becomes a DataError that names it."""
    try:
        # A file object, not a name: Pillow maps named TIFFs into memory and then gets the
        # orientation of some of them wrong.
        with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > pixel_limit:
                raise DataError(
                    f"{path}: {image.width}x{image.height} pixels, more than the limit of "
                    f"{pixel_limit}; check the file, or raise data.pixel_limit"
                )
            yield image
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: not a PNG, JPEG or TIFF image that can be read (up to 16 bits, or 32-bit "
            f"floating point, one page); replace it, or leave it out with data.on_error=skip"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise all sorts of errors on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: cannot be decoded ({reason}); replace it, or leave it out with "
            f"data.on_error=skip"
        ) from None


def _depth(image: Image.Image) -> tuple[int, bool]:
    """Bits per channel (8, 16, 32 for floating point) and whether the image has colour."""
    pages = int(getattr(image, "n_frames", 1)) if image.format in ("TIFF", "PNG") else 1
    if pages > 1:
        raise ValueError(f"{pages} pages or frames, expected one")
    mode = image.mode
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        kind = image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
        if max(bits) > 8 and len(bits) > 1:
            raise ValueError("16-bit colour TIFF; convert it to 16-bit PNG")
        if 2 in kind:
            raise ValueError("signed integers have no agreed range; convert to unsigned 16 bits")
        if mode in _GREY_16 and max(bits) != 16:
            raise ValueError(f"{max(bits)} bits per sample; convert to 8 or 16 bits")
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


def _pixels(image: Image.Image, path: Path) -> np.ndarray:
    """The decoded pixels: float32 [H, W] or [H, W, 3] in [0, 1], not yet oriented."""
    bits, colour = _depth(image)
    if bits == 8:
        image.load()
        mode = "RGB" if colour else "L"
        return _scaled(np.asarray(image if image.mode == mode else image.convert(mode)), 255)
    if bits == 32:
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise ValueError("floating-point pixels that are not finite")
        if values.min() < 0 or values.max() > 1:
            low, high = float(values.min()), float(values.max())
            raise ValueError(f"floating-point pixels from {low:g} to {high:g}, expected [0, 1]")
        return values.astype(np.float32)
    if _raw_mode(image).startswith(("RGB", "LA")):
        return _sixteen_bit_png(image, path, colour)
    values = np.asarray(image).astype(np.uint16)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        white_is_zero = image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
        values = 65535 - values if white_is_zero else values
    return _scaled(values, 65535)


def _sixteen_bit_png(image: Image.Image, path: Path, colour: bool) -> np.ndarray:
    """Decode 16-bit colour or grey-alpha PNGs through torchvision, at full depth."""
    from torchvision.io import ImageReadMode, decode_png  # type: ignore[import-untyped]

    data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    values = decode_png(data, mode=ImageReadMode.UNCHANGED).numpy()
    if values.shape[1:] != (image.height, image.width) or values.dtype != np.uint16:
        raise ValueError("16-bit PNG decoded to another size or depth than its header says")
    image.load()  # EXIF may come after the pixels
    return _scaled(values[:3].transpose(1, 2, 0) if colour else values[0], 65535)


def _scaled(values: np.ndarray, largest: int) -> np.ndarray:
    scaled: np.ndarray = np.divide(values, largest, dtype=np.float32)
    return scaled


def _orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8 (Pillow has applied and removed that of a TIFF)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
