"""readers.pillow: every encoding against NumPy's arithmetic on the pixels that were written."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frerec.data.readers import ReadOptions, read_header, read_image
from frerec.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (6, 9), dtype=np.uint16)
RGB8 = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
LUMA = np.array([0.299, 0.587, 0.114])


def write_png16(path: Path, pixels: np.ndarray) -> None:
    """A 16-bit PNG [H, W, bands] by the PNG specification, since Pillow writes none with colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, bands = pixels.shape
    colour_type = {2: 4, 3: 2, 4: 6}[bands]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def check(path: Path, expected: np.ndarray, *, channels: int, bits: int) -> None:
    """Compare with the reference [H, W] or [H, W, 3], and the header with the pixels."""
    image = read_image(path, channels=channels)
    if expected.ndim == 2:
        expected = np.stack([expected] * channels)
    elif channels == 1:
        expected = (expected @ LUMA)[None]
    else:
        expected = np.moveaxis(expected, -1, 0)
    assert image.dtype.is_floating_point
    assert image.shape == expected.shape
    np.testing.assert_allclose(image.numpy(), expected, atol=2e-7)
    header = read_header(path)
    assert (header.height, header.width, header.native_bits) == (*image.shape[1:], bits)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_eight_bit_files_are_divided_by_255(tmp_path: Path, suffix: str, channels: int) -> None:
    for name, pixels in (("grey", GREY8), ("colour", RGB8)):
        path = tmp_path / f"{name}.{suffix}"
        Image.fromarray(pixels).save(path)
        check(path, pixels / 255, channels=channels, bits=8)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_is_divided_by_65535(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"grey.{suffix}"
    Image.fromarray(GREY16).save(path)
    check(path, GREY16 / 65535, channels=1, bits=16)


@pytest.mark.parametrize("bands", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_colour_png_keeps_all_its_bits(
    tmp_path: Path, bands: int, channels: int
) -> None:
    pixels = RNG.integers(0, 65536, (5, 7, bands), dtype=np.uint16)
    write_png16(tmp_path / "deep.png", pixels)
    visible = pixels[..., 0] if bands == 2 else pixels[..., :3]
    check(tmp_path / "deep.png", visible / 65535, channels=channels, bits=16)


def test_alpha_is_dropped_even_where_it_is_transparent(tmp_path: Path) -> None:
    alpha = np.zeros((6, 9, 1), dtype=np.uint8)
    Image.fromarray(np.concatenate([RGB8, alpha], -1)).save(tmp_path / "rgba.png")
    Image.fromarray(np.concatenate([GREY8[..., None], alpha], -1)).save(tmp_path / "la.png")
    check(tmp_path / "rgba.png", RGB8 / 255, channels=3, bits=8)
    check(tmp_path / "la.png", GREY8 / 255, channels=1, bits=8)


def test_palettes_are_looked_up_and_bits_become_black_and_white(tmp_path: Path) -> None:
    palette = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
    indices = RNG.integers(0, 16, (6, 9), dtype=np.uint8)
    image = Image.fromarray(indices, mode="P")
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "palette.png", transparency=3)
    check(tmp_path / "palette.png", palette[indices] / 255, channels=3, bits=8)
    bits = GREY8 > 127
    for suffix in ("png", "tif"):
        Image.fromarray(bits).save(tmp_path / f"bits.{suffix}")
        check(tmp_path / f"bits.{suffix}", bits.astype(float), channels=1, bits=8)


def test_jpeg_pixels_are_those_of_the_decoder(tmp_path: Path) -> None:
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        decoded = np.asarray(image)
    check(tmp_path / "a.jpg", decoded / 255, channels=3, bits=8)
    assert read_header(tmp_path / "a.jpg").fits_uint8(3)
    assert not read_header(tmp_path / "a.jpg").fits_uint8(1)


@pytest.mark.parametrize(
    ("pixels", "options", "expected", "bits"),
    [
        (GREY16, {"byteorder": ">"}, GREY16 / 65535, 16),
        (GREY16, {"compression": "zlib"}, GREY16 / 65535, 16),
        (GREY16, {"photometric": "miniswhite"}, 1 - GREY16 / 65535, 16),
        (GREY8, {"photometric": "miniswhite"}, 1 - GREY8 / 255, 8),
        ((GREY8 / 255).astype(np.float32), {}, GREY8 / 255, 32),
    ],
)
def test_tiff_variants(tmp_path: Path, pixels, options, expected, bits) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    check(tmp_path / "a.tif", expected, channels=1, bits=bits)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [GREY8, RGB8, GREY16], ids=["grey8", "rgb8", "grey16"])
def test_exif_orientation_is_applied(tmp_path: Path, pixels, orientation: int) -> None:
    upright = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.rot90(np.fliplr(a)),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(np.fliplr(a), -1),
        8: lambda a: np.rot90(a),
    }[orientation](pixels)
    bits = 16 if pixels.dtype == np.uint16 else 8
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={0x0112: orientation})
    packed = {"tiffinfo": {0x0112: orientation}, "compression": "tiff_deflate"}
    Image.fromarray(pixels).save(tmp_path / "packed.tif", **packed)
    for name in ("a.png", "a.tif", "packed.tif"):
        scale = 65535 if bits == 16 else 255
        check(tmp_path / name, upright / scale, channels=3, bits=bits)


