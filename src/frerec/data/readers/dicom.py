"""DICOM through pydicom: one frame, upright in meaning (bone bright), in [0, 1].

The order of PS3.3 C.11: stored value, without the bits above BitsStored; rescale or modality LUT;
first VOI LUT, else first window (linear, linear exact or sigmoid); MONOCHROME1 inverted. Whatever
range the VOI stage can put out becomes [0, 1], so the window's ends are 0 and 1 exactly. Without a
VOI stage, or with `dicom_window=full`, the ends are those of the range that BitsStored can hold;
but without one, grey frames of the modalities whose numbers have no unit of their own (MR, PT, NM)
are read from their minimum to their `mri_percentile`, as other MRI is, and have 32 native bits. CT
without a window keeps the full range: its numbers are Hounsfield units.
[ours] A VOI LUT wins over a window, as in pydicom; palettes of 16 bits keep their high byte;
padding values, presentation states, overlays and ICC profiles are ignored.

Elements that could name a patient are not parsed by `header` and `pixels`, and never in a message.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)
from pydicom.valuerep import STR_VR

from frerec.data.address import IMAGE_MEMBER_LIMIT, Blob
from frerec.data.readers.dicom_levels import (
    grey_levels,
    has_own_range,
    is_eight_bit,
    own_levels,
    palette_colours,
)
from frerec.data.readers.dicom_magic import starts_dicom
from frerec.data.readers.policy import ImageHeader, ReadOptions, check_pixels, full_scale
from frerec.errors import DataError

_GREY = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_COLOUR = (_PALETTE, "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PALETTE_PARTS = [f"{c}PaletteColorLookupTable" for c in ("Red", "Green", "Blue")]
_TAGS = [
    Tag(keyword)
    for keyword in (
        *(
            "Modality",
            "SamplesPerPixel",
            "PhotometricInterpretation",
            "PlanarConfiguration",
            "NumberOfFrames",
        ),
        *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
        *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence"),
        *("WindowCenter", "WindowWidth", "VOILUTFunction"),
        *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
        *(f"{part}Descriptor" for part in _PALETTE_PARTS),
        *(f"{part}Data" for part in _PALETTE_PARTS),
        *(f"Segmented{part}Data" for part in _PALETTE_PARTS),
        *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    )
]


def header(blob: Blob, index: str, options: ReadOptions) -> ImageHeader:
    """See `policy.Reader`; `mode` is the PhotometricInterpretation."""
    with _opened(blob, index, options) as (_, ds, _):
        mode = str(ds.PhotometricInterpretation)
        bits = 16 if ds.BitsStored <= 16 else 32
        if mode == _PALETTE or (mode in _COLOUR and ds.BitsStored == 8):
            bits = 8
        elif mode in _GREY and has_own_range(ds, options):
            bits = 32
        elif mode in _GREY and ds.BitsStored <= 8:
            table = grey_levels(np.arange(2**ds.BitsStored), ds, options)
            bits = 8 if is_eight_bit(table) else 16
        return ImageHeader(ds.Rows, ds.Columns, bits, mode in _COLOUR, "DICOM", mode)


def pixels(blob: Blob, index: str, options: ReadOptions) -> np.ndarray:
    """See `policy.Reader`."""
    with _opened(blob, index, options) as (file, ds, frame):
        values = _decode(blob, file, ds, frame)
    if ds.PhotometricInterpretation == _PALETTE:
        return full_scale(palette_colours(values, ds), 255)
    largest = 2**ds.BitsStored - 1
    patterns = values.view(values.dtype.str.replace("i", "u")) & largest
    if ds.PhotometricInterpretation in _COLOUR:
        return full_scale(patterns, largest)
    if has_own_range(ds, options):
        return own_levels(patterns, ds, options)
    if ds.BitsStored > 16:
        return np.asarray(grey_levels(patterns.astype(np.int64), ds, options), dtype=np.float32)
    table = grey_levels(np.arange(largest + 1), ds, options)
    if is_eight_bit(table):
        table = np.rint(table * 255) / 255
    return np.asarray(table.astype(np.float32)[patterns])


def read_tags(blob: Blob, keywords: Sequence[str]) -> dict[str, str]:
    """Elements of the header as text, by keyword (`PatientID`, `Modality`, ...).

    Args:
        blob: the file; its pixels are not read.
        keywords: of elements at the top level that hold text or numbers.

    Returns:
        The stripped text of each, "" where it is absent or empty. Several values stay joined by a
        backslash. Bytes that are neither ASCII nor UTF-8 are taken as Latin-1, so that different
        ones never become the same.

    Raises:
        DataError: not a DICOM file; damaged. No value is ever part of the message.
    """
    tags = {keyword: Tag(keyword) for keyword in keywords}
    try:
        with blob.open() as raw:
            ds = _parse(blob, _inflated(raw), list(tags.values()))
            return {keyword: _text(ds, tag) for keyword, tag in tags.items()}
    except (DataError, MemoryError):
        raise
    except Exception as error:
        raise DataError(
            f"{blob.name}: damaged DICOM header ({type(error).__name__}); replace it, or leave it "
            f"out with data.on_error=skip"
        ) from None


def _text(ds: Dataset, tag: Any) -> str:
    element = ds.get_item(tag)
    if element is None or element.value is None:
        return ""
    if dictionary_VR(tag) not in STR_VR or not isinstance(element.value, bytes):
        return str(ds[tag].value).strip()
    for encoding in ("ascii", "utf-8"):
        try:
            return element.value.decode(encoding).strip(" \0")
        except UnicodeDecodeError:
            continue
    return element.value.decode("latin-1").strip(" \0")


@contextmanager
def _opened(
    blob: Blob, index: str, options: ReadOptions
) -> Iterator[tuple[BinaryIO, Dataset, int]]:
    """The file at its pixel data, its checked header as it holds for one frame, and the frame."""
    with blob.open() as raw:
        file = _inflated(raw)
        ds = _parse(blob, file, _TAGS)
        if not (ds.get("Rows") and ds.get("Columns")):
            raise DataError(
                f"{blob.name}: a DICOM file without an image (no Rows and Columns); leave it out "
                f"with data.on_error=skip"
            )
        check_pixels(blob.name, ds.Rows, ds.Columns, options)
        frame = _frame(blob, index, int(ds.get("NumberOfFrames") or 1))
        _check(ds)
        yield file, _of_frame(ds, frame), frame


def _parse(blob: Blob, file: BinaryIO, tags: list[Any]) -> Dataset:
    try:
        return dcmread(file, stop_before_pixels=True, specific_tags=tags)
    except InvalidDicomError:
        raise DataError(
            f"{blob.name}: not a DICOM file (no DICM at byte 128); replace it, or leave it out "
            f"with data.on_error=skip"
        ) from None


def _inflated(file: BinaryIO) -> BinaryIO:
    """The file itself, or what it inflates to where its header and pixels are deflated."""
    head = file.read(2**12)
    file.seek(0)
    start = head.find(DeflatedExplicitVRLittleEndian.encode())
    if not starts_dicom(head) or start < 0:
        return file
    # Group 2 is never deflated; its length is its first element, at 132 (PS3.10, 7.1).
    end = 144 + struct.unpack_from("<I", head, 140)[0]
    if head[132:140] != b"\2\0\0\0UL\4\0" or start > end:
        raise ValueError("deflated, but its group 2 does not say where that begins")
    body = file.read()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(body[end:], IMAGE_MEMBER_LIMIT)
    if inflater.unconsumed_tail:
        raise ValueError(f"inflates to more than the limit of {IMAGE_MEMBER_LIMIT} bytes")
    syntax = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    meta = body[:end].replace(DeflatedExplicitVRLittleEndian.encode(), syntax)
    return io.BytesIO(meta + plain)


def _frame(blob: Blob, index: str, count: int) -> int:
    if not index and count > 1:
        raise DataError(
            f"{blob.name}: {count} frames; name one of them, {blob.filename}::000 to "
            f"{blob.filename}::{count - 1:03d}"
        )
    if index and not (index.isascii() and index.isdecimal() and int(index) < count):
        raise DataError(
            f"{blob.name}::{index}: no such frame; expected a number from 000 to {count - 1:03d}"
        )
    return int(index or 0)


def _check(ds: Dataset) -> None:
    """Raise ValueError where the pixels are stored in a way that this reader does not know."""
    for keyword in ("PhotometricInterpretation", "BitsAllocated", "BitsStored"):
        if ds.get(keyword) is None:
            raise ValueError(f"no {keyword}")
    photometric = ds.PhotometricInterpretation
    if photometric not in _GREY + _COLOUR:
        raise ValueError(f"PhotometricInterpretation {photometric}; convert it to RGB")
    samples = 1 if photometric in (*_GREY, _PALETTE) else 3
    if ds.get("SamplesPerPixel", 1) != samples:
        raise ValueError(f"{ds.SamplesPerPixel} samples a pixel, expected {samples}")
    bits = ds.BitsStored
    if not 1 <= bits <= min(ds.BitsAllocated, 32):
        raise ValueError(f"BitsStored {bits} of {ds.BitsAllocated}, expected 1 to 32")
    if ds.get("HighBit", bits - 1) != bits - 1:
        raise ValueError(f"HighBit {ds.HighBit} with {bits} bits stored, expected {bits - 1}")


def _of_frame(ds: Dataset, frame: int) -> Dataset:
    """The header with what the functional groups of an enhanced object say of one frame."""
    shared = list(ds.get("SharedFunctionalGroupsSequence") or [])[:1]
    own = list(ds.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]
    for group in shared + own:
        for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in list(group.get(keyword) or [])[:1]:
                ds.update(item)
    return ds


def _decode(blob: Blob, file: BinaryIO, ds: Dataset, frame: int) -> np.ndarray:
    """One frame's stored values [H, W] or [H, W, 3], YBR as RGB, from a file at its pixel data."""
    syntax = ds.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise ValueError("no TransferSyntaxUID")
    decoder = get_decoder(syntax)
    if not decoder.is_available:
        raise DataError(
            f"{blob.name}: compressed as {syntax.name} ({syntax}), for which no decoder is "
            f"installed; pip install 'frerec[dicom]'"
        )
    layout = (">" if not syntax.is_little_endian else "<") + "HH"
    element = file.read(8)  # tag and length, or tag, VR and 2 of 6 more bytes
    if len(element) < 8 or struct.unpack_from(layout, element) != (0x7FE0, 0x0010):
        raise ValueError("no integer PixelData")
    vr = "OW"
    if not syntax.is_implicit_VR and element[4:6] in (b"OB", b"OW", b"UN"):
        vr = element[4:6].decode("ascii")
        file.read(4)
    pixel_options = as_pixel_options(ds, pixel_keyword="PixelData", pixel_vr=vr)
    if syntax.is_encapsulated and syntax != RLELossless:
        offsets = pixel_options.get("extended_offsets")
        frames = pixel_options["number_of_frames"]
        stream = get_frame(file, frame, extended_offsets=offsets, number_of_frames=frames)
        _check_encoded_size(stream, ds.Rows, ds.Columns)
    # The decoder of JPEG files, whatever else is installed: others differ by a grey level.
    plugin = "pillow" if syntax == JPEGBaseline8Bit else ""
    values, _ = decoder.as_array(file, index=frame, decoding_plugin=plugin, **pixel_options)
    return np.asarray(values)


def _check_encoded_size(stream: bytes, rows: int, columns: int) -> None:
    """Raise ValueError where a JPEG, JPEG-LS or JPEG 2000 stream is not as large as its header."""
    size = None
    if stream[:2] == b"\xff\xd8":
        at = 2
        while size is None and at + 9 <= len(stream):
            marker, length = struct.unpack_from(">HH", stream, at)
            is_frame = 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC)
            if is_frame or marker == 0xFFF7:
                size = struct.unpack_from(">HH", stream, at + 5)
            at += 1 if marker == 0xFFFF else 2 + length
    else:
        at = stream.find(b"\xff\x4f\xff\x51")
        if 0 <= at <= len(stream) - 24:
            right, bottom, left, top = struct.unpack_from(">4I", stream, at + 8)
            size = (bottom - top, right - left)
    if size != (rows, columns):
        found = "none" if size is None else f"{size[1]}x{size[0]}"
        raise ValueError(f"its compressed stream has size {found}, its header {columns}x{rows}")
