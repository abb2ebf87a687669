"""nih_chestxray14: the published table and lists, against a plain reading of their text."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from frerec.data.checks import validate
from frerec.data.leaks import check_leaks
from frerec.data.manifest import Manifest
from frerec.data.readers import read_image
from frerec.data.sources.nih_chestxray14 import FINDINGS, NihChestXray14Source
from frerec.errors import ConfigError, DataError
from layouts import nih_chestxray14 as layout

TABLE = "Data_Entry_2017_v2020.csv"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "nih").mkdir()
    layout.write(tmp_path / "nih")
    return tmp_path / "nih"


def table_of(root: Path) -> dict[str, tuple[str, str, str]]:
    """Findings, patient and view by image, by splitting lines at commas."""
    lines = [line.split(",") for line in (root / TABLE).read_text().splitlines()[1:]]
    return {cells[0]: (cells[1], cells[3], cells[6]) for cells in lines}


def labels(manifest: Manifest) -> dict[str, str]:
    names = [image.rpartition("/")[2] for image in manifest.table["image"]]
    return dict(zip(names, manifest.table["label"], strict=True))


def test_labels_patients_and_official_splits_are_those_of_the_table_and_lists(root: Path) -> None:
    manifest = NihChestXray14Source(root).read()
    validate(manifest)
    table = table_of(root)
    found = {name: "Cardiomegaly" in table[name][0].split("|") for name in table}
    assert labels(manifest) == {k: ("no_cardiomegaly", "cardiomegaly")[v] for k, v in found.items()}
    assert manifest.classes == ("no_cardiomegaly", "cardiomegaly")
    assert Counter(manifest.table["label"]) == layout.EXPECTED
    test = set((root / "test_list.txt").read_text().split())
    groups: dict[str, set[str]] = {}
    for row in manifest.table.itertuples():
        name = row.image.rpartition("/")[2]
        assert row.split == ("test" if name in test else "train")
        assert row.image.startswith("images_00")
        groups.setdefault(table[name][1], set()).add(row.group)
    assert all(len(codes) == 1 for codes in groups.values())
    assert len(set.union(*groups.values())) == len(groups) == 12
    for i in range(len(manifest)):
        assert read_image(manifest.address(i), channels=1).shape == (1, 40, 40)


def test_an_archive_is_read_as_the_folder_is(root: Path) -> None:
    archive = shutil.make_archive(str(root.parent / "archive"), "zip", root)
    folder, zipped = NihChestXray14Source(root).read(), NihChestXray14Source(archive).read()
    validate(zipped)
    assert zipped.table["image"].tolist() == [f"archive.zip::{i}" for i in folder.table["image"]]
    columns = ["label", "split", "group"]
    assert zipped.table[columns].equals(folder.table[columns])


@pytest.mark.parametrize("variant", ["kaggle_2017", "flat", "one_folder", "nested"])
def test_copies_that_lie_otherwise_give_the_same(root: Path, variant: str) -> None:
    expected = NihChestXray14Source(root).read()
    text = (root / TABLE).read_text()
    if variant == "kaggle_2017":  # Gender, no comma at the end of the header but of the lines
        (root / TABLE).unlink()
        header, _, lines = text.partition(",\n")
        header = header.replace("Patient Sex", "Patient Gender")
        (root / "Data_Entry_2017.csv").write_text(f"{header}\n{lines}")
    for path in sorted(root.rglob("*.png")):
        if variant in ("flat", "one_folder"):
            place = root if variant == "flat" else root / "images"
            place.mkdir(exist_ok=True)
            path.rename(place / path.name)
    if variant == "one_folder":  # as NIH names the lists, and as written on Windows
        for name in ("train_val_list", "test_list"):
            lines = (root / f"{name}.txt").read_text().replace("\n", "\r\n") + "\r\n"
            (root / f"{name}.txt").unlink()
            (root / f"{name}_NIH.txt").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    if variant == "nested":
        (root / "meta").mkdir()
        for name in (TABLE, "train_val_list.txt", "test_list.txt"):
            (root / name).rename(root / "meta" / name)
    manifest = NihChestXray14Source(root).read()
    validate(manifest)
    assert labels(manifest) == labels(expected)
    assert manifest.counts().equals(expected.counts())
    assert set(manifest.table["group"]) == set(expected.table["group"])


@pytest.mark.parametrize("variant", ["as_published", "one_folder", "flat"])
def test_thumbnails_beside_the_published_images_do_not_count(root: Path, variant: str) -> None:
    copied = sorted(root.rglob("*.png"))
    (root / "a_thumbnails/images_001/images").mkdir(parents=True)
    for path in copied:
        shutil.copy(path, root / "a_thumbnails/images_001/images" / path.name)
        if variant != "as_published":
            place = root if variant == "flat" else root / "images"
            place.mkdir(exist_ok=True)
            path.rename(place / path.name)
    shutil.copy(root / TABLE, root / "a_thumbnails" / TABLE)
    manifest = NihChestXray14Source(root).read()
    validate(manifest)
    assert not manifest.table["image"].str.contains("thumb").any()
    for path in root.rglob("00000001_000.png"):
        if "a_thumbnails" not in path.parts:
            path.unlink()
    with pytest.raises(DataError, match=r"00000001_000\.png: no such file; 1 of the 24"):
        validate(NihChestXray14Source(root).read())


def test_images_that_are_twice_in_places_of_ones_own_are_refused(root: Path) -> None:
    for copy in ("a_small", "b_large"):
        (root / copy).mkdir()
    for path in sorted(root.rglob("*.png")):
        shutil.copy(path, root / "a_small" / path.name)
        path.rename(root / "b_large" / path.name)
    (root / "a_small/of no table.png").write_bytes(b"")
    (root / "b_large/of no table.png").write_bytes(b"")
    message = r"twice, a_small/(\w+)\.png and b_large/\1\.png; give the folder .* or take the other"
    with pytest.raises(DataError, match=message):
        NihChestXray14Source(root).read()
    for path in (root / "a_small").glob("0*.png"):
        path.unlink()
    validate(NihChestXray14Source(root).read())


def test_the_task_is_chosen(root: Path) -> None:
    table = table_of(root)
    effusion = NihChestXray14Source(root, finding="Effusion", negative="no_finding").read()
    assert effusion.classes == ("no_finding", "effusion")
    assert labels(effusion) == {
        name: "effusion" if "Effusion" in findings else "no_finding"
        for name, (findings, _, _) in table.items()
        if "Effusion" in findings or findings == "No Finding"
    }
    assert len(effusion) < len(table)
    for view in ("AP", "PA"):
        of_view = NihChestXray14Source(root, view=view).read()
        assert set(labels(of_view)) == {name for name, cells in table.items() if cells[2] == view}


def test_choices_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.finding=Covid: expected one of ") as error:
        NihChestXray14Source("x", finding="Covid")
    assert all(finding in str(error.value) for finding in FINDINGS)
    with pytest.raises(ConfigError, match=r"data\.negative=none: expected one of rest, no_finding"):
        NihChestXray14Source("x", negative="none")
    with pytest.raises(ConfigError, match=r"data\.view=lateral: expected one of all, PA, AP"):
        NihChestXray14Source("x", view="lateral")


def test_images_in_neither_list_are_left_out_and_counted(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = root / "train_val_list.txt"
    first, _, rest = path.read_text().partition("\n")
    path.write_text(rest)
    with caplog.at_level("INFO"):
        manifest = NihChestXray14Source(root).read()
    assert first not in labels(manifest)
    assert len(manifest) == 23
    assert "23 of 24 images used (1 in neither list)" in caplog.text


def test_without_lists_no_split_is_given(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "test_list.txt").unlink()
    with pytest.raises(DataError, match=r"no test_list\.txt; expected .*nihcc\.app\.box\.com"):
        NihChestXray14Source(root).read()
    (root / "train_val_list.txt").unlink()
    with caplog.at_level("INFO"):
        manifest = NihChestXray14Source(root).read()
    assert set(manifest.table["split"]) == {""}
    assert "no train_val_list.txt and no test_list.txt" in caplog.text


def test_lists_that_share_a_file_or_a_patient_are_found(root: Path) -> None:
    tested = (root / "test_list.txt").read_text()
    with (root / "train_val_list.txt").open("a") as file:
        file.write("\n00000009_001.png")
    with pytest.raises(DataError, match=r"test_list\.txt: 1 files are in the other list too.*09_"):
        NihChestXray14Source(root).read()
    (root / "test_list.txt").write_text(tested.replace("00000009_001.png\n", ""))
    with pytest.raises(
        DataError, match=r"1 patients .* more than one split.*00000009_000"
    ) as error:
        check_leaks(NihChestXray14Source(root).read())
    assert "p-" not in str(error.value)


def test_images_that_are_missing_keep_a_place(root: Path) -> None:
    (root / "images_001/images/00000001_000.png").unlink()
    manifest = NihChestXray14Source(root).read()
    assert manifest.table["image"].iat[0] == "images/00000001_000.png"
    with pytest.raises(DataError, match=r"images/00000001_000\.png: no such file; 1 of the 24"):
        validate(manifest)
    for path in root.rglob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"nor any other listed image.*images_001/images.*https"):
        NihChestXray14Source(root).read()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Finding Labels", "Labels", r"no column Finding Labels; it has Image Index, Labels"),
        ("Patient ID", "ID", r"no column Patient ID; .*nihcc"),
        ("Cardiomegaly|Effusion", "Cardiomegally", r"line 3 has Finding Labels 'Cardiomegally'; "),
        (",PA,", ",AP,", r"none of its 24 images is left \(24 not PA"),
    ],
)
def test_what_is_wrong_with_the_table_is_said(root: Path, old: str, new: str, message: str) -> None:
    (root / TABLE).write_text((root / TABLE).read_text().replace(old, new))
    with pytest.raises(DataError, match=message) as error:
        NihChestXray14Source(root, view="PA").read()
    assert TABLE in str(error.value)
    assert "\n" not in str(error.value)
    (root / TABLE).unlink()
    with pytest.raises(DataError, match=rf"no {TABLE}; expected .*found BBox_List.*https://nihcc"):
        NihChestXray14Source(root).read()
