"""readers.pillow: every encoding against NumPy's arithmetic on the pixels that were written."""

import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frerec.data.address import Address, Blob
from frerec.data.readers import ReadOptions, read_header, read_image, read_pixels
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


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.rot90(np.fliplr(a)),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.fliplr(a), -1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_colour_tiff_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    write_tiff16(tmp_path / "a.tif", RGB16, tags={274: ("H", [orientation])})
    expected = UPRIGHT[orientation](RGB16) / 65535
    check(tmp_path / "a.tif", expected, channels=3, bits=16)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pixels", [GREY8, RGB8, GREY16], ids=["grey8", "rgb8", "grey16"])
def test_exif_orientation_is_applied(tmp_path: Path, pixels, orientation: int) -> None:
    upright = UPRIGHT[orientation](pixels)
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


def packbits(data: bytes) -> bytes:
    """PackBits (TIFF 6.0, section 9), of literal runs only."""
    runs = [data[k : k + 128] for k in range(0, len(data), 128)]
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def lzw(data: bytes) -> bytes:
    """LZW (TIFF 6.0, section 13), its table cleared before codes would need ten bits."""
    codes = []
    for k in range(0, len(data), 200):
        codes += [256, *data[k : k + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


PACKERS = {1: bytes, 5: lzw, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}
RGB16 = RNG.integers(0, 65536, (37, 41, 3), dtype=np.uint16)


def write_tiff16(
    path: Path,
    pixels: np.ndarray,
    *,
    order: str = "<",
    compression: int = 1,
    predictor: int = 1,
    planar: bool = False,
    tile: tuple[int, int] | None = None,
    rows: int = 10,
    tags: dict[int, tuple[str, list[int]]] | None = None,
) -> None:
    """16-bit colour [H, W, samples] by the TIFF 6.0 specification, since Pillow writes none."""
    height, width, samples = pixels.shape
    pieces = []
    for plane in np.moveaxis(pixels, -1, 0)[..., None] if planar else [pixels]:
        tall, wide = tile or (rows, width)
        for y in range(0, height, tall):
            for x in range(0, width, wide):
                piece = plane[y : y + tall, x : x + wide]
                if tile:
                    margin = (tall - piece.shape[0], wide - piece.shape[1])
                    piece = np.pad(piece, ((0, margin[0]), (0, margin[1]), (0, 0)))
                if predictor == 2:
                    piece = np.diff(piece, axis=1, prepend=np.uint16(0))
                pieces.append(PACKERS.get(compression, bytes)(piece.astype(f"{order}u2").tobytes()))
    offsets = [8 + sum(map(len, pieces[:k])) for k in range(len(pieces))]
    where, size = (324, 325) if tile else (273, 279)
    entries = {256: ("I", [width]), 257: ("I", [height]), 258: ("H", [16] * samples)}
    entries |= {259: ("H", [compression]), 262: ("H", [2]), 277: ("H", [samples])}
    entries |= {where: ("I", offsets), size: ("I", [len(piece) for piece in pieces])}
    entries |= {284: ("H", [1 + planar]), 317: ("H", [predictor])}
    entries |= {322: ("I", [tile[1]]), 323: ("I", [tile[0]])} if tile else {278: ("I", [rows])}
    entries |= {338: ("H", [2])} if samples == 4 else {}
    entries |= tags or {}
    body = b"".join(pieces)
    start = 8 + len(body)
    after = start + 2 + 12 * len(entries) + 4
    directory, far = struct.pack(f"{order}H", len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(data) > 4:
            far, data = far + data, struct.pack(f"{order}I", after + len(far))
        directory += struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(values))
        directory += data.ljust(4, b"\0")
    magic = b"II" if order == "<" else b"MM"
    head = magic + struct.pack(f"{order}HI", 42, start)
    path.write_bytes(head + body + directory + bytes(4) + far)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 32), (48, 48)])
