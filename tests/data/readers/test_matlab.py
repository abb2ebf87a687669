"""readers.matlab: files written with h5py in MATLAB's way, and HDF5's ways out of a file."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from frerec.data.address import Address, Blob
from frerec.data.readers import ReadOptions, matlab, read_header, read_pixels
from frerec.data.readers.matlab import read_numbers, read_scalar, read_text
from frerec.errors import DataError

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(-20, 4000, (7, 11)).astype(np.int16)
SECRET = "SECRET-PID"


def characters(text: str) -> np.ndarray:
    """A char row vector as MATLAB has it, uint16 [1, n]."""
    return np.frombuffer(text.encode("utf-16-le"), np.uint16)[None]


def save(path: Path, values: dict[str, np.ndarray], **options) -> Path:
    """Write matrices [rows, columns] as MATLAB 7.3 does: column-major behind 512 bytes of text."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, matrix in values.items():
            file.create_dataset(name, data=np.asarray(matrix).T, **options)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64, HDF5 schema 1.00 .".ljust(124))
        raw.write(b"\0\2IM")
    return path


def sample(path: Path, image: np.ndarray = IMAGE, **options) -> Path:
    return save(
        path,
        {
            "cjdata/label": np.array([[3.0]]),
            "cjdata/PID": characters("100360"),
            "cjdata/image": image,
            "cjdata/tumorMask": (image > 0).astype(np.uint8),
        },
        **options,
    )


def stretched(image: np.ndarray, percentile: float = 100) -> np.ndarray:
    image = image.astype(float)
    low, high = image.min(), np.percentile(image, percentile)
    return np.clip((image - low) / (high - low), 0, 1)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "shuffle": True}])
@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint16", "float32", ">f8", "bool"])
def test_images_are_upright_and_stretched_from_their_own_range(
    tmp_path: Path, dtype: str, options
) -> None:
    image = (IMAGE > 1500 if dtype == "bool" else IMAGE % 200).astype(dtype)
    path = sample(tmp_path / "1.mat", image, **options)
    for percentile in (100, 90):
        choice = ReadOptions(mri_percentile=percentile)
        found = read_pixels(path, options=choice)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, stretched(image, percentile), atol=1e-6)
    header = read_header(path)
    assert (header.height, header.width) == IMAGE.shape
    assert (header.format, header.mode) == ("MAT", np.dtype(dtype).name)
    assert (header.native_bits, header.colour) == (32, False)


def test_an_index_names_another_dataset(tmp_path: Path) -> None:
    path = sample(tmp_path / "1.mat")
    for name in ("cjdata/tumorMask", "/cjdata/tumorMask"):
        found = read_pixels(Address(Blob(path), name))
        np.testing.assert_array_equal(found, IMAGE > 0)
    for name, message in (
        ("cjdata/none", r"no dataset cjdata/none; /cjdata has PID, image, label, tumorMask;"),
        ("other", r"no dataset other; / has cjdata; name another one, 1\.mat::GROUP/DATASET"),
        ("cjdata", "cjdata is a group, not a dataset"),
        ("cjdata/image/x", "no dataset cjdata/image/x"),
    ):
        for read in (read_header, read_pixels):
            with pytest.raises(DataError, match=rf"1\.mat.*{message}"):
                read(Address(Blob(path), name))


def test_members_of_archives(tmp_path: Path) -> None:
    path = sample(tmp_path / "1.mat")
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "data/1.mat")
    blob = Blob(tmp_path / "set.zip", "data/1.mat")
    np.testing.assert_array_equal(read_pixels(Address(blob)), read_pixels(path))
    assert read_scalar(blob, "cjdata/label") == 3
    assert read_text(blob, "cjdata/PID") == "100360"


def test_labels_texts_and_numbers(tmp_path: Path) -> None:
    folds = RNG.integers(1, 6, (30, 1)).astype(float)
    path = save(
        tmp_path / "cvind.mat",
        {
            "cvind": folds,
            "row": folds.T,
            "column": characters(SECRET).T,
            "padded": characters("  MR\u03a9 1\0"),
            "one": np.array([[7]], np.uint8),
        },
    )
    np.testing.assert_array_equal(read_numbers(Blob(path), "cvind"), folds)
    np.testing.assert_array_equal(read_numbers(Blob(path), "row"), folds.T)
    assert read_text(Blob(path), "column") == SECRET
    assert read_text(Blob(path), "padded") == "MR\u03a9 1"
    assert read_scalar(Blob(path), "one") == 7.0
    for read, name, message in (
        (read_scalar, "cvind", "cvind holds 30 numbers, expected one"),
        (read_text, "cvind", "cvind holds float64, expected characters"),
        (read_numbers, "gone", "no dataset gone"),
    ):
        with pytest.raises(DataError, match=rf"cvind\.mat: .*{message}"):
            read(Blob(path), name)


def test_a_text_is_never_part_of_a_message(tmp_path: Path) -> None:
    broken = characters(SECRET).copy()
    broken[0, 3] = 0xD800
    path = save(tmp_path / "a.mat", {"PID": broken})
    for read in (read_text, read_scalar):
        with pytest.raises(DataError) as error:
            read(Blob(path), "PID")
        assert "SEC" not in str(error.value)


