"""readers.npz: rows against NumPy's own arrays, each decompressed once."""

import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frerec.data.address import Address, Blob
from frerec.data.readers import ReadOptions, npz_array, read_header, read_pixels
from frerec.data.readers.npz import array_shapes, read_array, row_bytes, row_index
from frerec.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 5, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (9, 5, 7, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two grey rows a chunk, three chunks kept, nothing kept from other tests."""
    monkeypatch.setattr(npz_array, "CHUNK_BYTES", 2 * GREY[0].nbytes)
    monkeypatch.setattr(npz_array, "KEPT_BYTES", 3 * 2 * GREY[0].nbytes)
    npz_array._arrays.clear()
    npz_array._inner.clear()


def save(path: Path, packed: bool = True, **arrays: np.ndarray) -> Path:
    (np.savez_compressed if packed else np.savez)(path, **arrays)
    return path


def at(path: Path, row: int, array: str = "train_images", member: str = "") -> Address:
    return Address(Blob(path, member), row_index(array, row))


def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the arrays that are opened for their rows from now on, their headers apart."""
    calls: list[str] = []
    original = npz_array.Array._open

    def counted(self):
        calls.append(self.name.rpartition("::")[2])
        return original(self)

    monkeypatch.setattr(npz_array.Array, "_open", counted)
    return calls


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("images", "bits"),
    [
        (GREY, 8),
        (GREY[..., None], 8),
        (RGB, 8),
        (RNG.integers(0, 65536, (4, 5, 7), dtype=np.uint16), 16),
        (RNG.integers(0, 65536, (4, 5, 7, 3)).astype(">u2"), 16),
        (RNG.random((4, 5, 7)).astype(np.float16), 32),
        (RNG.random((4, 5, 7, 3), dtype=np.float32), 32),
        (RNG.random((4, 5, 7, 1)), 32),
    ],
)
def test_rows_are_those_of_the_array(tmp_path: Path, packed: bool, images, bits) -> None:
    path = save(tmp_path / "a.npz", packed, train_images=images, train_labels=np.arange(9))
    largest = {8: 255, 16: 65535, 32: 1}[bits]
    for row, image in enumerate(images):
        found = read_pixels(at(path, row))
        expected = image.astype(float) / largest
        expected = expected[..., 0] if image.shape[2:] == (1,) else expected
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-7)
        assert row_bytes(Blob(path), row_index("train_images", row)) == image.tobytes()
    header = read_header(at(path, 0))
    assert (header.height, header.width, header.native_bits) == (5, 7, bits)
    assert header.colour == (found.ndim == 3)
    assert (header.format, header.mode) == ("NPZ", images.dtype.name)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.integers(0, 8), min_size=1, max_size=12),
    packed=st.booleans(),
    chunk=st.integers(1, 200),
    kept=st.integers(1, 300),
)
def test_rows_may_be_read_in_any_order(tmp_path_factory, rows, packed, chunk, kept) -> None:
    path = save(tmp_path_factory.mktemp("npz") / "a.npz", packed, train_images=GREY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npz_array, "CHUNK_BYTES", chunk)
        patch.setattr(npz_array, "KEPT_BYTES", kept)
        for row in rows:
            np.testing.assert_array_equal(read_pixels(at(path, row)), GREY[row] / np.float32(255))


def test_rows_in_order_decompress_an_array_once(tmp_path: Path, monkeypatch) -> None:
    path = save(tmp_path / "a.npz", train_images=GREY, test_images=RGB)
    calls = opens(monkeypatch)
    for row in range(9):
        read_pixels(at(path, row))
    assert calls == ["train_images"] * 2  # for the header, and for the rows
    read_pixels(at(path, 4))  # still among the last three chunks
    assert len(calls) == 2
    read_pixels(at(path, 0))  # gone by
    assert len(calls) == 3
    for row in range(9):
        read_pixels(at(path, row, "test_images"))
    assert calls[3:] == ["test_images"] * 2


