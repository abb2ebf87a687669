"""readers.nifti: orientation by world coordinates, scaling by nibabel, one decoding a volume."""

import gzip
import io
import itertools
import struct
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frerec.data.address import Address, Blob
from frerec.data.readers import ReadOptions, nifti_volume, read_header, read_pixels
from frerec.data.readers.nifti import axial_slice, load_volume, parse_index, slice_index
from frerec.data.readers.policy import own_limits, scale_to
from frerec.errors import DataError

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(-900, 3000, (5, 6, 7)).astype(np.int16)
ALL = ReadOptions(mri_percentile=100)


@pytest.fixture(autouse=True)
def _no_volumes_from_other_tests() -> None:
    nifti_volume._volumes.clear()


def save(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None, **header) -> Path:
    """Write with nibabel; keywords set fields of the header."""
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    for field, value in header.items():
        image.header[field] = value
    nibabel.save(image, path)
    return path


def at(path: Path, k: int) -> Address:
    return Address(Blob(path), slice_index(k))


def by_world(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """[Z, Y, X] images by the coordinates of each voxel: the definition, voxel by voxel.

    World coordinates grow to the patient's right, to anterior and to superior. Image rows run from
    anterior to posterior, columns from the patient's right to left, slices from below.
    """
    indices = np.stack(np.indices(voxels.shape), -1).reshape(-1, 3)
    world = np.round(indices @ affine[:3, :3].T + affine[:3, 3], 6)
    values = [sorted(set(world[:, axis].tolist())) for axis in range(3)]
    images = np.empty([len(values[axis]) for axis in (2, 1, 0)], voxels.dtype)
    for (x, y, z), value in zip(world.tolist(), voxels.ravel(), strict=True):
        row = len(values[1]) - 1 - values[1].index(y)
        column = len(values[0]) - 1 - values[0].index(x)
        images[values[2].index(z), row, column] = value
    return images


ORIENTATIONS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product([1, -1], repeat=3)
]


