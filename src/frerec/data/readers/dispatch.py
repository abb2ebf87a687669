"""Which reader an address goes to, and one kind of error for whatever goes wrong in it."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from torch import Tensor

from frerec.data.address import Address, address_of, suffix_of
from frerec.data.readers.dicom_magic import is_dicom
from frerec.data.readers.policy import ImageHeader, Reader, ReadOptions, to_tensor, to_unit
from frerec.errors import ConfigError, DataError

_T = TypeVar("_T")

_BY_SUFFIX = {
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".mat": "matlab",
    ".npz": "npz",
}


def read_header(
    address: Path | str | Address, *, options: ReadOptions | None = None
) -> ImageHeader:
    """Read size, depth and encoding, without decoding where the format allows.

    The size is the file's, before any `crop` of the options.

    Raises:
        DataError: as for `read_image`, as far as the header tells.
    """
    address, options = address_of(address), options or ReadOptions()
    return _guarded(address, lambda: _reader(address).header(address.blob, address.index, options))


def read_pixels(address: Path | str | Address, *, options: ReadOptions | None = None) -> np.ndarray:
    """Decode one image by the intensity policy.

    Returns:
        float32 [H, W] or [H, W, 3] in [0, 1], as many channels as the file has.

    Raises:
        DataError: missing, truncated, no image, too many pixels, several pages, an encoding without
            an agreed range (CMYK, signed or 32-bit integers), values that are not finite.
    """
    return to_unit(_decode(address, options)[0])


def read_image(
    address: Path | str | Address, *, channels: int, options: ReadOptions | None = None
) -> Tensor:
    """Decode one image and give it this number of channels.

    Args:
        address: a file, or an `Address` in an archive or a file of many images.
        channels: 1 (grey) or 3 (colour).
        options: limits and choices.

    Returns:
        [C, H, W] float32 in [0, 1].

    Raises:
        DataError: as `read_pixels`.
        ConfigError: `channels` is neither 1 nor 3.
    """
    return read_described(address, channels=channels, options=options)[0]


def read_described(
    address: Path | str | Address, *, channels: int, options: ReadOptions | None = None
) -> tuple[Tensor, bool]:
    """`read_image`, and whether `options.crop` cut the image; it takes some images whole."""
    if channels not in (1, 3):
        raise ConfigError(f"channels={channels}: images have 1 (grey) or 3 (colour) channels")
    pixels, cropped = _decode(address, options)
    return to_tensor(pixels, channels), cropped


def _decode(address: Path | str | Address, options: ReadOptions | None) -> tuple[np.ndarray, bool]:
    """What the reader gives, cropped where asked for and possible, and whether it was."""
    address, options = address_of(address), options or ReadOptions()

    def task() -> tuple[np.ndarray, bool]:
        pixels = _reader(address).pixels(address.blob, address.index, options)
        if options.crop != "retina":
            return pixels, False
        from frerec.data.retina import crop_to_retina

        return crop_to_retina(pixels)

    return _guarded(address, task)


def _reader(address: Address) -> Reader:
    """The module for a file, by its suffix, and by its first bytes where that says nothing."""
    name = address.blob.filename.lower()
    module = next((m for suffix, m in _BY_SUFFIX.items() if name.endswith(suffix)), None)
    if module is None and not suffix_of(name) and is_dicom(address.blob):
        module = "dicom"
    return cast(Reader, importlib.import_module(f"frerec.data.readers.{module or 'pillow'}"))


def _guarded(address: Address, task: Callable[[], _T]) -> _T:
    """Run a reader; whatever goes wrong inside becomes a DataError that names the address."""
    try:
        return task()
    except (DataError, MemoryError):
        raise
    except Exception as error:  # decoders raise all sorts of errors on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{address.name}: cannot be decoded ({reason}); replace it, or leave it out with "
            f"data.on_error=skip"
        ) from None
