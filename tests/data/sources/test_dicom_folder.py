"""dicom_folder: which files, which labels, which patients, and what is wrong with them."""

import logging
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.pseudonyms import pseudonym
from frerec.data.readers import read_image
from frerec.data.sources.dicom_folder import DicomFolderSource
from frerec.errors import ConfigError, DataError
from layouts import dicom_folder as layout
from layouts.dicom_folder import radiograph, save


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    layout.write(tmp_path / "set")
    return tmp_path / "set"


def rows(manifest: Manifest) -> list[tuple[str, str, str]]:
    table = manifest.table
    return list(zip(table["image"], table["label"], table["split"], strict=True))


def group_of(patient: str) -> str:
    """A pseudonym is all that the manifest is given, and makes a pseudonym of."""
    return pseudonym(pseudonym(patient))


def few(root: Path, *names: str, **tags: object) -> Path:
    """A file of a patient of its own under each name."""
    for seed, name in enumerate(names, start=1):
        save(radiograph(seed, patient=f"PAT-{seed}", **tags), root / name)
    return root


def test_files_are_found_with_and_without_suffix_and_labelled_by_folder(root: Path) -> None:
    manifest = DicomFolderSource(root).read()
    validate(manifest)
    assert Counter(manifest.table["label"]) == layout.EXPECTED
    assert manifest.classes == ("normal", "cardiomegaly")
    names = {f"{k}.dcm" if k % 3 == 0 else f"IM{k:06d}" for k in range(10) if k % 3 != 2}
    names |= {f"deep/{k}.DCM" for k in range(10) if k % 3 == 2}
    expected = {(f"{c}/{name}", c, "") for c in layout.EXPECTED for name in names}
    assert set(rows(manifest)) == expected
    for i in range(len(manifest)):
        assert read_image(manifest.address(i), channels=1).shape == (1, 40, 36)


