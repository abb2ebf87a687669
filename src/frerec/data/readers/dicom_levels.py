"""DICOM's stored values as brightness or colour: the modality stage, then the VOI stage.

PS3.3 C.11.1 (rescale and modality LUT) and C.11.2 (windows and VOI LUTs); see `dicom` for the order
and for what is ours.
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_windowing

from frerec.data.readers.policy import ReadOptions, own_limits, scale_to

ARBITRARY_UNITS = ("MR", "PT", "NM")
"""Modalities whose numbers depend on scanner and protocol, not on the tissue alone [ours]."""


def grey_levels(patterns: np.ndarray, ds: Dataset, options: ReadOptions) -> np.ndarray:
    """Bit patterns of stored values, integers from 0, as brightness in [0, 1], float64."""
    span, first = _stored_range(ds)
    values = _rescaled(_signed(patterns, ds), ds)
    grey: np.ndarray
    if options.dicom_window == "voi" and ds.get("VOILUTSequence"):
        item = ds.VOILUTSequence[0]
        grey = _looked_up(values, item, ds) / _largest(item)
    elif options.dicom_window == "voi" and _has_window(ds):
        grey = _windowed(values, ds)
    elif ds.get("ModalityLUTSequence"):
        grey = values / _largest(ds.ModalityLUTSequence[0])
    else:
        low, high = sorted(_rescaled(np.array([first, first + span - 1]), ds).tolist())
        if low == high:
            raise ValueError("a rescale slope of 0")
        grey = (values - low) / (high - low)
    if not np.isfinite(grey).all():
        raise ValueError("rescale or window are not finite numbers")
    return 1 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey


def has_own_range(ds: Dataset, options: ReadOptions) -> bool:
    """Whether grey frames are read on their own range, since nothing else says what is bright."""
    arbitrary = str(ds.get("Modality") or "").upper() in ARBITRARY_UNITS
    voi = ds.get("VOILUTSequence") or _has_window(ds)
    return arbitrary and not voi and options.dicom_window == "voi"


def own_levels(patterns: np.ndarray, ds: Dataset, options: ReadOptions) -> np.ndarray:
    """A whole frame's bit patterns as brightness on its own range, float32 in [0, 1].

    Raises:
        ValueError: all the same.
    """
    values = _rescaled(_signed(patterns, ds), ds)
    grey = scale_to(values, *own_limits(values, options.mri_percentile))
    return 1 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey


def _stored_range(ds: Dataset) -> tuple[int, int]:
    """How many values BitsStored can hold, and the least of them."""
    span = 2**ds.BitsStored
    return span, -span // 2 if ds.get("PixelRepresentation") == 1 else 0


def _signed(patterns: np.ndarray, ds: Dataset) -> np.ndarray:
    """The values that bit patterns stand for, int64."""
    span, first = _stored_range(ds)
    values = patterns.astype(np.int64)
    return np.where(values >= span + first, values - span, values)


def _has_window(ds: Dataset) -> bool:
    return None not in (ds.get("WindowCenter"), ds.get("WindowWidth"))


def _rescaled(stored: np.ndarray, ds: Dataset) -> np.ndarray:
    """The modality stage (PS3.3 C.11.1)."""
    if ds.get("ModalityLUTSequence"):
        return _looked_up(stored, ds.ModalityLUTSequence[0], ds)
    slope, intercept = ds.get("RescaleSlope"), ds.get("RescaleIntercept")
    if slope is None or intercept is None:
        return stored.astype(np.float64)
    return stored * float(slope) + float(intercept)


def _windowed(values: np.ndarray, ds: Dataset) -> np.ndarray:
    """The window's function (PS3.3 C.11.2.1.2 and 3), its output range as [0, 1]."""
    if not ds.get("VOILUTFunction"):  # of type 3: empty means absent, which means LINEAR
        ds.VOILUTFunction = "LINEAR"
    try:
        with np.errstate(over="ignore"):
            darkest, brightest = apply_windowing(np.array([-np.inf, np.inf]), ds)
            windowed = apply_windowing(values, ds)
    except ValueError as error:
        raise ValueError(f"{error}; or set data.dicom_window=full") from None
    if darkest == brightest:
        raise ValueError("a rescale slope of 0")
    return np.asarray((windowed - darkest) / (brightest - darkest))


def _looked_up(values: np.ndarray, item: Dataset, ds: Dataset) -> np.ndarray:
    """A modality or VOI LUT's entries (PS3.3 C.11.1.1), float64.

    Not pydicom's function, which holds the positions in the type of the entries, so that they wrap
    where a LUT of 8 bits has more than 256 entries.
    """
    count, first, depth = item.LUTDescriptor
    count = count % 2**16 or 2**16
    data = item.LUTData
    order = "<" if ds.original_encoding[1] else ">"
    if isinstance(data, bytes):
        entries = np.frombuffer(data, np.uint8 if len(data) < 2 * count else f"{order}u2")
    else:
        entries = np.atleast_1d(np.asarray(data)).astype(f"{order}u2")
        if depth == 8 and len(entries) == (count + 1) // 2:  # two to a word
            entries = entries.view(np.uint8)
    if len(entries) < count:
        raise ValueError(f"a LUT of {len(entries)} entries, its descriptor says {count}")
    entries = entries[:count]
    if entries.max() > _largest(item):
        raise ValueError(
            f"LUT entries up to {entries.max()}, which {depth} bits cannot hold; set "
            f"data.dicom_window=full"
        )
    positions = np.clip(np.rint(values) - first, 0, count - 1).astype(np.int64)
    return np.asarray(entries[positions], dtype=np.float64)


def _largest(item: Dataset) -> int:
    """What a LUT's entries can be at most, by its descriptor."""
    return int(2 ** item.LUTDescriptor[2] - 1)


def palette_colours(values: np.ndarray, ds: Dataset) -> np.ndarray:
    """Palette indices [H, W] as RGB uint8 [H, W, 3]; of entries with 16 bits, the high byte."""
    colours = apply_color_lut(values, ds)[..., :3]
    if colours.dtype == np.uint8 and ds.BitsStored > 8:  # pydicom's indices would wrap
        raise ValueError(f"a palette of 8 bits for {ds.BitsStored}-bit pixels; convert it to RGB")
    shift = ds.RedPaletteColorLookupTableDescriptor[2] - 8
    return np.asarray(colours >> shift, dtype=np.uint8)


def is_eight_bit(grey: np.ndarray) -> bool:
    """Whether 8 bits hold these values."""
    levels = grey * 255
    return len(levels) <= 256 and bool(np.abs(levels - np.rint(levels)).max() < 1e-6)
