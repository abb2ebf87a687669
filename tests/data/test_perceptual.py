"""perceptual: hashes against ImageHash and the formula, pairs against comparing one by one."""

from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn
from torch import Tensor

from fixtures import textured_images
from frerec.data import perceptual
from frerec.data.components import connected
from frerec.data.perceptual import (
    NearPairs,
    equal_pairs,
    find_near_pairs,
    perceptual_hash,
)
from frerec.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    globals()["RNG"] = np.random.default_rng(0)


def bits_apart(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def as_levels(image: Tensor) -> np.ndarray:
    return (image * 255).round().byte().numpy()


def one_by_one(hashes: list[str], distance: int) -> np.ndarray:
    """The reference: every pair, by Python's integers."""
    found = [
        (i, j, bits_apart(a, b))
        for (i, a), (j, b) in combinations(enumerate(hashes), 2)
        if a and b and bits_apart(a, b) <= distance
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def random_hashes(n: int, *, near: int = 0, flips: int = 20) -> list[str]:
    """Random ones, of which the last `near` are copies of others with up to `flips` bits turned."""
    bits = RNG.integers(0, 2, (n, 256))
    for row in range(n - near, n):
        bits[row] = bits[RNG.integers(0, n - near)]
        turned = RNG.choice(256, RNG.integers(0, flips + 1), replace=False)
        bits[row, turned] ^= 1
    return [np.packbits(row).tobytes().hex() for row in bits]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_hash_is_that_of_the_imagehash_library(tmp_path: Path, channels: int) -> None:
    image = textured_images(1, channels=channels, height=100, width=90)[0]
    levels = as_levels(image)
    Image.fromarray(levels[0] if channels == 1 else levels.transpose(1, 2, 0)).save(
        tmp_path / "a.png"
    )
    expected = str(imagehash.phash(Image.open(tmp_path / "a.png"), hash_size=16))
    decoded = torch.from_numpy(levels).float() / 255
    assert len(expected) == 64
    # Colour may round to another grey level here and there.
    assert bits_apart(perceptual_hash(decoded), expected) <= (0 if channels == 1 else 4)


def test_the_hash_is_the_low_frequencies_above_their_median() -> None:
    image = textured_images(1, height=64, width=64)[0]
    coefficients = dctn(as_levels(image)[0].astype(float), type=2)[:16, :16]
    expected = np.packbits(coefficients > np.median(coefficients)).tobytes().hex()
    assert perceptual_hash(image) == expected


def test_large_images_are_averaged_in_whole_blocks_first() -> None:
    image = textured_images(1, height=1024, width=800)[0]
    blocks = image[0, :1023, :798].reshape(341, 3, 266, 3).mean(dim=(1, 3))
    assert bits_apart(perceptual_hash(image), perceptual_hash(blocks[None])) <= 8
    exact = image[:, :768, :768]
    averaged = exact[0].reshape(256, 3, 256, 3).mean(dim=(1, 3))[None]
    assert perceptual_hash(exact) == perceptual_hash(averaged)
    whole = imagehash.phash(Image.fromarray(as_levels(exact)[0]), hash_size=16)
    assert bits_apart(perceptual_hash(exact), str(whole)) <= 4


def test_compression_size_brightness_and_contrast_hardly_change_it(tmp_path: Path) -> None:
    images = textured_images(2, height=128, width=128)
    hashed = perceptual_hash(images[0])
    Image.fromarray(as_levels(images[0])[0]).save(tmp_path / "a.jpg", quality=40)
    jpeg = torch.from_numpy(np.asarray(Image.open(tmp_path / "a.jpg")).copy())[None] / 255
    half = torch.nn.functional.avg_pool2d(images[:1], 2)[0]
    for same in (jpeg, half, images[0] * 0.5, images[0] * 0.6 + 0.3):
        assert bits_apart(perceptual_hash(same), hashed) <= 16
    assert bits_apart(perceptual_hash(images[1]), hashed) > 60


def test_flat_images_have_no_hash_and_are_near_nothing() -> None:
    noise = torch.from_numpy(RNG.integers(100, 103, (1, 80, 80)) / 255)
    flat = [torch.zeros(1, 80, 80), torch.ones(3, 2000, 40), noise]
    assert [perceptual_hash(image) for image in flat] == ["", "", ""]
    ramp = torch.linspace(0, 8 / 255, 80).expand(1, 80, 80)
    assert perceptual_hash(ramp) != ""
    assert find_near_pairs(["", "", ""], 24).pairs.shape == (0, 3)


def test_other_shapes_are_refused() -> None:
    for shape in [(8, 8), (2, 8, 8), (1, 1, 8, 8)]:
        with pytest.raises(DataError, match="expected"):
            perceptual_hash(torch.zeros(shape))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 33, 70])