def affine_of(order, flips, spacing=(1.0, 2.0, 3.5), origin=(-7.0, 4.0, 11.0)) -> np.ndarray:
    """File axis i runs along world axis order[i], forwards or backwards."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, flips, strict=True)):
        affine[world, axis] = sign * spacing[axis]
    affine[:3, 3] = origin
    return affine


@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_slices_are_axial_and_radiological_whatever_the_orientation(
    tmp_path: Path, order, flips
) -> None:
    affine = affine_of(order, flips)
    path = save(tmp_path / "a.nii", VOLUME, affine)
    expected = by_world(VOLUME, affine).astype(float)
    expected = (expected - expected.min()) / np.ptp(expected)
    for k, image in enumerate(expected):
        found = read_pixels(at(path, k), options=ALL)
        np.testing.assert_allclose(found, image, atol=1e-6)
        header = read_header(at(path, k))
        assert (header.height, header.width) == found.shape
    with pytest.raises(DataError, match="no such slice"):
        read_header(at(path, len(expected)))


@settings(max_examples=30, deadline=None)
@given(
    case=st.sampled_from(ORIENTATIONS),
    tilt=st.floats(-0.5, 0.5),
    shape=st.tuples(*[st.integers(1, 5)] * 3).filter(lambda s: np.prod(s) > 1),
)
def test_volumes_are_those_of_as_closest_canonical(tmp_path_factory, case, tilt, shape) -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    affine = turn @ affine_of(*case)
    voxels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) ** 1.5
    path = save(tmp_path_factory.mktemp("n") / "a.nii.gz", voxels, affine)
    canonical = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()
    found = load_volume(Blob(path))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, canonical, rtol=1e-6)
    for k in range(found.shape[2]):
        upright = np.flipud(np.fliplr(canonical[:, :, k].T))
        np.testing.assert_allclose(axial_slice(found, k), upright, rtol=1e-6)


@pytest.mark.parametrize("form", ["sform", "qform", "neither"])
def test_the_affine_is_the_one_that_nibabel_takes(tmp_path: Path, form: str) -> None:
    image = nibabel.Nifti1Image(VOLUME, None)
    affine = affine_of((1, 0, 2), (1, -1, 1))
    image.set_sform(affine if form == "sform" else None, code=int(form == "sform"))
    image.set_qform(affine if form == "qform" else None, code=int(form == "qform"))
    nibabel.save(image, tmp_path / "a.nii")
    canonical = nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.nii")).get_fdata()
    np.testing.assert_array_equal(load_volume(Blob(tmp_path / "a.nii")), canonical)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2", "i4", "u4", "i8", "f4", ">f8"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("scaling", [(0, 0), (0.25, 100.0), (-2.0, 5.0)])
def test_stored_types_and_scaling(tmp_path: Path, dtype: str, kind, scaling) -> None:
    stored = RNG.integers(0, 120, (4, 5, 3)).astype(dtype)
    head = kind.header_class(endianness=">" if dtype[0] == ">" else "<")
    head.set_data_dtype(stored.dtype)
    head.set_data_shape(stored.shape)
    head.set_sform(np.eye(4), code=1)
    slope, intercept = scaling
    head["scl_slope"], head["scl_inter"] = slope, intercept  # 0 says that there is no scaling
    head["vox_offset"] = len(head.binaryblock) + 4
    data = head.binaryblock + b"\0" * 4 + stored.tobytes(order="F")
    (tmp_path / "a.nii").write_bytes(data)
    slope = slope or 1
    reference = np.asarray(nibabel.load(tmp_path / "a.nii").dataobj)
    np.testing.assert_allclose(reference, stored.astype(float) * slope + intercept)
    np.testing.assert_allclose(load_volume(Blob(tmp_path / "a.nii")), reference, rtol=1e-6)
    header = read_header(at(tmp_path / "a.nii", 0))
    assert (header.format, header.mode) == ("NIfTI", np.dtype(dtype).name)
    assert (header.native_bits, header.colour) == (32, False)


@pytest.mark.parametrize("percentile", [100, 99.9, 75])
def test_all_slices_share_the_range_of_the_volume(tmp_path: Path, percentile: float) -> None:
    voxels = RNG.gamma(1.0, 300.0, (20, 21, 6)).astype(np.float32)
    voxels[:, :, 2] = 0  # an empty slice stays black
    path = save(tmp_path / "a.nii.gz", voxels)
    volume = load_volume(Blob(path))
    low, high = voxels.min(), np.percentile(voxels.astype(float), percentile)
    for k in range(6):
        found = read_pixels(at(path, k), options=ReadOptions(mri_percentile=percentile))
        image = voxels[::-1, ::-1, k].T.astype(float)
        np.testing.assert_allclose(found, np.clip((image - low) / (high - low), 0, 1), atol=1e-6)
        by_policy = scale_to(axial_slice(volume, k), *own_limits(volume, percentile))
        np.testing.assert_array_equal(found, by_policy)
    assert found.dtype == np.float32


def test_a_volume_that_is_mostly_background_still_has_a_range(tmp_path: Path) -> None:
    voxels = np.zeros((20, 20, 20), np.int16)
    voxels[3, 4, 5] = 7
    path = save(tmp_path / "a.nii", voxels)
    assert read_pixels(at(path, 5)).max() == 1
    constant = save(tmp_path / "b.nii", np.full((3, 3, 3), 4, np.int16))
    with pytest.raises(DataError, match=r"b\.nii::000: .*all values are 4; there is no image"):
        read_pixels(at(constant, 0))


def test_members_of_archives_are_streamed(tmp_path: Path) -> None:
    names = ("a.nii", "a.nii.gz")
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(save(tmp_path / name, VOLUME), f"P1/{name}")
    for name in names:
        member = Address(Blob(tmp_path / "set.zip", f"P1/{name}"), "003")
        np.testing.assert_array_equal(read_pixels(member), read_pixels(at(tmp_path / name, 3)))
        assert read_header(member) == read_header(at(tmp_path / name, 3))


def test_a_fourth_dimension_may_only_be_of_one(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", VOLUME[..., None, None])
    np.testing.assert_array_equal(load_volume(Blob(path)), VOLUME)
    for shape, found in (((2, 3, 4, 2), "2x3x4x2"), ((2, 3), "2x3")):
        path = save(tmp_path / "b.nii", np.zeros(shape, np.int16))
        with pytest.raises(DataError, match=rf"b\.nii: .*{found} voxels, expected three dimens"):
            load_volume(Blob(path))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_volumes_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    voxels = VOLUME.astype(np.float32)
    voxels[1, 2, 3] = bad
    path = save(tmp_path / "bad.nii.gz", voxels)
    assert read_header(at(path, 0)).height == 6
    for read in (lambda: read_pixels(at(path, 0)), lambda: load_volume(Blob(path))):
        with pytest.raises(DataError, match=r"bad\.nii\.gz: .*1 of 210 voxels are not finite"):
            read()


def test_slices_are_addressed_by_number(tmp_path: Path) -> None:
    path = save(tmp_path / "t1.nii.gz", VOLUME)
    np.testing.assert_array_equal(
        read_pixels(Address(Blob(path), "3")), read_pixels(Address(Blob(path), "003"))
    )
    for index, message in (
        ("", r"a volume of 7 axial slices; name one of them, t1\.nii\.gz::000 to t1\.nii\.gz::006"),
        ("007", "no such slice; expected a number from 000 to 006"),
        ("-1", "no such slice"),
        ("1.0", "no such slice"),
        ("²", "no such slice"),
    ):
        for read in (read_header, read_pixels):
            with pytest.raises(DataError, match=message):
                read(Address(Blob(path), index))
    assert slice_index(7) == "007"
    assert parse_index("007") == 7
    with pytest.raises(ValueError, match="'x', expected a number such as 077"):
        parse_index("x")


def damaged(folder: Path) -> dict[str, bytes]:
    whole = save(folder / "whole.nii", VOLUME).read_bytes()
    packed = save(folder / "whole.nii.gz", VOLUME).read_bytes()
    flipped = bytearray(gzip.compress(whole, compresslevel=0))
    flipped[600] ^= 255
    pair = bytearray(whole)
    pair[344:348] = b"ni1\0"
    dims = bytearray(whole)
    dims[42:48] = struct.pack("<3h", 5, -6, 7)
    far = bytearray(whole)
    far[108:112] = struct.pack("<f", 1e9)
    colour = nibabel.Nifti1Image(np.zeros((2, 2, 2), [(c, "u1") for c in "RGB"]), np.eye(4))
    wave = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4))
    return {
        "empty.nii": b"",
        "text.nii": b"no volume " * 100,
        "head.nii": whole[:100],
        "cut.nii": whole[:-1],
        "pair.nii": bytes(pair),
        "dims.nii": bytes(dims),
        "far.nii": bytes(far),
        "colour.nii": colour.to_bytes(),
        "wave.nii": wave.to_bytes(),
        "empty.nii.gz": b"",
        "cut.nii.gz": packed[:-20],
        "flipped.nii.gz": bytes(flipped),
        "plain.nii.gz": whole,
    }


def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    for name, data in damaged(tmp_path).items():
        (tmp_path / name).write_bytes(data)
        for read in (lambda p: read_pixels(at(p, 0)), lambda p: load_volume(Blob(p))):
            with pytest.raises(DataError) as error:
                read(tmp_path / name)
            assert name in str(error.value)
            assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=r"gone\.nii: no such file"):
        read_pixels(at(tmp_path / "gone.nii", 0))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "whole.nii", "a.nii")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[600] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip::a\.nii"):
        load_volume(Blob(tmp_path / "a.zip", "a.nii"))


def test_size_limits_hold_before_voxels_are_read(tmp_path: Path, monkeypatch) -> None:
    path = save(tmp_path / "a.nii.gz", VOLUME)
    monkeypatch.setattr(nifti_volume, "_read_voxels", None)
    for read in (read_header, read_pixels):
        with pytest.raises(DataError, match=r"a\.nii\.gz: 5x6 pixels, more than the limit of 29"):
            read(at(path, 0), options=ReadOptions(pixel_limit=29))
    nifti_volume._volumes.clear()
    monkeypatch.setattr(nifti_volume, "VOXEL_LIMIT", 209)
    with pytest.raises(DataError, match=r"a\.nii\.gz: 5x6x7 voxels, more than the limit of 209"):
        load_volume(Blob(path))


def test_no_more_is_decompressed_than_the_header_promises(tmp_path: Path, monkeypatch) -> None:
    whole = save(tmp_path / "a.nii", VOLUME).read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(whole + b"\0" * 2**27, compresslevel=1))
    taken = 0

    original = nifti_volume._open

    class Counted(io.RawIOBase):
        def __init__(self, blob):
            self.file = original(blob)

        def read(self, size=-1):
            nonlocal taken
            data = self.file.read(size)
            taken += len(data)
            return data

        def readinto(self, buffer):
            data = self.read(len(buffer))
            buffer[: len(data)] = np.frombuffer(data, np.uint8)
            return len(data)

    monkeypatch.setattr(nifti_volume, "_open", Counted)
    np.testing.assert_array_equal(load_volume(Blob(tmp_path / "bomb.nii.gz")), VOLUME)
    assert taken == 348 + len(whole) + 1


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose voxels are read from now on."""
    calls: list[str] = []
    original = nifti_volume._read_voxels

    def counted(blob, layout):
        calls.append(blob.filename)
        return original(blob, layout)

    monkeypatch.setattr(nifti_volume, "_read_voxels", counted)
    return calls


