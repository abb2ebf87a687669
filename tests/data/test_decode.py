"""decode: decoded pixels and the facts of every image, against Pillow, NumPy and hashlib."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frerec.data import decode
from frerec.data.decode import build_stack
from frerec.data.decoding import Decoding, refuse_skipped
from frerec.data.manifest import Manifest
from frerec.data.parallel import default_workers
from frerec.data.readers import ImageHeader, ReadOptions
from frerec.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


def grey(height: int = 16, width: int = 16) -> np.ndarray:
    return RNG.integers(0, 256, (height, width), dtype=np.uint8)


def save(root: Path, **pixels: np.ndarray) -> Manifest:
    """Write arrays as PNG and list them, in alphabetical order."""
    for name, array in pixels.items():
        Image.fromarray(array).save(root / f"{name}.png")
    names = sorted(f"{name}.png" for name in pixels)
    return Manifest.build(root, images=names, labels=["x"] * len(names))


def test_eight_bit_images_at_their_own_size_are_stored_exactly(tmp_path: Path) -> None:
    pixels = {f"i{k:02d}": grey() for k in range(20)}
    manifest = save(tmp_path, **pixels)
    stack, kept, skipped = build_stack(
        manifest, tmp_path / "s.npy", Decoding(channels=1, image_size=16), num_workers=3
    )
    assert (stack.dtype, stack.shape, skipped) == ("uint8", (20, 1, 16, 16), [])
    assert kept.table["image"].tolist() == [f"i{k:02d}.png" for k in range(20)]
    expected = np.stack(list(pixels.values()))[:, None]
    assert np.array_equal(np.load(tmp_path / "s.npy"), expected)
    np.testing.assert_array_equal(stack.tensor().numpy(), np.float32(expected) / np.float32(255))
    np.testing.assert_array_equal(stack.tensor([3, 1]).numpy(), stack.tensor().numpy()[[3, 1]])
    assert stack.tensor(5).shape == (1, 16, 16)


def test_what_eight_bits_cannot_hold_is_stored_in_sixteen(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (16, 16), dtype=np.uint16)
    colour = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    manifest = save(tmp_path, deep=deep, eight=grey(), colour=colour)
    stack, _, _ = build_stack(manifest, tmp_path / "s.npy", Decoding(channels=1, image_size=None))
    assert stack.dtype == "uint16"
    luma = colour @ np.array([0.299, 0.587, 0.114]) / 255
    assert np.abs(stack.tensor(0)[0].numpy() - luma).max() <= 0.5 / 65535 + 1e-6
    assert np.array_equal(np.load(tmp_path / "s.npy")[1, 0], deep)
    three, _, _ = build_stack(
        manifest.take([0, 2]), tmp_path / "t.npy", Decoding(channels=3, image_size=None)
    )
    assert three.dtype == "uint8"
    assert np.array_equal(np.load(tmp_path / "t.npy")[0], colour.transpose(2, 0, 1))


def test_nothing_is_enlarged_unless_asked(tmp_path: Path) -> None:
    manifest = save(tmp_path, a=grey(32, 32), b=grey(24, 20), c=grey(10, 32))
    out = tmp_path / "s.npy"
    with pytest.raises(
        DataError, match=r"image_size=32: 1 images are smaller, .* b\.png with 20x24"
    ):
        build_stack(manifest, out, Decoding(channels=1, image_size=32))
    with pytest.raises(DataError, match=r"2 images are smaller.*b\.png"):
        build_stack(manifest, out, Decoding(channels=1, image_size=32, fit="crop"))
    stack, _, _ = build_stack(manifest, out, Decoding(channels=1, image_size=32, upsample=True))
    assert stack.shape == (3, 1, 32, 32)
    with pytest.raises(ConfigError, match=r"data\.fit=squeeze"):
        build_stack(manifest, out, Decoding(channels=1, image_size=32, fit="squeeze"))


def test_native_sizes_must_agree(tmp_path: Path) -> None:
    manifest = save(tmp_path, a=grey(16, 16), b=grey(16, 18))
    with pytest.raises(DataError, match=r"a\.png is 16x16, b\.png is 18x16; give data\.image_size"):
        build_stack(manifest, tmp_path / "s.npy", Decoding(channels=1, image_size=None))
    one, _, _ = build_stack(
        manifest.take([1]), tmp_path / "s.npy", Decoding(channels=1, image_size=None)
    )
    assert one.shape == (1, 1, 16, 18)


def test_unreadable_images_stop_the_work_or_are_left_out(tmp_path: Path) -> None:
    pixels = {f"i{k}": grey(64, 64) for k in range(6)}
    manifest = save(tmp_path, **pixels)
    (tmp_path / "i1.png").write_text("not an image")  # found by its header
    cut = (tmp_path / "i4.png").read_bytes()[:2000]  # found on decoding
    (tmp_path / "i4.png").write_bytes(cut)
    out = tmp_path / "s.npy"
    with pytest.raises(DataError, match=r"i1\.png"):
        build_stack(manifest, out, Decoding(channels=1, image_size=64))
    _, _, skipped = build_stack(manifest.take([0, 2, 3, 4, 5]), out, Decoding(1, 64))
    with pytest.raises(DataError, match=r"i4\.png: cannot be decoded"):
        refuse_skipped(skipped, 5)
    out.unlink()
    stack, kept, skipped = build_stack(
        manifest, out, Decoding(channels=1, image_size=64), on_error="skip"
    )
    assert [item.image for item in skipped] == ["i1.png", "i4.png"]
    assert "not a PNG" in skipped[0].reason
    assert kept.table["image"].tolist() == ["i0.png", "i2.png", "i3.png", "i5.png"]
    expected = np.stack([pixels[f"i{k}"] for k in (0, 2, 3, 5)])[:, None]
    assert np.array_equal(np.load(out), expected)
    assert len(stack) == 4
    with pytest.raises(DataError, match="none of the 2 images can be read"):
        build_stack(
            manifest.take([1, 4]), out, Decoding(channels=1, image_size=64), on_error="skip"
        )
    assert [p.name for p in tmp_path.glob("s.npy*")] == ["s.npy"]


def test_every_image_is_described(tmp_path: Path) -> None:
    colour = RNG.integers(0, 256, (20, 40, 3), dtype=np.uint8)
    same = grey(24, 24)
    Image.fromarray(colour).save(tmp_path / "a.jpg", quality=83)
    Image.fromarray(same).save(tmp_path / "b.png")
    Image.fromarray(np.stack([same] * 3, -1)).save(tmp_path / "c.tif")  # the same pixels
    manifest = Manifest.build(tmp_path, images=["a.jpg", "b.png", "c.tif"], labels=["x"] * 3)
    _, kept, _ = build_stack(manifest, tmp_path / "s.npy", Decoding(1, 10, fit="crop"))
    table = kept.table
    assert table["format"].tolist() == ["JPEG", "PNG", "TIFF"]
    assert table["mode"].tolist() == ["RGB", "L", "RGB"]
    assert table["bits"].tolist() == [8, 8, 8]
    assert table["quality"].tolist() == [83, 0, 0]
    assert list(zip(table["height"], table["width"], strict=True)) == [(20, 40), (24, 24), (24, 24)]
    assert table["scale"].tolist() == [10 / 20, 10 / 24, 10 / 24]
    assert set(table["resizing"]) == {"bicubic, anti-aliased, crop to 10x10"}
    assert table["pixels"].iat[1] == table["pixels"].iat[2] != table["pixels"].iat[0]
    assert table["phash"].iat[1] == table["phash"].iat[2]


def test_pixels_are_told_apart_down_to_one_grey_level(tmp_path: Path) -> None:
    first = grey()
    second = first.copy()
    second[3, 3] ^= 1
    manifest = save(tmp_path, a=first, b=second, c=first.reshape(8, 32))
    with pytest.raises(DataError, match="differ in size"):
        build_stack(manifest, tmp_path / "s.npy", Decoding(1, None))
    _, kept, _ = build_stack(manifest, tmp_path / "s.npy", Decoding(1, 8, fit="stretch"))
    assert kept.table["pixels"].nunique() == 3


def test_images_that_are_too_small_are_left_out_where_asked(tmp_path: Path) -> None:
    manifest = save(tmp_path, a=grey(32, 32), b=grey(24, 20), c=grey(40, 40))
    stack, kept, skipped = build_stack(
        manifest, tmp_path / "s.npy", Decoding(1, 32), on_error="skip"
    )
    assert kept.table["image"].tolist() == ["a.png", "c.png"]
    assert [item.image for item in skipped] == ["b.png"]
    assert "smaller than data.image_size=32" in skipped[0].reason
    assert len(stack) == 2


def test_a_crop_needs_a_size_and_never_enlarges_silently(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.crop=retina: .* give data\.image_size"):
        Decoding(3, None, options=ReadOptions(crop="retina"))
    rows, columns = np.mgrid[:64, :96]
    disc = np.hypot(rows - 32, columns - 48) < 15
    eye = (disc[..., None] * RNG.integers(100, 256, (64, 96, 3))).astype(np.uint8)
    manifest = save(tmp_path, eye=eye)
    options = ReadOptions(crop="retina")
    with pytest.raises(DataError, match=r"eye\.png: only \d+x\d+ pixels once cropped"):
        build_stack(manifest, tmp_path / "s.npy", Decoding(3, 48, options=options))
    stack, kept, _ = build_stack(manifest, tmp_path / "s.npy", Decoding(3, 16, options=options))
    assert abs(int(kept.table["height"].iat[0]) - 30) <= 3
    assert stack.tensor(0)[:, 8, 8].min() > 0.3  # the disc fills the picture


@pytest.mark.parametrize(
    ("size", "height", "width", "fit", "expected"),
    [
        (None, 20, 30, "pad", "none"),
        (24, 24, 24, "pad", "none"),
        (24, 12, 24, "pad", "pad to 24x24"),
        (24, 24, 30, "crop", "crop to 24x24"),
        (24, 24, 30, "stretch", "bicubic, anti-aliased, stretch to 24x24"),
    ],
)
def test_resizing_is_recorded_in_words(size, height, width, fit, expected) -> None:
    assert Decoding(1, size, fit).described(height, width) == expected
    cropped = Decoding(3, 24, fit, options=ReadOptions(crop="retina"))
    assert cropped.described(24, 24, cropped=True) == "cropped to retina"
    assert cropped.described(24, 24, cropped=False) == "no disc found, taken whole"


def test_an_interrupted_pass_goes_on_where_it_was(tmp_path: Path, monkeypatch) -> None:
    pixels = {f"i{k:02d}": grey() for k in range(30)}
    manifest = save(tmp_path, **pixels)
    out = tmp_path / "s.npy"
    read: list[str] = []
    original = decode.read_described

    def failing(address: Any, **settings: Any) -> Any:
        if len(read) == 12:
            raise KeyboardInterrupt
        read.append(address.blob.filename)
        return original(address, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "read_described", failing)
        with pytest.raises(KeyboardInterrupt):
            build_stack(manifest, out, Decoding(1, 16), resume=True, num_workers=1)
    assert not out.exists()
    journal = tmp_path / "s.npy.journal"
    torn = journal.read_text()[:-20]  # as a kill may leave its last line
    journal.write_text(torn)
    before = len(read)
    assert before > 5

    def counted(address: Any, **settings: Any) -> Any:
        read.append(address.blob.filename)
        return original(address, **settings)

    monkeypatch.setattr(decode, "read_described", counted)
    stack, kept, skipped = build_stack(manifest, out, Decoding(1, 16), resume=True)
    assert skipped == []
    assert len(read) - before < 30 - before + 3
    expected = np.stack(list(pixels.values()))[:, None]
    assert np.array_equal(np.load(out), expected)
    whole = build_stack(manifest, tmp_path / "w.npy", Decoding(1, 16))[1]
    assert kept.table.equals(whole.table)
    assert len(stack) == 30
    assert {p.name for p in tmp_path.iterdir() if "s.npy" in p.name} == {"s.npy"}


def test_a_journal_of_other_images_is_begun_anew(tmp_path: Path, monkeypatch) -> None:
    first = save(tmp_path, **{f"i{k}": grey() for k in range(6)})
    out = tmp_path / "s.npy"
    with monkeypatch.context() as patch:
        patch.setattr(decode.ImageStackWriter, "close", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build_stack(first, out, Decoding(1, 16), resume=True)
    assert (tmp_path / "s.npy.journal").exists()
    other = first.take([3, 1, 5])
    build_stack(other, out, Decoding(1, 16), resume=True)
    with Image.open(tmp_path / "i3.png") as image:
        assert np.array_equal(np.load(out)[0, 0], np.asarray(image))


def test_large_images_are_decoded_by_fewer_threads() -> None:
    small, large = (ImageHeader(n, n, 8, True) for n in (128, 8192))
    assert decode._affordable_workers({0: small}) == default_workers()
    assert decode._affordable_workers({0: small, 1: large}) == 1
