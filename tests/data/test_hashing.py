"""hashing: sha256 of what an address holds, kept until the file is written again."""

import hashlib
import os
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest

from frerec.data import address
from frerec.data.hashing import hash_images
from frerec.data.manifest import Manifest
from frerec.errors import DataError


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest(root: Path, *images: str) -> Manifest:
    return Manifest.build(root, images=list(images), labels=["x"] * len(images))


@pytest.fixture
def files(tmp_path: Path) -> Manifest:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 3)
    return manifest(tmp_path, "a", "b", "c")


def test_a_file_and_a_member_are_hashed_by_their_bytes(tmp_path: Path, files: Manifest) -> None:
    assert hash_images(files).table["hash"].tolist() == [sha(b"aaa"), sha(b"bbb"), sha(b"ccc")]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("m", b"aaa")
    assert hash_images(manifest(tmp_path, "z.zip::m")).table["hash"].tolist() == [sha(b"aaa")]


def test_positions_in_a_file_differ_and_array_rows_go_by_their_pixels(tmp_path: Path) -> None:
    (tmp_path / "v.nii").write_bytes(b"volume")
    (tmp_path / "w.nii").write_bytes(b"volume")
    table = hash_images(manifest(tmp_path, "v.nii::1", "v.nii::2", "w.nii::1")).table
    one, two, copy = table["hash"]
    assert one == copy != two
    rows = np.random.default_rng(0).integers(0, 256, (3, 4, 4), dtype=np.uint8)
    rows[2] = rows[0]
    np.savez(tmp_path / "s.npz", x=rows)
    first, other, again = hash_images(
        manifest(tmp_path, *(f"s.npz::x/{k}" for k in range(3)))
    ).table["hash"]
    assert first == again != other


def test_hashes_are_kept_until_a_file_changes(tmp_path: Path, files: Manifest, monkeypatch) -> None:
    read: list[str] = []
    original = address.Blob.sha256

    def counted(blob: address.Blob) -> str:
        read.append(blob.filename)
        return original(blob)

    monkeypatch.setattr(address.Blob, "sha256", counted)
    cache = tmp_path / "deep" / "hashes.sqlite"
    first = hash_images(files, cache=cache)
    assert sorted(read) == ["a", "b", "c"]
    assert hash_images(files, cache=cache).table.equals(first.table)
    assert len(read) == 3
    before = (tmp_path / "b").stat()
    (tmp_path / "b").write_bytes(b"BBB")  # the same size
    os.utime(tmp_path / "b", ns=(before.st_atime_ns, before.st_mtime_ns))  # as restoring tools do
    assert hash_images(files, cache=cache).table["hash"].iat[1] == sha(b"BBB")
    assert read[3:] == ["b"]


def test_a_cache_that_cannot_be_used_is_passed_over(tmp_path: Path, files: Manifest) -> None:
    broken = tmp_path / "hashes.sqlite"
    broken.write_bytes(b"not a database" * 100)
    assert hash_images(files, cache=broken).table["hash"].iat[0] == sha(b"aaa")
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as store:
        store.execute("CREATE TABLE hashes (something TEXT)")
    assert hash_images(files, cache=foreign).table["hash"].iat[0] == sha(b"aaa")


def test_a_missing_file_is_named(tmp_path: Path, files: Manifest) -> None:
    (tmp_path / "b").unlink()
    with pytest.raises(DataError, match=r"b: no such file"):
        hash_images(files)