def test_four_threads_decompress_an_array_once(tmp_path: Path, monkeypatch) -> None:
    images = RNG.integers(0, 256, (400, 5, 7), dtype=np.uint8)
    monkeypatch.setattr(npz_array, "KEPT_BYTES", 80 * GREY[0].nbytes)
    path = save(tmp_path / "a.npz", train_images=images)
    calls = opens(monkeypatch)
    start = threading.Barrier(4, timeout=20)

    def work(worker: int) -> list[np.ndarray]:
        found = []
        for block in range(0, 400, 40):  # each block of 40 rows is shared by all four
            start.wait()
            for row in range(block + worker, block + 40, 4):
                found.append((row, read_pixels(at(path, row))))
        return found

    with ThreadPoolExecutor(4) as pool:
        results = [pair for part in pool.map(work, range(4)) for pair in part]
    assert sorted(row for row, _ in results) == list(range(400))
    for row, image in results:
        np.testing.assert_array_equal(image, images[row] / np.float32(255))
    assert calls == ["train_images"] * 2


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", **{f"a{k}": GREY for k in range(6)})
    for k in range(6):
        for row in range(9):
            read_pixels(at(path, row, f"a{k}"))
    assert len(npz_array._arrays) == npz_array._KEPT_ARRAYS
    for array in npz_array._arrays.values():
        assert sum(chunk.nbytes for chunk in array._chunks.values()) <= npz_array.KEPT_BYTES


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", train_images=GREY)
    read_pixels(at(path, 0))
    save(path, train_images=255 - GREY)
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(read_pixels(at(path, 0)), (255 - GREY[0]) / np.float32(255))


def test_shapes_small_arrays_and_names(tmp_path: Path) -> None:
    labels = RNG.integers(0, 2, (9, 14))
    names = np.array(["a", "bc"])
    path = save(
        tmp_path / "chestmnist.npz",
        **{"train_images": GREY, "train_labels": labels, "names": names, "deep/x": RGB},
        columns=np.asfortranarray(labels),
        number=np.float64(3),
    )
    blob = Blob(path)
    assert array_shapes(blob) == {
        **{"train_images": (9, 5, 7), "train_labels": (9, 14), "names": (2,)},
        **{"deep/x": (9, 5, 7, 3), "columns": (9, 14), "number": ()},
    }
    for name, expected in (("train_labels", labels), ("columns", labels), ("names", names)):
        np.testing.assert_array_equal(read_array(blob, name), expected)
    assert read_array(blob, "number") == 3
    np.testing.assert_allclose(read_pixels(Address(blob, "deep/x/2")), RGB[2] / 255, atol=1e-7)
    assert row_index("train_images", 17) == "train_images/000017"
    assert read_array(blob, "train_labels", limit=labels.nbytes).shape == (9, 14)
    with pytest.raises(DataError, match=r"train_labels: 1008 bytes, more than the limit of 1007"):
        read_array(blob, "train_labels", limit=labels.nbytes - 1)
    with pytest.raises(DataError, match=r"chestmnist\.npz: no array val; it has train_images, tr"):
        read_array(blob, "val")


def test_archives_in_archives(tmp_path: Path, monkeypatch) -> None:
    path = save(tmp_path / "a.npz", train_images=GREY)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(path, "in/a.npz")
        archive.writestr("in/bad.npz", path.read_bytes()[:-30])
    calls = []
    original = Blob.open
    monkeypatch.setattr(Blob, "open", lambda self: (calls.append(self.name), original(self))[1])
    for row in (0, 8, 3):
        found = read_pixels(at(tmp_path / "set.zip", row, member="in/a.npz"))
        np.testing.assert_array_equal(found, GREY[row] / np.float32(255))
    assert array_shapes(Blob(tmp_path / "set.zip", "in/a.npz")) == {"train_images": (9, 5, 7)}
    assert len(calls) == 1
    for name, message in (("bad", "cannot be read"), ("gone", "no such member")):
        with pytest.raises(DataError, match=rf"set\.zip::in/{name}\.npz.*{message}"):
            read_pixels(at(tmp_path / "set.zip", 0, member=f"in/{name}.npz"))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("", r"a\.npz: name an array and a row, for example a\.npz::images/000017; .*train_images"),
        ("train_images", "name an array and a row"),
        ("train_images/x", "name an array and a row"),
        ("train_images/-1", "name an array and a row"),
        ("/3", "name an array and a row"),
        ("other/3", "no array other; it has train_images, "),
        ("train_images/9", "no such row; train_images has 9"),
        ("labels/0", r"labels: type int64, expected uint8, uint16, or floats in \[0, 1\]"),
        ("flat/0", r"flat: shape \[9, 5\], expected \[N, H, W\] or \[N, H, W, C\] with C 1 or 3"),
        ("channels_first/0", r"shape \[2, 3, 5, 7\], expected \[N, H, W\]"),
        ("empty/0", r"shape \[2, 0, 7\], expected"),
        ("none/0", "no such row; none has 0"),
        ("columns/0", r"columns: stored columns first \(Fortran order\)"),
        ("objects/0", r"objects: an array of objects \(object\), which is never unpickled"),
        ("records/0", "records: an array of objects"),
        ("above/0", r"pixels from 0 to 1\.5, expected \[0, 1\]"),
        ("below/0", r"pixels from -0\.5 to 0, expected \[0, 1\]"),
        ("nan/0", "pixels that are not finite"),
    ],
)
def test_rows_that_are_no_images_are_refused(tmp_path: Path, index: str, message: str) -> None:
    path = save(
        tmp_path / "a.npz",
        train_images=GREY,
        labels=np.zeros((9, 5, 7), np.int64),
        flat=GREY[:, :, 0],
        channels_first=np.zeros((2, 3, 5, 7), np.uint8),
        empty=np.zeros((2, 0, 7), np.uint8),
        none=GREY[:0],
        columns=np.asfortranarray(GREY),
        objects=np.array([Trap(), Trap()]),
        records=np.zeros((2, 5, 7), [("a", "u1")]),
        above=np.array([[[0, 1.5]]]),
        below=np.array([[[0, -0.5]]]),
        nan=np.array([[[0, np.nan]]]),
    )
    with pytest.raises(DataError, match=message) as error:
        read_pixels(Address(Blob(path), index))
    assert "a.npz" in str(error.value)
    assert "\n" not in str(error.value)