@pytest.mark.parametrize("compression", list(PACKERS))
def test_sixteen_bit_colour_tiff_keeps_all_its_bits(
    tmp_path: Path, order: str, planar: bool, tile, compression: int
) -> None:
    path = tmp_path / "deep.tif"
    for predictor in (1, 2):
        layout = {"order": order, "planar": planar, "tile": tile, "compression": compression}
        write_tiff16(path, RGB16, predictor=predictor, **layout)
        check(path, RGB16 / 65535, channels=3, bits=16)
    check(path, RGB16 / 65535, channels=1, bits=16)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"planarconfig": "separate"},
        {"byteorder": ">", "tile": (16, 16), "compression": "zlib"},
        {"bigtiff": True},
        {"rowsperstrip": 1},
    ],
)
def test_sixteen_bit_colour_tiff_of_another_writer(tmp_path: Path, options) -> None:
    tifffile = pytest.importorskip("tifffile")
    planes = np.moveaxis(RGB16, -1, 0) if "planarconfig" in options else RGB16
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", **options)
    check(tmp_path / "a.tif", RGB16 / 65535, channels=3, bits=16)


@pytest.mark.parametrize("planar", [False, True])
def test_the_alpha_of_a_sixteen_bit_colour_tiff_is_dropped(tmp_path: Path, planar: bool) -> None:
    alpha = RNG.integers(0, 65536, (37, 41, 1), dtype=np.uint16)
    both = np.concatenate([RGB16, alpha], -1)
    path = tmp_path / "a.tif"
    for kind in (0, 2):  # unspecified, or not multiplied
        write_tiff16(path, both, planar=planar, tags={338: ("H", [kind])})
        check(path, RGB16 / 65535, channels=3, bits=16)
    write_tiff16(path, both, planar=planar, tags={338: ("H", [1])})
    with pytest.raises(DataError, match=r"a\.tif: .*multiplied by alpha"):
        read_image(path, channels=3)


def test_one_number_of_bits_counts_for_all_samples(tmp_path: Path) -> None:
    write_tiff16(tmp_path / "a.tif", RGB16, tags={258: ("H", [16])})
    check(tmp_path / "a.tif", RGB16 / 65535, channels=3, bits=16)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({259: ("H", [7])}, "compression 7, expected none, LZW, Deflate"),
        ({317: ("H", [3])}, "predictor 3"),
        ({273: ("I", [8]), 279: ("I", [100])}, "1 strips or tiles, expected 4"),
        ({278: ("I", [0])}, "tiles of 41x0"),
        ({322: ("I", [10**5]), 323: ("I", [10**5])}, "tiles of 100000x100000"),
    ],
)
def test_sixteen_bit_colour_that_cannot_be_read_is_refused(tmp_path: Path, tags, reason) -> None:
    write_tiff16(tmp_path / "a.tif", RGB16, tags=tags, tile=(64, 64) if 322 in tags else None)
    with pytest.raises(DataError, match=rf"a\.tif: .*{reason}"):
        read_image(tmp_path / "a.tif", channels=3)


@pytest.mark.parametrize("compression", [1, 5, 8])
def test_a_cut_sixteen_bit_colour_tiff_is_refused(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "a.tif"
    write_tiff16(path, RGB16, compression=compression, rows=37, tags={279: ("I", [200])})
    if compression == 1:  # its last row lies behind the file's end
        write_tiff16(path, RGB16, rows=37, tags={273: ("I", [10**4])})
    with pytest.raises(DataError, match=r"a\.tif: cannot be decoded"):
        read_image(path, channels=3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_headers_in_archives_are_those_of_files(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB8).save(plain, exif=exif)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(plain, f"x/a.{suffix}")
    address = Address(Blob(tmp_path / "a.zip", f"x/a.{suffix}"))
    assert read_header(address) == read_header(plain)
    assert read_header(address).height == 9
    assert read_image(address, channels=3).equal(read_image(plain, channels=3))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_bomb_in_an_archive_is_refused_by_its_first_bytes(tmp_path: Path, suffix: str) -> None:
    plain = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB8).save(plain)
    bomb = plain.read_bytes() + b"\0" * 50_000_000
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(plain.name, bomb)
    address = Address(Blob(tmp_path / "a.zip", plain.name))
    few = ReadOptions(pixel_limit=53)
    tracemalloc.start()
    assert read_header(address).width == 9
    for read in (read_header, read_pixels):
        with pytest.raises(DataError, match="9x6 pixels, more than the limit of 53"):
            read(address, options=few)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


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
        (GREY16.astype(np.int16), {}, "signed integers have no agreed range"),
        (GREY16.astype(np.int16), {"byteorder": ">"}, "signed integers have no agreed range"),
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