def test_older_versions_are_named(tmp_path: Path) -> None:
    savemat(tmp_path / "old.mat", {"cjdata": {"image": IMAGE}})
    (tmp_path / "other.mat").write_bytes(b"no matrix" * 100)
    (tmp_path / "empty.mat").write_bytes(b"")
    for name, message in (
        ("old", r"a MATLAB file before version 7\.3; save it again with save\(\.\.\., '-v7\.3'\)"),
        ("other", r"not a MATLAB 7\.3 \(HDF5\) file"),
        ("empty", r"not a MATLAB 7\.3 \(HDF5\) file"),
        ("gone", "no such file"),
    ):
        path = tmp_path / f"{name}.mat"
        for read in (read_header, read_pixels, lambda p: read_scalar(Blob(p), "cjdata/label")):
            with pytest.raises(DataError, match=rf"{name}\.mat: {message}"):
                read(path)


def test_damaged_files_are_named_in_one_line(tmp_path: Path) -> None:
    whole = sample(tmp_path / "1.mat", compression="gzip", fletcher32=True).read_bytes()
    flipped = bytearray(whole)
    with h5py.File(tmp_path / "1.mat") as file:
        _, chunk = file["cjdata/image"].id.read_direct_chunk((0, 0))
    flipped[whole.index(chunk) + 20] ^= 255
    for data in (whole[:600], whole[: len(whole) // 2], bytes(flipped)):
        path = tmp_path / "bad.mat"
        path.write_bytes(data)
        for read in (read_pixels, lambda p: read_numbers(Blob(p), "cjdata/image")):
            with pytest.raises(DataError, match=r"bad\.mat") as error:
                read(path)
            assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 3, 4)), "2x3x4 elements, expected two dimensions"),
        (np.zeros(5), "5 elements, expected two dimensions"),
        (np.zeros((3, 4), np.complex128), "type complex128, expected real numbers"),
        (np.zeros((3, 4), [("a", "u1"), ("b", "f8")]), "expected real numbers"),
        (np.zeros((0, 4)), "empty"),
        (np.full((3, 4), 9.0), "all values are 9; there is no image"),
        (np.array([[1.0, np.nan], [2, 3]]), "1 of 4 values are not finite"),
        (np.array([[1.0, np.inf], [2, 3]]), "1 of 4 values are not finite"),
    ],
)
def test_only_matrices_of_finite_real_numbers_are_images(tmp_path: Path, image, message) -> None:
    with pytest.raises(DataError, match=rf"1\.mat: .*{message}"):
        read_pixels(save(tmp_path / "1.mat", {"cjdata/image": image}))


def test_size_limits_hold_before_pixels_are_read(tmp_path: Path, monkeypatch) -> None:
    path = sample(tmp_path / "1.mat")
    for read in (read_header, read_pixels):
        with pytest.raises(DataError, match=r"1\.mat: 11x7 pixels, more than the limit of 76"):
            read(path, options=ReadOptions(pixel_limit=76))
    monkeypatch.setattr(matlab, "NUMBERS_LIMIT", 76)
    with pytest.raises(DataError, match="77 numbers, more than the limit of 76"):
        read_numbers(Blob(path), "cjdata/image")
    # A few numbers in a chunk that unpacks to gigabytes.
    with h5py.File(tmp_path / "chunk.mat", "w") as file:
        options = {"maxshape": (None, None), "chunks": (2**14, 2**14), "compression": "gzip"}
        file.create_dataset("cjdata/image", (2, 2), "f8", **options)
    with pytest.raises(DataError, match="chunks of 2147483648 bytes, more than the limit"):
        read_pixels(tmp_path / "chunk.mat")


def other_file(folder: Path) -> Path:
    """What an attacker would like to be read: another HDF5 file, and one of raw bytes."""
    (folder / "secret.raw").write_bytes(b"\x01\x02" * 77)
    return save(folder / "secret.mat", {"image": IMAGE})


def external_link(file: h5py.File, folder: Path) -> None:
    file["cjdata/image"] = h5py.ExternalLink(str(folder / "secret.mat"), "/image")


def external_group(file: h5py.File, folder: Path) -> None:
    file["cjdata"] = h5py.ExternalLink(str(folder / "secret.mat"), "/")


def soft_link(file: h5py.File, folder: Path) -> None:
    file["out"] = h5py.ExternalLink(str(folder / "secret.mat"), "/")
    file["cjdata/image"] = h5py.SoftLink("/out/image")


def external_storage(file: h5py.File, folder: Path) -> None:
    where = [(str(folder / "secret.raw"), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("cjdata/image", (11, 7), "i2", external=where)


def virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((11, 7), "i2")
    layout[:] = h5py.VirtualSource(str(folder / "secret.mat"), "image", (11, 7))
    file.create_virtual_dataset("cjdata/image", layout)


def soft_link_to_virtual(file: h5py.File, folder: Path) -> None:
    virtual(file, folder)
    file.move("cjdata/image", "hidden")
    file["cjdata/image"] = h5py.SoftLink("/hidden")


@pytest.mark.parametrize(
    "way",
    [external_link, external_group, soft_link, external_storage, virtual, soft_link_to_virtual],
    ids=lambda way: way.__name__,
)
def test_no_other_file_is_read(tmp_path: Path, way) -> None:
    other_file(tmp_path)
    with h5py.File(tmp_path / "evil.mat", "w") as file:
        way(file, tmp_path)
    with h5py.File(tmp_path / "evil.mat") as file:
        assert file["cjdata/image"][()].shape == (11, 7)  # h5py itself would read it
    for read in (read_header, read_pixels, lambda p: read_numbers(Blob(p), "cjdata/image")):
        with pytest.raises(DataError, match=r"evil\.mat: .*(not followed|not read)"):
            read(tmp_path / "evil.mat")
