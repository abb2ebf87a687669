"""address: files, archive members and positions, and nothing outside of their root."""

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from frerec.data.address import Blob, open_archive, parse_address
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
    address = parse_address(Path("/root"), text)
    assert address.blob == Blob(Path("/root") / file, member)
    assert address.index == index
    assert address.name == f"/root/{text}"


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
        parse_address(Path("/root"), text)


@pytest.mark.parametrize("text", ["a.png::1::2", "a.zip::b.nii::1::2", "a.png::"])
def test_an_address_has_no_more_parts(text: str) -> None:
    with pytest.raises(DataError, match="expected FILE"):
        parse_address(Path("/root"), text)


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
    path = archive(tmp_path / "bomb.zip", x=b"\0" * 100_000)
    assert path.stat().st_size < 1000
    monkeypatch.setattr("frerec.data.address.MEMBER_LIMIT", 50_000)
    with pytest.raises(DataError, match=r"bomb\.zip::x: .* more than the limit"):
        Blob(path, "x").open()
