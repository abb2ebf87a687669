"""address: files, archive members and positions, and nothing outside of their root."""

import hashlib
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from frerec.data.address import IMAGE_MEMBER_LIMIT, Blob, open_archive, parse_address, suffix_of
from frerec.data.readers import PIXEL_LIMIT
from frerec.errors import DataError


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name.replace("_slash_", "/"), data)
    return path


@pytest.mark.parametrize(
    ("text", "file", "member", "index"),
    [
        ("a/1.png", "a/1.png", "", ""),
        ("v.nii.gz::077", "v.nii.gz", "", "077"),
        ("a.zip::b/1.png", "a.zip", "b/1.png", ""),
        ("A.ZIP::b/v.nii::3", "A.ZIP", "b/v.nii", "3"),
        ("s.npz::train_images/000001", "s.npz", "", "train_images/000001"),
    ],
)
def test_an_address_has_a_file_a_member_and_a_position(text, file, member, index) -> None:
    address = parse_address(Path("/data set"), text)
    assert address.blob == Blob(Path("/data set") / file, member)
    assert address.index == index
    assert address.name == f"/data set/{text}"


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd",
        "../x.png",
        "a/../../x.png",
        "C:\\x.png",
        "a\\..\\..\\x.png",
        "a.zip::../x.png",
        "a.zip::/etc/passwd",
    ],
)
def test_no_address_leads_out_of_its_root(text: str) -> None:
    with pytest.raises(DataError, match=r"absolute path|may not lead out"):
        parse_address(Path("/data set"), text)


@pytest.mark.parametrize("text", ["a.png::1::2", "a.zip::b.nii::1::2", "a.png::"])
def test_an_address_has_no_more_parts(text: str) -> None:
    with pytest.raises(DataError, match="expected FILE"):
        parse_address(Path("/data set"), text)


def test_a_member_is_read_like_a_file(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(5000)
    plain = tmp_path / "1.bin"
    plain.write_bytes(data)
    for blob in (Blob(plain), Blob(archive(tmp_path / "a.zip", x=data), "x")):
        assert blob.exists()
        assert blob.size() == 5000
        assert blob.read() == data
        assert blob.sha256() == hashlib.sha256(data).hexdigest()
        with blob.stream() as file:
            assert file.read(7) == data[:7]
        with blob.open() as file:
            file.seek(100)
            assert file.read(5) == data[100:105]
    assert not Blob(tmp_path / "a.zip", "y").exists()
    assert not Blob(tmp_path / "no.zip", "x").exists()


def test_an_archive_is_read_from_many_threads(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = {f"m{k}": rng.bytes(20_000) for k in range(40)}
    path = archive(tmp_path / "a.zip", **data)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda name: Blob(path, name).read(), list(data) * 5))
    assert read == list(data.values()) * 5


def test_an_archive_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", x=b"old")
    assert Blob(path, "x").read() == b"old"
    archive(path, x=b"newer")
    assert Blob(path, "x").read() == b"newer"


def test_what_is_wrong_with_an_archive_names_the_member(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", x=b"A" * 3000, y=b"B" * 10)
    with pytest.raises(DataError, match=r"a\.zip::z: no such member"):
        Blob(path, "z").read()
    raw = bytearray(path.read_bytes())
    info = open_archive(path).getinfo("x")
    raw[info.header_offset + 35] ^= 0xFF  # in the compressed bytes
    path.write_bytes(raw)
    for read in (Blob(path, "x").read, Blob(path, "x").sha256):
        with pytest.raises(DataError, match=r"a\.zip::x: cannot be read .*data\.on_error=skip"):
            read()
    (tmp_path / "no.zip").write_bytes(b"text")
    with pytest.raises(DataError, match=r"no\.zip: cannot be read as a zip archive"):
        Blob(tmp_path / "no.zip", "x").read()
    with pytest.raises(DataError, match=r"gone\.zip: no such file"):
        Blob(tmp_path / "gone.zip", "x").read()


def test_a_member_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch) -> None:
    names = ["IM0001", "1.2.840.77", "x.PNG", "x.jpeg", "x.tif", "x.dcm", "x.nii.gz", "x.npz"]
    path = archive(tmp_path / "bomb.zip", **dict.fromkeys(names, b"\0" * 100_000))
    assert path.stat().st_size < 5000
    monkeypatch.setattr("frerec.data.address.IMAGE_MEMBER_LIMIT", 50_000)
    for name in names[:-2]:
        for read in (Blob(path, name).open, Blob(path, name).read):
            with pytest.raises(DataError, match=rf"bomb\.zip::{name}: .* more than the limit"):
                read()
    for name in names[-2:]:  # of many images, which may be larger
        assert len(Blob(path, name).read()) == 100_000
    monkeypatch.setattr("frerec.data.address.MEMBER_LIMIT", 50_000)
    with pytest.raises(DataError, match=r"bomb\.zip::x\.npz: .* more than the limit"):
        Blob(path, "x.npz").open()
    assert IMAGE_MEMBER_LIMIT > 6 * PIXEL_LIMIT


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_member_is_held_once(tmp_path: Path, kind: int) -> None:
    rng = np.random.default_rng(0)
    whole = b"".join(rng.bytes(10_000) * 100 for _ in range(32))
    size = len(whole)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as file:
        file.writestr("x.png", whole)
    blob = Blob(tmp_path / "a.zip", "x.png")
    for read in (blob.open, blob.read):
        tracemalloc.start()
        data = read()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1.5 * size
        assert (data if isinstance(data, bytes) else data.getvalue()) == whole
        del data


@pytest.mark.parametrize("text", ["T::1.png", "no/T::a/1.JPG", "a.zip::T::1.tif", "a.png::1::2"])
def test_a_name_with_the_separator_has_to_be_changed(text: str) -> None:
    with pytest.raises(DataError, match=rf"{text}: .*cannot be addressed.* rename"):
        parse_address(Path("/data set"), text)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a/b.PNG", ".png"), ("IM1", ""), ("1.2.840.113", ""), ("a.b/c", ""), ("v.nii.gz", ".gz")],
)
def test_the_suffix_is_what_a_name_says_of_its_format(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix
