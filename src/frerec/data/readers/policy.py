"""The intensity policy: how stored numbers become floats in [0, 1], one rule a kind of image.

[ours] throughout; the paper states none. Amplitudes are what FreRec compares, so a rule may not
depend on what else is in the data set, and stretches an image only where its numbers have no unit.

========================  ==========================================================================
photographs, radiographs  PNG, JPEG, TIFF, npz: the integer over the largest that its depth can
                          hold, 255 for up to 8 bits and 65535 for 16. Nothing is stretched.
                          Floating-point pixels must lie in [0, 1] already. Signed and 32-bit
                          integers are refused: what their zero and their largest number mean is
                          not agreed, and a guess would change contrast from file to file.
radiographs, CT in DICOM  rescale slope and intercept (or modality LUT), then the file's first VOI
                          window or LUT, whose output range becomes [0, 1]; without one, or with
                          `dicom_window=full`, the range that BitsStored can hold, so that a CT
                          without a window is grey and flat, but its numbers keep their unit.
                          MONOCHROME1 is inverted. Overlays are ignored.
MRI, PET and nuclear      the same where the file has a window or LUT, or with
medicine in DICOM         `dicom_window=full`. Without, as other MRI: the frame's own range. (MR
(Modality MR, PT, NM)     fills a few hundred of its 65,536 numbers: by them it would be black.)
MRI (NIfTI, MATLAB)       arbitrary units, so from the acquisition's own minimum, 0, to its own
                          `mri_percentile`, 1, clipped; the acquisition is the volume of a NIfTI
                          file and the slice of a `.mat` file.
========================  ==========================================================================

Alpha is dropped, not composited; palettes are looked up; ICC profiles and gamma are ignored. Colour
becomes grey by ITU-R BT.601 luma, grey becomes colour by replication.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from frerec.data.address import Blob
from frerec.errors import ConfigError, DataError

PIXEL_LIMIT = 2**26
"""Most pixels an image may have before it is refused, 8192 x 8192; Pillow's own hard limit,
about 179 million, stays in force above it."""

DICOM_WINDOWS = ("voi", "full")
CROPS = ("retina",)
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class ReadOptions:
    """What a user may choose about reading; part of the key of decoded images.

    Attributes:
        pixel_limit: images (and volumes, per slice) with more pixels are refused before decoding.
        mri_percentile: upper end of the range of an MRI acquisition, 100 for its maximum.
        dicom_window: `voi` or `full`, see the module.
        crop: `retina` cuts fundus photographs to the square around the retina's disc.
    """

    pixel_limit: int = PIXEL_LIMIT
    mri_percentile: float = 99.9
    dicom_window: str = "voi"
    crop: str | None = None

    def __post_init__(self) -> None:
        if self.dicom_window not in DICOM_WINDOWS:
            expected = ", ".join(DICOM_WINDOWS)
            raise ConfigError(f"data.dicom_window={self.dicom_window}: expected one of {expected}")
        if not 50 < self.mri_percentile <= 100:
            raise ConfigError(
                f"data.mri_percentile={self.mri_percentile}: expected more than 50, at most 100"
            )
        if self.crop is not None and self.crop not in CROPS:
            raise ConfigError(f"data.crop={self.crop}: expected null or {', '.join(CROPS)}")
        if self.pixel_limit < 1:
            raise ConfigError(f"data.pixel_limit={self.pixel_limit}: expected 1 or more")


@dataclass(frozen=True)
class ImageHeader:
    """What a file says of itself before its pixels are decoded.

    Attributes:
        height, width: pixels, as the decoded image will have them.
        native_bits: 8 (or fewer), 16 (9 to 16) or 32 (floating point, or scaled by its own range).
        colour: whether the pixels have three channels.
        format: `PNG`, `JPEG`, `TIFF`, `DICOM`, `NIfTI`, `MAT` or `NPZ`.
        mode: how the pixels are stored, in the format's own word (`L`, `RGB`, `MONOCHROME1`, ...).
        quality: of a JPEG, 1 to 100 by the tables of the Independent JPEG Group, None otherwise.
    """

    height: int
    width: int
    native_bits: int
    colour: bool
    format: str = ""
    mode: str = ""
    quality: int | None = None

    def fits_uint8(self, channels: int) -> bool:
        """Whether 8 bits hold the pixels exactly once they have this number of channels."""
        return self.native_bits == 8 and (channels == 3 or not self.colour)


class Reader(Protocol):
    """A module of this folder: one family of formats.

    Both functions may raise any error on damaged bytes: the dispatcher makes it a DataError that
    names the address. A DataError of their own passes through as it is.
    """

    def header(self, blob: Blob, index: str, options: ReadOptions) -> ImageHeader:
        """Size and depth, without decoding the pixels where the format allows."""
        ...

    def pixels(self, blob: Blob, index: str, options: ReadOptions) -> np.ndarray:
        """The decoded image [H, W] or [H, W, 3], by the policy.

        float32 in [0, 1], or uint8 or uint16, which `to_unit` divides by 255 or 65535: a large
        photograph is cropped first.
        """
        ...


def check_pixels(name: str, height: int, width: int, options: ReadOptions) -> None:
    """Raise DataError where an image has more pixels than the limit."""
    if height * width > options.pixel_limit:
        raise DataError(
            f"{name}: {width}x{height} pixels, more than the limit of {options.pixel_limit}; "
            f"check the file, or raise data.pixel_limit"
        )


def full_scale(values: np.ndarray, largest: int) -> np.ndarray:
    """Integers over the largest that their depth can hold, float32 in [0, 1], rows first."""
    scaled: np.ndarray = np.divide(values, largest, dtype=np.float32, order="C")
    return scaled


def to_unit(pixels: np.ndarray) -> np.ndarray:
    """What a reader gives as float32 in [0, 1]."""
    return full_scale(pixels, np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else pixels


def unit_floats(values: np.ndarray) -> np.ndarray:
    """Floating-point pixels that lie in [0, 1] already, as float32.

    Raises:
        ValueError: they do not, or are not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError("floating-point pixels that are not finite")
    if values.min() < 0 or values.max() > 1:
        low, high = float(values.min()), float(values.max())
        raise ValueError(f"floating-point pixels from {low:g} to {high:g}, expected [0, 1]")
    return values.astype(np.float32)


