"""dicom_tags: read once, remembered with pseudonyms only, and never in the way."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from frerec.data.manifest import Manifest
from frerec.data.pseudonyms import KEY_VARIABLE
from frerec.data.sources import dicom_tags as module
from frerec.data.sources.dicom_folder import DicomFolderSource
from frerec.errors import DataError
from layouts import dicom_folder as layout
from layouts.dicom_folder import radiograph, save


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    layout.write(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose tags are read."""
    names: list[str] = []

    def read_tags(blob, keywords):
        names.append(blob.name)
        return original(blob, keywords)

    original = module.read_tags
    monkeypatch.setattr(module, "read_tags", read_tags)
    return names


def cached(root: Path, **options: object) -> Manifest:
    return DicomFolderSource(root, cache_dir=root.parent / "cache", **options).read()


@pytest.mark.parametrize("archive", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("patient", ["PatientID", "StudyInstanceUID", "none"])
def test_tags_are_read_once_and_give_what_reading_gives(
    root: Path, reads: list[str], archive: bool, patient: str
) -> None:
    if archive:
        root = Path(shutil.make_archive(str(root), "zip", root))
    plain = DicomFolderSource(root, patient=patient).read()
    reads.clear()
    first = cached(root)
    assert len(reads) == 20
    again = cached(root, patient=patient, view=["PA"], modalities=["CR"])
    assert len(reads) == 20
    assert again.table.equals(plain.table)
    assert first.table.equals(DicomFolderSource(root).read().table)


def test_a_file_that_is_written_again_is_read_again(root: Path, reads: list[str]) -> None:
    before = cached(root).table.set_index("image")["group"]
    reads.clear()
    save(radiograph(77, patient="PAT-of-another"), root / "normal/0.dcm")
    after = cached(root).table.set_index("image")["group"]
    assert reads == [str(root / "normal/0.dcm")]
    assert [name for name in before.index if before[name] != after[name]] == ["normal/0.dcm"]


def test_another_secret_takes_no_pseudonyms_of_the_former(
    root: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_groups = cached(root).table["group"]
    monkeypatch.setenv(KEY_VARIABLE, "a secret")
    reads.clear()
    secret = cached(root).table
    assert len(reads) == 20
    assert secret.equals(DicomFolderSource(root).read().table)
    assert set(open_groups) & set(secret["group"]) == {
        f"image:{c}/IM000007" for c in layout.EXPECTED
    }
    monkeypatch.delenv(KEY_VARIABLE)
    reads.clear()
    assert cached(root).table["group"].equals(open_groups)
    assert reads == []


def test_no_identifier_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a secret")
    cached(root)
    files = list((root.parent / "cache").iterdir())
    assert [path.name for path in files] == ["dicom_tags.sqlite"]
    kept = files[0].read_bytes()
    assert b"NumberOfFrames" in kept
    for raw in (b"PAT-", b"Name^Of", b"1.2.826.0.1.3680043", b"a secret", b"normal/"):
        assert raw not in kept


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"PatientID": "PAT-00"}', "null", b"\xff"])
def test_what_is_kept_damaged_is_read_again(root: Path, reads: list[str], text: object) -> None:
    expected = cached(root).table
    with sqlite3.connect(root.parent / "cache/dicom_tags.sqlite") as store:
        store.execute("UPDATE texts SET text = ?", (text,))
    store.close()
    reads.clear()
    assert cached(root).table.equals(expected)
    assert len(reads) == 20
    assert cached(root).table.equals(expected)
    assert len(reads) == 20


@pytest.mark.parametrize("trouble", ["no_database", "a_folder", "no_folder", "other_columns"])
def test_a_cache_that_cannot_be_used_is_passed_over(root: Path, trouble: str) -> None:
    expected = DicomFolderSource(root).read().table
    cache = root.parent / "cache"
    if trouble == "no_folder":
        cache.write_text("a file")
    else:
        cache.mkdir()
    if trouble == "no_database":
        (cache / "dicom_tags.sqlite").write_bytes(b"no database" * 500)
    if trouble == "a_folder":
        (cache / "dicom_tags.sqlite").mkdir()
    if trouble == "other_columns":
        with sqlite3.connect(cache / "dicom_tags.sqlite") as store:
            store.execute("CREATE TABLE texts (something TEXT)")
        store.close()
    assert cached(root).table.equals(expected)


def test_files_that_cannot_be_read_are_not_remembered(root: Path, reads: list[str]) -> None:
    (root / "normal/bad.dcm").write_bytes(b"not DICOM at all" * 40)
    for _ in range(2):
        reads.clear()
        assert "normal/bad.dcm" in set(cached(root, on_error="skip").table["image"])
        assert str(root / "normal/bad.dcm") in reads
    assert reads == [str(root / "normal/bad.dcm")]
    with pytest.raises(DataError, match=r"bad\.dcm: not a DICOM file"):
        cached(root)


def test_a_table_of_uids_is_met_from_what_is_kept(root: Path, reads: list[str]) -> None:
    (root / "labels.csv").write_text(
        "image,label\n1.2.826.0.1.3680043.8.498.1,a\n1.2.826.0.1.3680043.8.498.2,b\n"
    )
    first = cached(root, labels="labels.csv").table
    reads.clear()
    assert cached(root, labels="labels.csv").table.equals(first)
    assert reads == []
    assert first["label"].tolist() == ["a", "b"]