class Trap:
    """Raises when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", train_labels=np.array([Trap()]))
    assert array_shapes(Blob(path)) == {"train_labels": (1,)}
    with pytest.raises(DataError, match="never unpickled"):
        read_array(Blob(path), "train_labels")


def test_size_limits_hold_before_rows_are_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", train_images=GREY)
    for read in (read_header, read_pixels):
        with pytest.raises(DataError, match=r"a\.npz::train_images/000001: 7x5 pixels, more than"):
            read(at(path, 1), options=ReadOptions(pixel_limit=34))
    assert npz_array._arrays.popitem()[1]._next == 0


def test_damaged_archives_are_named_in_one_line(tmp_path: Path) -> None:
    noise = RNG.integers(0, 256, (40, 16, 16), dtype=np.uint8)
    whole = save(tmp_path / "whole.npz", train_images=noise).read_bytes()
    stored = bytearray(save(tmp_path / "stored.npz", False, train_images=noise).read_bytes())
    stored[stored.index(noise[39].tobytes()) + 5] ^= 255
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    short = tmp_path / "short.npy"
    np.save(short, noise)
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("train_images.npy", short.read_bytes()[:-1])
    with zipfile.ZipFile(tmp_path / "header.npz", "w") as archive:
        archive.writestr("train_images.npy", b"\x93NUMPY\x01\x00\x46\x00{'descr'")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("train_images.npy", b"no array")
    (tmp_path / "end.npz").write_bytes(whole[:-40])
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "stored.npz").write_bytes(stored)
    (tmp_path / "flipped.npz").write_bytes(flipped)
    for name in ("end", "empty", "gone", "stored", "flipped", "cut", "header", "other"):
        path = tmp_path / f"{name}.npz"
        for read in (
            lambda p: read_pixels(at(p, 39)),
            lambda p: row_bytes(Blob(p), "train_images/39"),
            lambda p: read_array(Blob(p), "train_images"),
        ):
            with pytest.raises(DataError, match=rf"{name}\.npz") as error:
                read(path)
            assert "\n" not in str(error.value)


def test_a_damaged_array_is_not_read_again_for_every_row(tmp_path: Path, monkeypatch) -> None:
    noise = RNG.integers(0, 256, (99, 16, 16), dtype=np.uint8)
    path = save(tmp_path / "a.npz", False, train_images=noise)
    data = bytearray(path.read_bytes())
    data[data.index(noise[98].tobytes()) + 5] ^= 255
    path.write_bytes(data)
    calls = opens(monkeypatch)
    for row in range(50):
        read_pixels(at(path, row))
    for _ in range(5):
        with pytest.raises(DataError, match=r"a\.npz::train_images/000098.*CRC"):
            read_pixels(at(path, 98))
    assert len(calls) == 2
    np.testing.assert_array_equal(read_pixels(at(path, 0)), noise[0] / np.float32(255))