def damaged(folder: Path, suffix: str) -> Path:
    """A large enough image cut in the middle of its pixels."""
    path = folder / f"cut.{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def other_files(folder: Path) -> list[Path]:
    empty, text, cmyk, gif = (folder / n for n in ("empty.png", "text.jpg", "cmyk.jpg", "a.png"))
    empty.write_bytes(b"")
    text.write_text("not an image")
    Image.new("CMYK", (8, 8)).save(cmyk)
    Image.new("L", (8, 8)).save(gif, format="GIF")
    return [empty, text, cmyk, gif, folder / "missing.png", folder]


def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    paths = [damaged(tmp_path, suffix) for suffix in ("png", "jpg", "tif")]
    for path in [*paths, *other_files(tmp_path)]:
        with pytest.raises(DataError) as error:
            read_image(path, channels=1)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (np.stack([GREY16] * 3, -1), {"photometric": "rgb"}, "16-bit colour TIFF"),
        (GREY16.astype(np.int16), {}, "signed"),
        (GREY16.astype(np.uint32), {}, "32-bit integers"),
        (np.stack([GREY8] * 2), {"photometric": "minisblack"}, "2 pages"),
        (np.float32([[0, 1.5]]), {}, "from 0 to 1.5"),
        (np.float32([[0, -0.5]]), {}, "from -0.5 to 0"),
        (np.float32([[0, np.nan]]), {}, "not finite"),
    ],
)
def test_tiffs_without_an_agreed_range_are_refused(tmp_path: Path, pixels, options, reason) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "odd.tif", pixels, **options)
    with pytest.raises(DataError, match=f"odd.tif.*{reason}"):
        read_image(tmp_path / "odd.tif", channels=1)


def test_image_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    Image.fromarray(GREY8).save(tmp_path / "a.png")
    for read in (
        read_header,
        lambda p, options: read_image(p, channels=1, options=options),
    ):
        with pytest.raises(DataError, match=r"a\.png: 9x6 pixels, more than the limit of 53"):
            read(tmp_path / "a.png", options=ReadOptions(pixel_limit=53))
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    idat = b"\0\0\0\x08IDAT" + b"\0" * 12
    (tmp_path / "bomb.png").write_bytes(bomb + idat)
    with pytest.raises(DataError, match=r"bomb\.png"):
        read_image(tmp_path / "bomb.png", channels=1)


def test_other_numbers_of_channels_are_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="channels=2"):
        read_image(tmp_path / "a.png", channels=2)