def test_patients_are_those_of_the_tag_and_never_shown(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        manifest = DicomFolderSource(root).read()
    group = dict(zip(manifest.table["image"], manifest.table["group"], strict=True))
    assert group["normal/0.dcm"] == group["normal/deep/8.DCM"] == group_of("PAT-00")
    assert group["normal/IM000007"] == "image:normal/IM000007"
    assert len(set(group.values())) == 16
    assert "2 of 20 DICOM files have no PatientID" in caplog.text
    assert "PAT" not in caplog.text + manifest.table.to_csv()


def test_where_ids_were_all_replaced_by_one_that_is_said_and_another_tag_can_be_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for k, name in enumerate(("a/1.dcm", "a/2.dcm", "b/3.dcm", "b/4.dcm")):
        study = f"1.2.{k // 2}"
        save(radiograph(k, patient="ANON", StudyInstanceUID=study), tmp_path / name)
    assert len(set(DicomFolderSource(tmp_path).read().table["group"])) == 1
    assert "all 4 DICOM files that have a PatientID have the same" in caplog.text
    assert "ANON" not in caplog.text
    caplog.clear()
    studies = DicomFolderSource(tmp_path, patient="StudyInstanceUID").read().table["group"].tolist()
    assert studies[0] == studies[1] != studies[2] == studies[3]
    assert len(set(DicomFolderSource(tmp_path, patient="none").read().table["group"])) == 4
    assert caplog.text == ""


def test_an_archive_is_read_as_the_folder_is(root: Path) -> None:
    archive = shutil.make_archive(str(root.parent / "archive"), "zip", root)
    folder, zipped = DicomFolderSource(root).read(), DicomFolderSource(archive).read()
    validate(zipped)
    assert zipped.table["image"].tolist() == [f"archive.zip::{i}" for i in folder.table["image"]]
    assert zipped.table["label"].equals(folder.table["label"])
    assert read_image(zipped.address(1), channels=1).equal(
        read_image(folder.address(1), channels=1)
    )


def test_names_that_are_uids_have_no_suffix(tmp_path: Path) -> None:
    few(tmp_path, "a/1.2.826.0.1", "b/1.2.826.0.2")
    (tmp_path / "a/1.2.826.0.3").write_bytes(b"no DICOM file" * 30)
    (tmp_path / "a/notes.txt").write_bytes((tmp_path / "a/1.2.826.0.1").read_bytes())
    manifest = DicomFolderSource(tmp_path).read()
    assert [image for image, _, _ in rows(manifest)] == ["a/1.2.826.0.1", "b/1.2.826.0.2"]


def test_folders_with_a_level_of_splits(tmp_path: Path) -> None:
    few(tmp_path, "Training/a/1.dcm", "Training/b/p/s/2.dcm", "TEST/a/3.dcm", "TEST/b/4")
    assert rows(DicomFolderSource(tmp_path, dataset="mine").read()) == [
        ("TEST/a/3.dcm", "a", "test"),
        ("TEST/b/4", "b", "test"),
        ("Training/a/1.dcm", "a", "train"),
        ("Training/b/p/s/2.dcm", "b", "train"),
    ]
    few(tmp_path, "TEST/5.dcm")
    with pytest.raises(DataError, match=r"TEST/5\.dcm: this file is in no class folder"):
        DicomFolderSource(tmp_path).read()
    (tmp_path / "TEST/5.dcm").unlink()
    few(tmp_path, "extra/a/6.dcm")
    with pytest.raises(DataError, match=r"folder TEST is named like a split, but extra beside"):
        DicomFolderSource(tmp_path).read()


@pytest.mark.parametrize(
    "names",
    [
        ("p1/1.dcm", "p1/deep/IM2", "p2/3.dcm"),
        ("p1/1", "p1/deep/IM2", "p2/3"),
        ("1.dcm", "IM2", "3"),
        ("1.2.826.0.1.3680043.8.498.1", "IM2", "1.2.826.0.1.3680043.8.498.3"),
    ],
    ids=["paths", "paths_without_suffix", "names", "uids"],
)
def test_a_table_names_files_by_path_name_or_uid(
    tmp_path: Path, names: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    few(tmp_path, "p1/1.dcm", "p1/deep/IM2", "p2/3.dcm", "p2/4.dcm")
    lines = zip(names, ("ill", "healthy", "ill"), ("train", "", "Testing"), strict=True)
    text = "image,label,split\n" + "".join(",".join(line) + "\n" for line in lines)
    (tmp_path / "labels.csv").write_text(text)
    with caplog.at_level(logging.INFO):
        manifest = DicomFolderSource(tmp_path, labels="labels.csv").read()
    assert rows(manifest) == [
        ("p1/1.dcm", "ill", "train"),
        ("p1/deep/IM2", "healthy", ""),
        ("p2/3.dcm", "ill", "test"),
    ]
    assert set(manifest.table["group"]) == {group_of(f"PAT-{k}") for k in (1, 2, 3)}
    assert "1 of 4 DICOM files are not listed" in caplog.text


def test_other_columns_and_a_label_map(tmp_path: Path) -> None:
    few(tmp_path, "1.dcm", "2.dcm", "3.dcm")
    (tmp_path / "t.csv").write_text("file,grade,part\n1,0,train\n2,1,test\n3,NA,test\n")
    columns = {"labels": "t.csv", "image_column": "file", "label_column": "grade"}
    label_map = {0: "healthy", "1": "ill", "NA": None}
    source = DicomFolderSource(tmp_path, split_column="part", label_map=label_map, **columns)
    assert rows(source.read()) == [("1.dcm", "healthy", "train"), ("2.dcm", "ill", "test")]
    unsplit = DicomFolderSource(tmp_path, split_column=None, **columns).read()
    assert [split for _, _, split in rows(unsplit)] == ["", "", ""]
    with pytest.raises(DataError, match=r"t\.csv: data\.label_map lacks the labels 1, NA"):
        DicomFolderSource(tmp_path, label_map={"0": "healthy"}, **columns).read()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("file,label\n1,a\n", {}, r"no column image; it has file, label; .*data\.image_column"),
        ("image,y\n1,a\n", {}, r"no column label"),
        ("image,label\n1,a\n", {"split_column": "part"}, r"no column part"),
        ("image,label\n1,a\n,b\n", {}, r"line 3 has no image"),
        ("image,label\n1,\n", {}, r"line 2 has no label"),
        ("image,label,split\n1,a,holdout\n", {}, r"line 2 has split 'holdout'"),
        ("image,label\nX,a\nY,b\n", {}, r"none of its 2 names .*SOPInstanceUID.*for example X"),
        ("image,label\nsame,a\n", {}, r"same may be p1/same or p2/same; write the path"),
        ("image,label\n", {}, r"labels\.csv: no images; the table or the label map is empty"),
        ("image,label\n1,a\n", {"label_map": {"a": None}}, r"no images; the table or the label"),
        ("image,label\n1,a\n", {"labels": "other.csv"}, r"other\.csv: no such file"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, text, options, message) -> None:
    few(tmp_path, "1.dcm", "p1/same", "p2/same")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        DicomFolderSource(tmp_path, **{"labels": "labels.csv", **options}).read()
    assert "\n" not in str(error.value)


def test_a_file_that_the_table_names_and_the_disk_lacks_is_found_missing(tmp_path: Path) -> None:
    few(tmp_path, "1.dcm", "2.dcm")
    (tmp_path / "labels.csv").write_text("image,label\n1.dcm,a\n2.dcm,b\ngone/3.dcm,b\n")
    manifest = DicomFolderSource(tmp_path, labels="labels.csv").read()
    assert len(manifest) == 3
    with pytest.raises(DataError, match=r"gone/3\.dcm: no such file; 1 of the 3"):
        validate(manifest)


def test_views_and_modalities_are_chosen_by_their_tags(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tags = [("PA", "CR"), ("AP", "DX"), ("LL", "DX"), ("", "OT")]
    for k, (view, modality) in enumerate(tags):
        save(radiograph(k, patient=f"P{k}", view=view, Modality=modality), tmp_path / f"c/{k}.dcm")

    def chosen(**options: object) -> list[str]:
        return [image[2] for image, _, _ in rows(DicomFolderSource(tmp_path, **options).read())]

    assert chosen() == ["0", "1", "2", "3"]
    assert chosen(view="pa") == ["0"]
    assert chosen(view=["PA", "AP"]) == ["0", "1"]
    assert chosen(modalities=["DX"]) == ["1", "2"]
    with caplog.at_level(logging.INFO):
        assert chosen(view="AP", modalities="DX") == ["1"]
    assert "3 of 4 files left out: ViewPosition not AP, Modality not DX" in caplog.text
    with pytest.raises(DataError, match=r"no labelled file has ViewPosition RL \(found .*blank 1"):
        chosen(view="RL")


def test_frames_of_a_file_of_many_are_addressed_in_order(tmp_path: Path) -> None:
    few(tmp_path, "a/1.dcm", "b/2.dcm")
    ds = radiograph(3, patient="PAT-3")
    frames = np.stack([np.full((40, 36), 1000 * k, dtype=np.uint16) for k in range(4)])
    ds.NumberOfFrames, ds.PixelData = 4, frames.tobytes()
    save(ds, tmp_path / "b/many.dcm")
    with pytest.raises(DataError, match=r"b/many\.dcm: holds 4 frames; .*data\.frames=all"):
        DicomFolderSource(tmp_path).read()
    first = DicomFolderSource(tmp_path, frames="first").read()
    assert [image for image, _, _ in rows(first)][-1] == "b/many.dcm::000"
    manifest = DicomFolderSource(tmp_path, frames="all").read()
    validate(manifest)
    assert [i for i, _, _ in rows(manifest)][2:] == [f"b/many.dcm::{k:03d}" for k in range(4)]
    assert set(manifest.table["group"][2:]) == {group_of("PAT-3")}
    means = [float(read_image(manifest.address(i), channels=1).mean()) for i in range(2, 6)]
    np.testing.assert_allclose(means, np.arange(4) * 1000 / 4095, atol=1e-6)


def test_a_corrupt_file_is_named_or_kept_to_be_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few(tmp_path, "a/1.dcm", "a/2.dcm", "b/3.dcm")
    (tmp_path / "b/bad.dcm").write_bytes(b"not DICOM at all" * 40)
    with pytest.raises(DataError, match=r"b/bad\.dcm: not a DICOM file.*data\.on_error=skip"):
        DicomFolderSource(tmp_path).read()
    manifest = DicomFolderSource(tmp_path, on_error="skip", view="PA").read()
    assert rows(manifest)[-2:] == [("b/3.dcm", "b", ""), ("b/bad.dcm", "b", "")]
    assert manifest.table["group"].iat[-1] == "image:b/bad.dcm"
    assert "have no PatientID" not in caplog.text
    (tmp_path / "labels.csv").write_text(
        "image,label\n1.2.826.0.1.3680043.8.498.1,x\n1.2.826.0.1.3680043.8.498.3,y\n"
    )
    with pytest.raises(DataError, match=r"b/bad\.dcm: not a DICOM file"):
        DicomFolderSource(tmp_path, labels="labels.csv").read()
    by_uid = DicomFolderSource(tmp_path, labels="labels.csv", on_error="skip").read()
    assert rows(by_uid) == [("a/1.dcm", "x", ""), ("b/3.dcm", "y", "")]
    assert "1 DICOM files cannot be read" in caplog.text
    assert "b/bad.dcm" in caplog.text


@pytest.mark.parametrize("frames", ["all", "first", "refuse"])
def test_numbers_of_frames_beyond_belief_are_an_error(tmp_path: Path, frames: str) -> None:
    few(tmp_path, "a/1.dcm", "b/2.dcm")
    save(radiograph(3, patient="PAT-3", NumberOfFrames=100_001), tmp_path / "b/3.dcm")
    with pytest.raises(DataError, match=r"b/3\.dcm: NumberOfFrames is more than 100000"):
        DicomFolderSource(tmp_path, frames=frames).read()
    manifest = DicomFolderSource(tmp_path, frames=frames, on_error="skip").read()
    assert [image for image, _, _ in rows(manifest)] == ["a/1.dcm", "b/2.dcm", "b/3.dcm"]
    save(radiograph(3, patient="PAT-3", NumberOfFrames=100_000), tmp_path / "b/3.dcm")
    assert len(DicomFolderSource(tmp_path, frames="all").read()) == 100_002


def test_a_root_without_dicom_files_is_said(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"data\.root=.*: no DICOM files; expected \.dcm, \.dicom"):
        DicomFolderSource(tmp_path).read()
    with pytest.raises(DataError, match=r"gone: no such folder"):
        DicomFolderSource(tmp_path / "gone").read()


@pytest.mark.parametrize("key", ["frames", "patient", "on_error"])
def test_choices_that_do_not_exist_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{key}=other: expected one of "):
        DicomFolderSource("x", **{key: "other"})