def test_four_threads_decode_each_volume_once(tmp_path: Path, monkeypatch) -> None:
    calls = counting(monkeypatch)
    names = [f"{k}.nii.gz" for k in range(3)]
    for k, name in enumerate(names):
        save(tmp_path / name, np.roll(VOLUME, k))
    addresses = [at(tmp_path / name, k) for name in names for k in range(7)]
    start = threading.Barrier(4, timeout=20)

    def work(offset: int) -> list[np.ndarray]:
        start.wait()
        return [read_pixels(a, options=ALL) for a in addresses[offset:] + addresses[:offset]]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, [0, 0, 5, 11]))
    assert sorted(calls) == names
    for offset, images in zip([0, 0, 5, 11], results, strict=True):
        for image, expected in zip(images, results[0][offset:], strict=False):
            np.testing.assert_array_equal(image, expected)


def test_a_damaged_volume_is_tried_once(tmp_path: Path, monkeypatch) -> None:
    calls = counting(monkeypatch)
    path = save(tmp_path / "a.nii.gz", VOLUME)
    path.write_bytes(path.read_bytes()[:-30])
    for k in range(7):
        with pytest.raises(DataError, match=r"a\.nii\.gz"):
            read_pixels(at(path, k))
    assert calls == ["a.nii.gz"]
    save(path, VOLUME)  # mended: another size, or another time of change
    assert read_pixels(at(path, 0)).shape == (6, 5)


def test_a_disk_that_fails_for_a_moment_is_asked_again(tmp_path: Path, monkeypatch) -> None:
    path = save(tmp_path / "a.nii.gz", VOLUME)
    read_header(at(path, 0))
    with monkeypatch.context() as patch:
        patch.setattr(
            nifti_volume, "_open", lambda blob: (_ for _ in ()).throw(OSError("stale handle"))
        )
        with pytest.raises(DataError, match=r"a\.nii\.gz: .*stale handle"):
            read_pixels(at(path, 0))
    assert read_pixels(at(path, 0)).shape == (6, 5)


def test_kept_volumes_are_bounded(tmp_path: Path, monkeypatch) -> None:
    calls = counting(monkeypatch)
    monkeypatch.setattr(nifti_volume, "KEPT_BYTES", 3 * VOLUME.nbytes)
    paths = [save(tmp_path / f"{k}.nii", VOLUME) for k in range(4)]
    for path in paths:
        read_pixels(at(path, 0))
    assert sum(volume.bytes for volume in nifti_volume._volumes.values()) == 3 * VOLUME.nbytes
    read_pixels(at(paths[3], 1))
    assert len(calls) == 4
    read_pixels(at(paths[0], 1))
    assert len(calls) == 5
