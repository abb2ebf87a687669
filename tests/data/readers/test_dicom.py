"""readers.dicom: every stage against the standard's formulas, on files written by pydicom."""

import io
import logging
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from frerec.data.address import Address, Blob
from frerec.data.readers import ReadOptions, read_header, read_pixels
from frerec.data.readers.dicom import read_tags
from frerec.errors import DataError

RNG = np.random.default_rng(0)
GREY12 = RNG.integers(0, 4096, (40, 52), dtype=np.uint16)
GREY8 = RNG.integers(0, 256, (40, 52), dtype=np.uint8)
RGB = RNG.integers(0, 256, (40, 52, 3), dtype=np.uint8)
NAME = "SECRET^NAME"


def make(pixels: np.ndarray, *, bits: int = 0, colour: bool = False, **elements) -> FileDataset:
    """A secondary capture [H, W], [F, H, W] or (colour) [H, W, 3]; elements may replace any."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = elements.pop("syntax", ExplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = NAME, "SECRET-ID", "DX"
    frames = pixels.shape[0] if pixels.ndim == 3 and not colour else 1
    ds.Rows, ds.Columns = pixels.shape[-2:] if not colour else pixels.shape[:2]
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def save(folder: Path, ds: FileDataset, name: str = "a.dcm") -> Path:
    little_endian = ds.file_meta.TransferSyntaxUID != ExplicitVRBigEndian
    ds.set_original_encoding(ds.file_meta.TransferSyntaxUID.is_implicit_VR, little_endian)
    ds.save_as(folder / name, enforce_file_format=True)
    return folder / name


def check(path: Path | Address, expected: np.ndarray, *, bits: int, **options) -> None:
    """Compare the pixels with a reference, and the header with the pixels."""
    choice = ReadOptions(**options)
    found = read_pixels(path, options=choice)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found, expected, atol=2e-7)
    header = read_header(path, options=choice)
    assert (header.height, header.width) == found.shape[:2]
    assert header.colour == (found.ndim == 3)
    assert header.native_bits == bits
    assert header.format == "DICOM"
    if bits == 8:
        np.testing.assert_array_equal(found, np.rint(found * 255).astype(np.float32) / 255)


def window(x: float, center: float, width: float, function: str = "LINEAR") -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2 with the output range [0, 1]."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(-4 * (x - center) / width))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if x <= center - width / 2:
        return 0.0
    if x > center + width / 2:
        return 1.0
    return (x - center) / width + 0.5


def windowed(values: np.ndarray, *setting) -> np.ndarray:
    return np.vectorize(lambda x: window(float(x), *setting))(values)


SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", ["grey8", "grey12", "signed12", "colour"])
def test_transfer_syntaxes_give_the_pixels_that_were_written(tmp_path: Path, syntax, kind) -> None:
    pixels, bits, expected = {
        "grey8": (GREY8, 8, GREY8 / 255),
        "grey12": (GREY12, 12, GREY12 / 4095),
        "signed12": (GREY12.astype(np.int16) - 2048, 12, GREY12 / 4095),
        "colour": (RGB, 8, RGB / 255),
    }[kind]
    compressed = syntax in (RLELossless, JPEG2000Lossless)
    native = ExplicitVRLittleEndian if compressed else syntax
    ds = make(pixels, bits=bits, colour=kind == "colour", syntax=native)
    if compressed:
        ds.compress(syntax)
        assert ds.file_meta.TransferSyntaxUID == syntax
    path = save(tmp_path, ds)
    check(path, expected, bits=8 if bits == 8 else 16)
    assert read_header(path).mode == ds.PhotometricInterpretation


def test_real_encoders_files_give_the_pixels_of_their_uncompressed_twins() -> None:
    def bundled(name: str) -> Path:
        path = get_testdata_file(name, download=False)
        if path is None:
            pytest.skip("this pydicom comes without its test files")
        return Path(path)

    original = read_pixels(bundled("MR_small.dcm"))
    values = pydicom.dcmread(bundled("MR_small.dcm")).pixel_array
    np.testing.assert_allclose(original, windowed(values, 600, 1600), atol=2e-7)
    for twin in ("implicit", "bigendian", "RLE", "jp2klossless", "jpeg_ls_lossless"):
        np.testing.assert_array_equal(read_pixels(bundled(f"MR_small_{twin}.dcm")), original)
    lossless = read_pixels(bundled("SC_rgb_jpeg_gdcm.dcm"))
    syntax = pydicom.dcmread(bundled("SC_rgb_jpeg_gdcm.dcm")).file_meta.TransferSyntaxUID
    assert syntax == JPEGLosslessSV1
    np.testing.assert_array_equal(lossless, read_pixels(bundled("SC_rgb_rle.dcm")))


def jpeg(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def encapsulated(pixels: np.ndarray, stream: bytes, **elements) -> FileDataset:
    ds = make(pixels, colour=pixels.ndim == 3, syntax=JPEGBaseline8Bit, **elements)
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds


def test_jpeg_gives_the_pixels_of_its_decoder(tmp_path: Path) -> None:
    stream = jpeg(GREY8)
    decoded = np.asarray(Image.open(io.BytesIO(stream)))
    check(save(tmp_path, encapsulated(GREY8, stream)), decoded / 255, bits=8)
    smooth = np.indices((16, 24)).sum(0)[..., None] * np.array([2, 4, 6]) + 9
    smooth = smooth.astype(np.uint8)
    for photometric, sampling in (("YBR_FULL_422", 1), ("YBR_FULL", 0)):
        stream = jpeg(smooth, subsampling=sampling)
        ds = encapsulated(smooth, stream, PhotometricInterpretation=photometric)
        found = read_pixels(save(tmp_path, ds))
        decoded = np.asarray(Image.open(io.BytesIO(stream)))
        # Converted to RGB by pydicom here and by libjpeg there, each rounding in its own way.
        np.testing.assert_allclose(found, decoded / 255, atol=2.1 / 255)


def lossless_jpeg(pixels: np.ndarray, precision: int) -> bytes:
    """Lossless JPEG by ITU-T T.81, annex H: selection value 1, every category a 5-bit code."""
    values = pixels.astype(int)
    predicted = np.roll(values, 1, axis=1)
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    bits = []
    for difference in ((values - predicted + 32768) % 65536 - 32768).ravel().tolist():
        category = 16 if difference == -32768 else abs(difference).bit_length()
        bits.append(f"{category:05b}")
        if 0 < category < 16:
            low = difference if difference > 0 else difference + (1 << category) - 1
            bits.append(f"{low:0{category}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    body = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    height, width = pixels.shape
    counts = bytes([0, 0, 0, 0, 17] + [0] * 11)
    return (
        b"\xff\xd8\xff\xc3"
        + struct.pack(">HBHHBBBB", 11, precision, height, width, 1, 1, 0x11, 0)
        + b"\xff\xc4"
        + struct.pack(">HB", 2 + 1 + 16 + 17, 0)
        + counts
        + bytes(range(17))
        + b"\xff\xda"
        + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0)
        + body
        + b"\xff\xd9"
    )


def test_lossless_jpeg_keeps_twelve_and_sixteen_bits(tmp_path: Path) -> None:
    grey16 = RNG.integers(0, 65536, (40, 52), dtype=np.uint16)
    for pixels, bits in ((GREY12, 12), (grey16, 16)):
        ds = encapsulated(pixels, lossless_jpeg(pixels, bits), bits=bits)
        ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        check(save(tmp_path, ds), pixels / (2**bits - 1), bits=16)


def test_uncompressed_ybr_becomes_rgb_by_bt601(tmp_path: Path) -> None:
    y, cb, cr = np.moveaxis(RGB.astype(float), -1, 0)
    red = y + 1.402 * (cr - 128)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    blue = y + 1.772 * (cb - 128)
    expected = np.clip(np.stack([red, green, blue], -1), 0, 255) / 255
    ds = make(RGB, colour=True, PhotometricInterpretation="YBR_FULL")
    found = read_pixels(save(tmp_path, ds))
    np.testing.assert_allclose(found, expected, atol=1.01 / 255)
    planes = make(RGB, colour=True, PlanarConfiguration=1)
    planes.PixelData = np.moveaxis(RGB, -1, 0).tobytes()
    check(save(tmp_path, planes), RGB / 255, bits=8)


@pytest.mark.parametrize("depth", [8, 16])
def test_palettes_are_looked_up(tmp_path: Path, depth: int) -> None:
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    entries = palette.astype(np.uint16) << 8 if depth == 16 else palette
    ds = make(GREY8, PhotometricInterpretation="PALETTE COLOR")
    for k, colour in enumerate(("Red", "Green", "Blue")):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, depth])
        setattr(ds, f"{colour}PaletteColorLookupTableData", entries[:, k].tobytes())
    check(save(tmp_path, ds), palette[GREY8] / 255, bits=8)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("rescale", [None, (1, -1024), (2.5, 10), (-1, 4095)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_windows_follow_the_standards_formula(
    tmp_path: Path, function, signed: bool, rescale, photometric: str
) -> None:
    stored = GREY12.astype(np.int16) - 2048 if signed else GREY12
    slope, intercept = rescale or (1, 0)
    values = stored.astype(float) * slope + intercept
    center, width = float(np.median(values)), 900
    elements = {"WindowCenter": center, "WindowWidth": width}
    elements |= {"VOILUTFunction": function} if function else {}
    if rescale:
        elements |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    ds = make(stored, bits=12, PhotometricInterpretation=photometric, **elements)
    path = save(tmp_path, ds)
    expected = windowed(values, center, width, function or "LINEAR")
    ends = np.array([-2048, 2047] if signed else [0, 4095]) * slope + intercept
    full = (values - ends.min()) / np.ptp(ends)
    if photometric == "MONOCHROME1":
        expected, full = 1 - expected, 1 - full
    check(path, expected, bits=16)
    check(path, full, bits=16, dicom_window="full")


@pytest.mark.parametrize("function", ["", None])
def test_an_empty_function_of_the_window_means_linear(tmp_path: Path, function) -> None:
    elements = {"WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": function}
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        path = save(tmp_path, make(GREY12, bits=12, syntax=syntax, **elements))
        assert b"\x28\0\x56\x10" in path.read_bytes()
        check(path, windowed(GREY12, 2000, 900), bits=16)


# What MR looks like: 16 bits stored, a few hundred used, a few bright pixels.
MR = np.minimum(RNG.gamma(2, 120, (40, 52)), 860).astype(np.uint16)
MR[3, 5], MR[4, 5], MR[5, 5] = 882, 880, 1


def own(values: np.ndarray, percentile: float = 99.9) -> np.ndarray:
    low, high = float(values.min()), float(np.percentile(values, percentile))
    return np.clip((values - low) / (high - low), 0, 1)


@pytest.mark.parametrize("modality", ["MR", "PT", "NM"])
def test_without_a_window_arbitrary_units_are_read_on_the_frame_s_own_range(
    tmp_path: Path, modality: str
) -> None:
    path = save(tmp_path, make(MR, Modality=modality))
    found = read_pixels(path)
    assert found.max() == 1
    assert found.min() == 0
    check(path, own(MR), bits=32)
    check(path, own(MR, 90), bits=32, mri_percentile=90)
    check(path, own(MR, 100), bits=32, mri_percentile=100)
    check(path, MR / 65535, bits=16, dicom_window="full")
    inverted = make(MR, Modality=modality, PhotometricInterpretation="MONOCHROME1")
    check(save(tmp_path, inverted), 1 - own(MR), bits=32)
    falling = make(MR, Modality=modality, RescaleSlope=-2, RescaleIntercept=7)
    check(save(tmp_path, falling), own(MR * -2.0 + 7), bits=32)
    signed = MR.astype(np.int16) - 300
    check(save(tmp_path, make(signed, Modality=modality)), own(signed.astype(float)), bits=32)
    eight = np.uint8(MR // 8)
    check(save(tmp_path, make(eight, Modality=modality)), own(eight), bits=32)
    deep = MR.astype(np.uint32) << 9
    check(save(tmp_path, make(deep, Modality=modality)), own(deep.astype(float)), bits=32)
    flat = save(tmp_path, make(np.full_like(MR, 7), Modality=modality))
    with pytest.raises(DataError, match=r"a\.dcm: .*all values are 7; there is no image"):
        read_pixels(flat)


def test_frames_of_mr_have_each_their_own_range(tmp_path: Path) -> None:
    path = save(tmp_path, make(np.stack([MR, MR // 3]), Modality="MR"))
    for k, frame in enumerate((MR, MR // 3)):
        check(Address(Blob(path), f"{k:03d}"), own(frame), bits=32)


def test_the_file_s_own_window_wins_over_the_modality(tmp_path: Path) -> None:
    ds = make(MR, Modality="MR", WindowCenter=400, WindowWidth=700)
    check(save(tmp_path, ds), windowed(MR, 400, 700), bits=16)
    ramp = np.sort(RNG.integers(0, 1024, 900)).astype(np.uint16)
    ds = make(MR, Modality="MR", VOILUTSequence=lut(ramp, 0, 10))
    check(save(tmp_path, ds), ramp[np.clip(MR, 0, 899)] / 1023, bits=16)
    colour = make(RGB, colour=True, Modality="MR")
    check(save(tmp_path, colour), RGB / 255, bits=8)


@pytest.mark.parametrize("modality", ["CT", "DX", "CR", "US", "", None])
def test_other_modalities_without_a_window_keep_all_stored_bits(tmp_path: Path, modality) -> None:
    check(save(tmp_path, make(MR, Modality=modality)), MR / 65535, bits=16)


@settings(max_examples=60, deadline=None)
@given(
    center=st.floats(-3000, 6000),
    width=st.floats(1, 9000),
    slope=st.floats(0.1, 5) | st.floats(-5, -0.1),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
)
def test_windows_are_monotone_and_within_the_unit_interval(
    tmp_path_factory, center, width, slope, function, photometric
) -> None:
    ramp = np.arange(0, 4096, 13, dtype=np.uint16)[None]
    center, width, slope = (float(f"{x:.6g}") for x in (center, width, slope))
    ds = make(
        ramp,
        bits=12,
        PhotometricInterpretation=photometric,
        **{"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function},
        **{"RescaleSlope": slope, "RescaleIntercept": -1024},
    )
    found = read_pixels(save(tmp_path_factory.mktemp("ramp"), ds))[0]
    assert found.min() >= 0
    assert found.max() <= 1
    rising = (slope > 0) == (photometric == "MONOCHROME2")
    assert (np.diff(found) * (1 if rising else -1) >= 0).all()


def test_the_first_of_several_windows_counts_and_an_identity_window_keeps_8_bits(
    tmp_path: Path,
) -> None:
    ds = make(GREY12, bits=12, WindowCenter=[1000, 3000], WindowWidth=[800, 100])
    check(save(tmp_path, ds), windowed(GREY12, 1000, 800), bits=16)
    identity = make(GREY8, WindowCenter=128, WindowWidth=256)
    check(save(tmp_path, identity), GREY8 / 255, bits=8)
    narrow = make(GREY8, WindowCenter=100, WindowWidth=51)
    check(save(tmp_path, narrow), windowed(GREY8, 100, 51), bits=16)
    check(save(tmp_path, narrow), GREY8 / 255, bits=8, dicom_window="full")
    inverted = make(GREY8, PhotometricInterpretation="MONOCHROME1")
    check(save(tmp_path, inverted), (255 - GREY8) / 255, bits=8)


def lut(entries: np.ndarray, first: int, depth: int) -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, depth]
    item.LUTData = entries.tobytes()
    item["LUTData"].VR = "OW"
    return [item]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_lookup_tables_are_applied_in_order(tmp_path: Path, syntax) -> None:
    ramp = np.sort(RNG.integers(0, 1024, 4000)).astype(np.uint16)
    ds = make(GREY12, bits=12, syntax=syntax, VOILUTSequence=lut(ramp, 50, 10))
    expected = ramp[np.clip(GREY12.astype(int) - 50, 0, 3999)] / 1023
    check(save(tmp_path, ds), expected, bits=16)
    check(save(tmp_path, ds), GREY12 / 4095, bits=16, dicom_window="full")
    ds.WindowCenter, ds.WindowWidth = 100, 10
    check(save(tmp_path, ds), expected, bits=16)  # the table wins over the window
    modality = make(GREY12, bits=12, syntax=syntax, ModalityLUTSequence=lut(ramp, 50, 16))
    check(save(tmp_path, modality), expected * 1023 / 65535, bits=16)
    modality.WindowCenter, modality.WindowWidth = 500, 300
    check(save(tmp_path, modality), windowed(expected * 1023, 500, 300), bits=16)


@pytest.mark.parametrize("packed", [True, False])
def test_tables_with_8_bit_entries_may_have_more_than_256_of_them(
    tmp_path: Path, packed: bool
) -> None:
    entries = np.sort(RNG.integers(0, 256, 4096)).astype(np.uint8)
    item = lut(entries if packed else entries.astype(np.uint16), 0, 8)
    ds = make(GREY12, bits=12, VOILUTSequence=item)
    check(save(tmp_path, ds), entries[GREY12] / 255, bits=16)


def test_bits_above_the_stored_ones_are_masked(tmp_path: Path) -> None:
    junk = RNG.integers(0, 16, GREY12.shape).astype(np.uint16) << 12
    check(save(tmp_path, make(GREY12 | junk, bits=12)), GREY12 / 4095, bits=16)
    signed = (GREY12 | junk).view(np.int16)
    expected = (GREY12.astype(int) ^ 2048) / 4095  # two's complement of 12 bits, from its minimum
    check(save(tmp_path, make(signed, bits=12)), expected, bits=16)


def test_overlays_are_ignored(tmp_path: Path) -> None:
    ds = make(GREY12, bits=12)
    ds.add_new(0x60000010, "US", 40)
    ds.add_new(0x60000011, "US", 52)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60003000, "OW", b"\xff" * 260)
    check(save(tmp_path, ds), GREY12 / 4095, bits=16)


def test_thirty_two_bits(tmp_path: Path) -> None:
    values = RNG.integers(0, 2**32, (5, 6), dtype=np.uint32)
    check(save(tmp_path, make(values)), values / (2**32 - 1), bits=32)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_frames_are_named_by_number(tmp_path: Path, syntax) -> None:
    frames = RNG.integers(0, 4096, (4, 40, 52), dtype=np.uint16)
    ds = make(frames, bits=12)
    if syntax != ExplicitVRLittleEndian:
        ds.compress(syntax)
    path = save(tmp_path, ds, "cine.dcm")
    for k, index in ((3, "003"), (3, "3"), (0, "000")):
        check(Address(Blob(path), index), frames[k] / 4095, bits=16)
    for index, message in (
        ("", r"cine\.dcm: 4 frames; name one of them, cine\.dcm::000 to cine\.dcm::003"),
        ("4", r"cine\.dcm::4: no such frame; expected a number from 000 to 003"),
        ("-1", "no such frame"),
        ("x", "no such frame"),
    ):
        for read in (read_header, read_pixels):
            with pytest.raises(DataError, match=message):
                read(Address(Blob(path), index))


def test_functional_groups_of_enhanced_objects_hold_for_their_frame(tmp_path: Path) -> None:
    def group(**elements) -> Dataset:
        outer, inner = Dataset(), Dataset()
        for keyword, value in elements.items():
            setattr(inner, keyword, value)
        kind = "FrameVOILUT" if "WindowCenter" in elements else "PixelValueTransformation"
        setattr(outer, f"{kind}Sequence", [inner])
        return outer

    frames = RNG.integers(0, 4096, (2, 40, 52), dtype=np.uint16)
    ds = make(frames, bits=12)
    ds.SharedFunctionalGroupsSequence = [group(RescaleSlope=2, RescaleIntercept=-1000)]
    ds.PerFrameFunctionalGroupsSequence = [
        group(WindowCenter=1000, WindowWidth=500),
        group(WindowCenter=3000, WindowWidth=2000),
    ]
    path = save(tmp_path, ds)
    for k, setting in enumerate([(1000, 500), (3000, 2000)]):
        expected = windowed(frames[k] * 2.0 - 1000, *setting)
        check(Address(Blob(path), f"{k:03d}"), expected, bits=16)


def test_members_of_archives_and_files_without_a_suffix(tmp_path: Path) -> None:
    path = save(tmp_path, make(GREY12, bits=12), "IM0001")
    check(path, GREY12 / 4095, bits=16)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "P1/x.dcm")
    check(Address(Blob(tmp_path / "a.zip", "P1/x.dcm")), GREY12 / 4095, bits=16)


def damaged_files(folder: Path) -> dict[str, bytes]:
    whole = save(folder, make(GREY12, bits=12)).read_bytes()
    rle = make(GREY12, bits=12)
    rle.compress(RLELossless)
    text = make(GREY12, bits=12)
    del text.Rows, text.PixelData
    headless = make(GREY12, bits=12)
    del headless.PixelData
    return {
        "empty": b"",
        "no DICM": b"not a dicom file" * 40,
        "cut in the preamble": whole[:100],
        "cut in the header": whole[: whole.find(b"SECRET") + 3],
        "cut in the pixels": whole[:-40],
        "cut in a frame": save(folder, rle).read_bytes()[:-40],
        "no image": save(folder, text).read_bytes(),
        "no pixels": save(folder, headless).read_bytes(),
    }


def test_what_cannot_be_read_is_named_without_the_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)
    for what, data in damaged_files(tmp_path).items():
        path = tmp_path / "bad.dcm"
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"bad\.dcm") as error:
            read_pixels(path)
        assert "\n" not in str(error.value), what
        assert "SECRET" not in str(error.value), what
    assert "SECRET" not in caplog.text
    assert not any("SECRET" in str(warning.message) for warning in recwarn.list)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"WindowCenter": 5, "WindowWidth": 0}, "Window Width.*dicom_window=full"),
        ({"RescaleSlope": 0, "RescaleIntercept": 7}, "rescale slope of 0"),
        ({"BitsStored": 17}, "BitsStored 17 of 16"),
        ({"BitsStored": 0}, "BitsStored 0 of 16"),
        ({"HighBit": 15}, "HighBit 15 with 12 bits stored, expected 11"),
        ({"PhotometricInterpretation": "HSV"}, "PhotometricInterpretation HSV; convert"),
        ({"SamplesPerPixel": 3}, "3 samples a pixel, expected 1"),
        ({"VOILUTSequence": lut(np.arange(9, dtype=np.uint16), 0, 3)}, "entries up to 8, which 3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, elements, message) -> None:
    with pytest.raises(DataError, match=rf"a\.dcm: .*{message}"):
        read_pixels(save(tmp_path, make(GREY12, **{"bits": 12, **elements})))


def test_a_missing_decoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = make(GREY12, bits=12)
    ds.compress(JPEG2000Lossless)
    path = save(tmp_path, ds)
    monkeypatch.setattr(get_decoder(JPEG2000Lossless), "_available", {})
    assert read_header(path).height == 40
    with pytest.raises(DataError, match=r"a\.dcm: .*JPEG 2000.*pip install 'frerec\[dicom\]'"):
        read_pixels(path)


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = save(tmp_path, make(GREY12, bits=12))
    for read in (read_header, read_pixels):
        with pytest.raises(DataError, match=r"a\.dcm: 52x40 pixels, more than the limit of 2079"):
            read(path, options=ReadOptions(pixel_limit=2079))
    # A small header around a stream that decodes to far more.
    stream = bytearray(jpeg(GREY8))
    at = stream.find(b"\xff\xc0") + 5
    assert stream[at : at + 4] == struct.pack(">HH", 40, 52)
    stream[at : at + 4] = struct.pack(">HH", 65000, 65000)
    with pytest.raises(DataError, match="stream has size 65000x65000, its header 52x40"):
        read_pixels(save(tmp_path, encapsulated(GREY8, bytes(stream))))
    ds = make(GREY12, bits=12)
    ds.compress(JPEG2000Lossless)
    at = ds.PixelData.find(b"\xff\x4f\xff\x51") + 8
    ds.PixelData = ds.PixelData[:at] + struct.pack(">II", 2**31, 2**31) + ds.PixelData[at + 8 :]
    with pytest.raises(DataError, match="stream has size 2147483648x2147483648"):
        read_pixels(save(tmp_path, ds))


def test_a_deflated_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = make(np.zeros((512, 512), dtype=np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    path = save(tmp_path, ds)
    assert path.stat().st_size < 4096
    assert read_header(path).height == 512
    monkeypatch.setattr("frerec.data.readers.dicom.IMAGE_MEMBER_LIMIT", 2**16)
    with pytest.raises(DataError, match=r"a\.dcm: .*inflates to more than the limit of 65536"):
        read_header(path)


def test_tags_are_read_as_text(tmp_path: Path) -> None:
    ds = make(GREY12, bits=12, ViewPosition="PA ", WindowCenter=[1, 2], WindowWidth=[3, 4])
    path = save(tmp_path, ds)
    keywords = ["PatientID", "Modality", "ViewPosition", "NumberOfFrames", "Rows", "WindowCenter"]
    expected = ["SECRET-ID", "DX", "PA", "", "40", "1.0\\2.0"]
    assert read_tags(Blob(path), keywords) == dict(zip(keywords, expected, strict=True))
    assert read_tags(Blob(path), ["SOPInstanceUID"])["SOPInstanceUID"] == ds.SOPInstanceUID
    ds.SpecificCharacterSet, ds.PatientID = "ISO_IR 192", "Zoë"
    assert read_tags(Blob(save(tmp_path, ds)), ["PatientID"]) == {"PatientID": "Zoë"}
    ds.SpecificCharacterSet = "ISO_IR 100"
    assert read_tags(Blob(save(tmp_path, ds)), ["PatientID"]) == {"PatientID": "Zoë"}


def test_tags_of_what_is_no_dicom(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "a.txt").write_text("no" * 100)
    with pytest.raises(DataError, match=r"a\.txt: not a DICOM file"):
        read_tags(Blob(tmp_path / "a.txt"), ["PatientID"])
    with pytest.raises(DataError, match=r"b\.dcm: no such file"):
        read_tags(Blob(tmp_path / "b.dcm"), ["PatientID"])
    odd = make(GREY12, bits=12)
    path = save(tmp_path, odd)
    data = path.read_bytes().replace(b"SECRET-ID", b"SECRET\\\xfeD")
    path.write_bytes(data)
    assert read_tags(Blob(path), ["PatientID"])["PatientID"] == "SECRET\\\xfeD"
    path.write_bytes(data[: data.find(b"SECRET\\") + 3])
    read_tags(Blob(path), ["Modality"])
    assert "SECRET" not in caplog.text
    assert not any("SECRET" in str(warning.message) for warning in recwarn.list)