def own_limits(values: np.ndarray, percentile: float) -> tuple[float, float]:
    """The ends of an acquisition's own range: its minimum and its percentile.

    Where these are equal, as in an image that is mostly background, the maximum takes the
    percentile's place.

    Raises:
        ValueError: values that are not finite, or all the same.
    """
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"{bad} of {values.size} values are not finite (NaN or infinite)")
    low, most = float(values.min()), float(values.max())
    high = most if percentile >= 100 else float(np.percentile(values, percentile))
    high = high if high > low else most
    if high <= low:
        raise ValueError(f"all values are {low:g}; there is no image")
    return low, high


def scale_to(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values between two ends as float32 in [0, 1], clipped."""
    scaled = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    return np.clip(scaled, 0, 1).astype(np.float32)


def to_tensor(pixels: np.ndarray, channels: int) -> Tensor:
    """What a reader gives as a new float32 tensor [channels, H, W], channels 1 or 3."""
    if pixels.ndim == 2:
        image = np.repeat(to_unit(pixels)[None], channels, axis=0)
    elif channels == 1:
        image = np.clip(to_unit(pixels) @ LUMA, 0, 1)[None]
    else:  # planes first, then floats, which are four times as large
        planes = pixels.transpose(2, 0, 1)
        image = np.array(planes, order="C") if planes.dtype.kind == "f" else to_unit(planes)
    return torch.from_numpy(image)