def test_pairs_are_those_of_comparing_one_by_one(monkeypatch, n: int) -> None:
    monkeypatch.setattr(perceptual, "_ROWS", 8)
    monkeypatch.setattr(perceptual, "_COLUMNS", 16)
    hashes = random_hashes(n, near=n // 2)
    hashes = [h if RNG.random() > 0.1 else "" for h in hashes]
    for distance in (0, 7, 24, 110):
        found = find_near_pairs(hashes, distance)
        assert found.complete
        assert found.pairs.dtype == np.int64
        np.testing.assert_array_equal(found.pairs, one_by_one(hashes, distance))


def test_equal_hashes_and_equal_keys_make_all_pairs() -> None:
    a, b = random_hashes(2)
    hashes = [a, b, a, "", a, b, ""]
    expected = one_by_one(hashes, 0)
    assert len(expected) == 4
    np.testing.assert_array_equal(find_near_pairs(hashes, 0).pairs, expected)
    np.testing.assert_array_equal(equal_pairs(hashes).pairs, expected)


@pytest.mark.parametrize("limit", [0, 5, 60])
def test_beyond_the_limit_who_was_connected_stays_connected(monkeypatch, limit: int) -> None:
    monkeypatch.setattr(perceptual, "_ROWS", 8)
    monkeypatch.setattr(perceptual, "_COLUMNS", 16)
    hashes = random_hashes(40, near=36, flips=12)
    hashes += hashes[:15]
    everything = one_by_one(hashes, 24)
    assert len(everything) > 60
    found = find_near_pairs(hashes, 24, limit=limit)
    assert not found.complete
    assert {tuple(p) for p in found.pairs.tolist()} <= {tuple(p) for p in everything.tolist()}
    expected = connected(everything, len(hashes))
    np.testing.assert_array_equal(connected(found.pairs, len(hashes)), expected)
    assert len(found.pairs) == len(hashes) - len(set(expected.tolist()))


def test_a_hundred_thousand_copies_of_one_image_do_not_fill_the_memory() -> None:
    found = find_near_pairs(random_hashes(1) * 100_000, 24)
    assert not found.complete
    assert len(found.pairs) == 99_999
    assert connected(found.pairs, 100_000).max() == 0


@pytest.mark.parametrize("limit", [0, 100])
def test_pairs_are_written_and_read_again(tmp_path: Path, limit: int) -> None:
    hashes = random_hashes(20, near=10)
    found = find_near_pairs([*hashes, hashes[0], hashes[0]], 24, limit=limit)
    assert found.complete == (limit == 100)
    for _ in range(2):  # the second time over the first
        found.save(tmp_path / "near.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["near.npz"]
    again = NearPairs.load(tmp_path / "near.npz")
    np.testing.assert_array_equal(again.pairs, found.pairs)
    assert again.pairs.dtype == np.int64
    assert again.complete is found.complete


def test_a_file_that_holds_no_pairs_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "near.npz"
    with pytest.raises(DataError, match=r"near\.npz: cannot be read"):
        NearPairs.load(path)
    find_near_pairs(random_hashes(3), 24).save(path)
    whole = path.read_bytes()
    inside = bytearray(whole)
    inside[60] ^= 0xFF  # its checksum does not hold any more
    for content in (b"", b"text", whole[:-40], whole[:50], bytes(inside)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            NearPairs.load(path)
    np.save(tmp_path / "array.npy", np.zeros((2, 3)))
    (tmp_path / "array.npy").rename(path)
    with pytest.raises(DataError, match="cannot be read"):
        NearPairs.load(path)
    none = np.zeros((0, 3), dtype=np.int64)
    for content in (
        {"pairs": none},
        {"pairs": np.array([[0, 1, 2]], dtype=object), "complete": True},
        {"pairs": none.astype(float), "complete": True},
        {"pairs": none[:, :2], "complete": True},
        {"pairs": np.int64(3), "complete": True},
        {"pairs": none, "complete": [True, False]},
    ):
        np.savez(path, **content)
        with pytest.raises(DataError, match="delete it"):
            NearPairs.load(path)


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "near.npz"
    find_near_pairs(random_hashes(3), 24).save(path)
    before = path.read_bytes()

    def full(file, **_: object) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(perceptual.np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        find_near_pairs(random_hashes(5), 24).save(path)
    assert [item.name for item in tmp_path.iterdir()] == ["near.npz"]
    assert path.read_bytes() == before


def test_the_bar_is_shown_where_it_is_asked_for(capsys) -> None:
    find_near_pairs(random_hashes(3), 24)
    assert capsys.readouterr().err == ""
    find_near_pairs(random_hashes(3), 24, progress=True)
    assert "comparing images" in capsys.readouterr().err


def test_bad_hashes_and_distances_are_refused() -> None:
    for wrong in ("ab", "g" * 64):
        with pytest.raises(DataError, match="64 hexadecimal"):
            find_near_pairs([wrong], 24)
    for distance in (-1, 129):
        with pytest.raises(ConfigError, match=f"near_distance={distance}"):
            find_near_pairs([], distance)
