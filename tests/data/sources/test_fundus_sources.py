"""Fundus sources: the four retinopathy sets in miniature, their quirks, what users get wrong."""

import logging
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.sources.aptos2019 import Aptos2019Source
from frerec.data.sources.eyepacs import EyePacsSource
from frerec.data.sources.idrid import IdridSource
from frerec.data.sources.messidor2 import Messidor2Source
from frerec.data.sources.retinopathy_grades import labels_of
from frerec.errors import ConfigError, DataError
from layouts import aptos2019, eyepacs, idrid, messidor2

SETS: dict[str, tuple[Any, Any]] = {
    "eyepacs": (EyePacsSource, eyepacs),
    "aptos2019": (Aptos2019Source, aptos2019),
    "idrid": (IdridSource, idrid),
    "messidor2": (Messidor2Source, messidor2),
}


def column(manifest: Manifest, name: str) -> dict[str, str]:
    """One column by image."""
    return dict(zip(manifest.table["image"], manifest.table[name], strict=True))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            out.write(path, path.relative_to(folder).as_posix())
    return archive


def test_thresholds_cut_the_grades_in_two_and_null_keeps_them() -> None:
    grades = [0, 1, 2, 3, 4]
    assert labels_of(grades, None) == ["0", "1", "2", "3", "4"]
    assert labels_of(grades, 1) == ["no_dr", "dr", "dr", "dr", "dr"]
    assert labels_of(grades, 2) == ["not_referable"] * 2 + ["referable"] * 3
    assert labels_of(grades, 3) == ["not_severe"] * 3 + ["severe"] * 2
    assert labels_of(grades, 4) == ["not_proliferative"] * 4 + ["proliferative"]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("threshold", [0, 5, "1", True, [1]])
def test_other_thresholds_are_a_config_error(tmp_path: Path, name: str, threshold: Any) -> None:
    with pytest.raises(
        ConfigError, match=rf"data\.threshold={re.escape(str(threshold))}: expected 1 .*null"
    ):
        SETS[name][0](tmp_path, threshold=threshold)


@pytest.mark.parametrize("name", SETS)
def test_layouts_have_what_they_say_from_a_folder_and_from_a_zip(tmp_path: Path, name: str) -> None:
    source, layout = SETS[name]
    layout.write(tmp_path / "set")
    manifest = source(tmp_path / "set").read()
    validate(manifest)
    assert manifest.classes == ("no_dr", "dr")
    assert manifest.table["label"].value_counts().to_dict() == layout.EXPECTED
    assert set(manifest.table["dataset"]) == {name}
    placed = manifest.counts()[sorted(set(manifest.table["split"]))]
    assert (placed > 0).all().all()
    from_zip = source(zipped(tmp_path / "set", tmp_path / "set.zip")).read()
    validate(from_zip)
    assert all(image.startswith("set.zip::") for image in from_zip.table["image"])
    plain = from_zip.table["image"].str.removeprefix("set.zip::").tolist()
    assert plain == manifest.table["image"].tolist()
    assert from_zip.table[["label", "split"]].equals(manifest.table[["label", "split"]])
    assert from_zip.groups().tolist() == manifest.groups().tolist()


@pytest.mark.parametrize("name", SETS)
def test_five_grades_are_classes_in_order(tmp_path: Path, name: str) -> None:
    source, layout = SETS[name]
    layout.write(tmp_path)
    five, two = (source(tmp_path, threshold=t).read() for t in (None, 2))
    assert five.classes == ("0", "1", "2", "3", "4")
    assert set(five.table["label"]) == set(five.classes)
    assert two.classes == ("not_referable", "referable")
    assert (two.label_indices() == (five.label_indices() >= 2)).all()


@pytest.mark.parametrize("name", SETS)
def test_an_empty_folder_says_what_was_expected_and_where_to_get_it(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(DataError, match=r"no .*\.csv; expected .*found nothing; .*https://"):
        SETS[name][0](tmp_path).read()


@pytest.mark.parametrize("name", SETS)
def test_tables_without_their_images_are_an_error(tmp_path: Path, name: str) -> None:
    source, layout = SETS[name]
    layout.write(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix != ".csv":
            path.unlink()
    with pytest.raises(DataError, match=r"nor any other listed image.*https://") as error:
        source(tmp_path).read()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "table", "old", "new", "message"),
    [
        ("eyepacs", "trainLabels.csv", "10_left,0", "10_left,", "line 2 has level ''"),
        ("eyepacs", "trainLabels.csv", "10_right,0", "10_right,5", "line 3 has level '5'"),
        ("eyepacs", "retinopathy_solution.csv", "1001_left,0", "1001_left,-1", "level '-1'"),
        ("eyepacs", "trainLabels.csv", "image,level", "image,grade", "no column level"),
        ("eyepacs", "trainLabels.csv", "10_left,", "10_middle,", "PATIENT_left or PATIENT_right"),
        ("aptos2019", "train.csv", "id_code", "id", "no column id_code; it has id, diagnosis"),
        ("aptos2019", "train.csv", "0000000a5c31,0", ",0", "line 2 has id_code ''"),
        ("messidor2", "messidor_data.csv", "PP.png,0,0,1", "PP.png,,0,1", "adjudicated_dr_grade"),
        ("messidor2", "messidor_data.csv", "PP.png,0,0,1", "PP.png,0,0,", "expected 0 or 1"),
        ("messidor2", "messidor-2.csv", "left;right", "a;b", ""),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    tmp_path: Path, name: str, table: str, old: str, new: str, message: str
) -> None:
    source, layout = SETS[name]
    layout.write(tmp_path)
    edit(tmp_path / table, old, new)
    if not message:
        source(tmp_path).read()  # the header of the pairs does not matter
        return
    with pytest.raises(DataError, match=rf"{table}.*{message}") as error:
        source(tmp_path).read()
    assert "\n" not in str(error.value)


def test_eyepacs_patients_are_what_stands_before_the_eye(tmp_path: Path) -> None:
    eyepacs.write(tmp_path)
    group = column(EyePacsSource(tmp_path).read(), "group")
    patients = {image: Path(image).stem.rpartition("_")[0] for image in group}
    pairs = {(patients[image], group[image]) for image in group}
    assert len(pairs) == len(set(patients.values())) == len(set(group.values())) == 18
    assert not set(patients.values()) & set(group.values())


def test_eyepacs_has_splits_only_with_the_solution(tmp_path: Path) -> None:
    eyepacs.write(tmp_path)
    split = column(EyePacsSource(tmp_path).read(), "split")
    assert all(image.startswith(f"{part}/") for image, part in split.items())
    (tmp_path / "retinopathy_solution.csv").unlink()
    split = column(EyePacsSource(tmp_path).read(), "split")
    assert len(split) == 24
    assert set(split.values()) == {""}


def test_eyepacs_solution_without_any_test_image_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    eyepacs.write(tmp_path)
    shutil.rmtree(tmp_path / "test")
    manifest = EyePacsSource(tmp_path).read()
    validate(manifest)
    assert len(manifest) == 24
    assert set(manifest.table["split"]) == {""}
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "retinopathy_solution.csv: none of its 12 images is there" in record.getMessage()


def copy_images(folder: Path, to: Path) -> None:
    """The same names in another folder, at half the size."""
    to.mkdir(parents=True)
    for path in folder.iterdir():
        with Image.open(path) as image:
            image.resize((image.width // 2, image.height // 2)).save(to / path.name)


@pytest.mark.parametrize("above", ["", "eyepacs"])
def test_eyepacs_resized_copies_beside_the_published_folder_do_not_count(
    tmp_path: Path, above: str, caplog: pytest.LogCaptureFixture
) -> None:
    eyepacs.write(tmp_path / "set" / above)
    expected = EyePacsSource(tmp_path / "set").read()
    top = tmp_path / "set" / above
    copy_images(top / "train", top / "resized_train_cropped/resized_train_cropped")
    copy_images(top / "test", top / "a_test")
    for root in (tmp_path / "set", zipped(tmp_path / "set", tmp_path / "set.zip")):
        caplog.clear()
        table = EyePacsSource(root).read().table
        table["image"] = table["image"].str.removeprefix("set.zip::")
        assert table[["image", "label", "split"]].equals(
            expected.table[["image", "label", "split"]]
        )
        assert "24 images are there twice or more; only those in folders such as" in caplog.text
    (top / "train/10_left.jpeg").unlink()  # no image of the copy may stand in for one of these
    with pytest.raises(DataError, match=r"train/10_left\.jpeg: no such file; 1 of"):
        validate(EyePacsSource(top).read())


def test_copies_of_which_none_is_the_published_one_are_refused(tmp_path: Path) -> None:
    eyepacs.write(tmp_path)
    (tmp_path / "retinopathy_solution.csv").unlink()
    copy_images(tmp_path / "train", tmp_path / "resized_train_cropped")
    (tmp_path / "train").rename(tmp_path / "resized_train")
    message = (
        r"is there twice, resized_train/(\d+_\w+)\.jpeg and resized_train_cropped/\1\.jpeg; "
        r"give the folder that holds the one you mean, or take the other away"
    )
    with pytest.raises(DataError, match=message):
        EyePacsSource(tmp_path).read()
    shutil.rmtree(tmp_path / "resized_train_cropped")
    images = EyePacsSource(tmp_path).read().table["image"]
    assert images.str.startswith("resized_train/").all()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("aptos2019", "train_images"),
        ("messidor2", "IMAGES"),
        ("idrid", "B. Disease Grading/1. Original Images/a. Training Set"),
    ],
)
def test_copies_within_the_other_sets_do_not_count_either(
    tmp_path: Path, name: str, folder: str
) -> None:
    source, layout = SETS[name]
    layout.write(tmp_path)
    expected = column(source(tmp_path).read(), "label")
    copy = tmp_path / folder / "64px" if name == "idrid" else tmp_path / "A copy"
    shutil.copytree(tmp_path / folder, tmp_path / "aside")
    copy_images(tmp_path / "aside", copy)
    shutil.rmtree(tmp_path / "aside")
    assert column(source(tmp_path).read(), "label") == expected


@pytest.mark.parametrize("folder", ["", "images", "resized_train/resized_train"])
@pytest.mark.parametrize("suffix", [".jpeg", ".JPG", ".png"])
def test_eyepacs_images_are_found_in_resized_copies(
    tmp_path: Path, folder: str, suffix: str
) -> None:
    eyepacs.write(tmp_path)
    labels = column(EyePacsSource(tmp_path, threshold=None).read(), "label")
    (tmp_path / "retinopathy_solution.csv").unlink()
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for path in list((tmp_path / "train").iterdir()):
        path.rename(tmp_path / folder / f"{path.stem}{suffix}")
    copy = column(EyePacsSource(tmp_path, threshold=None).read(), "label")
    prefix = f"{folder}/" if folder else ""
    expected = {
        f"{prefix}{Path(image).stem}{suffix}": label
        for image, label in labels.items()
        if image.startswith("train/")
    }
    assert copy == expected


def test_a_few_missing_files_are_left_to_the_checks_that_can_list_them(tmp_path: Path) -> None:
    eyepacs.write(tmp_path)
    (tmp_path / "train/10_left.jpeg").unlink()
    manifest = EyePacsSource(tmp_path).read()
    assert "train/10_left.jpeg" in set(manifest.table["image"])
    with pytest.raises(DataError, match=r"10_left\.jpeg: no such file; 1 of"):
        validate(manifest)


def test_aptos_leaves_images_without_grades_out_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aptos2019.write(tmp_path)
    with caplog.at_level(logging.INFO):
        manifest = Aptos2019Source(tmp_path).read()
    assert all(image.startswith("train_images/") for image in manifest.table["image"])
    assert set(manifest.table["split"]) == {""}
    assert len(set(manifest.table["group"])) == len(manifest)
    assert "test.csv: images without grades, not read" in caplog.text


def test_aptos_pre_split_copies_keep_their_splits(tmp_path: Path) -> None:
    aptos2019.write_pre_split(tmp_path)
    manifest = Aptos2019Source(tmp_path).read()
    validate(manifest)
    split = column(manifest, "split")
    folders = {"train": "train_images", "val": "val_images", "test": "test_images"}
    assert all(image.startswith(f"{folders[s]}/{folders[s]}/") for image, s in split.items())
    assert manifest.counts().to_numpy().tolist() == [[8, 2, 2], [8, 2, 2]]
    (tmp_path / "valid.csv").unlink()
    with pytest.raises(DataError, match=r"no valid\.csv; expected train\.csv"):
        Aptos2019Source(tmp_path).read()


def test_aptos_tables_are_read_by_their_grades_whatever_the_first_is_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aptos2019.write_pre_split(tmp_path)
    expected = Aptos2019Source(tmp_path).read().table
    (tmp_path / "train_1.csv").rename(tmp_path / "train.csv")
    with caplog.at_level(logging.INFO):
        assert Aptos2019Source(tmp_path).read().table.equals(expected)
    assert "not read" not in caplog.text
    test = (tmp_path / "test.csv").read_text().splitlines()
    (tmp_path / "test.csv").write_text("".join(f"{line.split(',')[0]}\n" for line in test))
    two = Aptos2019Source(tmp_path).read().table
    assert two["split"].value_counts().to_dict() == {"train": 16, "val": 4}


def test_idrid_tells_images_of_the_same_name_apart(tmp_path: Path) -> None:
    idrid.write(tmp_path)
    tables = tmp_path / "B. Disease Grading/2. Groundtruths"
    test = tables / "b. IDRiD_Disease Grading_Testing Labels.csv"
    edit(test, "IDRiD_001,0", "IDRiD_001,4")
    above = IdridSource(tmp_path, threshold=None).read()
    label, split = column(above, "label"), column(above, "split")
    images = "B. Disease Grading/1. Original Images"
    train, test = (
        f"{images}/a. Training Set/IDRiD_001.jpg",
        f"{images}/b. Testing Set/IDRiD_001.jpg",
    )
    assert (label[train], label[test]) == ("0", "4")
    assert (split[train], split[test]) == ("train", "test")
    assert len(set(above.table["group"])) == len(above) == 24
    inside = IdridSource(tmp_path / "B. Disease Grading", threshold=None).read()
    assert inside.table["label"].tolist() == above.table["label"].tolist()
    shutil.rmtree(tmp_path / images / "b. Testing Set")
    with pytest.raises(DataError, match=r"b\. Testing Set/IDRiD_001\.jpg \(nor any other"):
        IdridSource(tmp_path).read()


def test_messidor_leaves_ungradable_images_out_and_counts_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messidor2.write(tmp_path)
    with caplog.at_level(logging.INFO):
        manifest = Messidor2Source(tmp_path).read()
    ungradable = messidor2.names(messidor2.EXAMINATIONS - 1)[1]
    assert f"IMAGES/{ungradable}" not in set(manifest.table["image"])
    assert "1 ungradable images left out" in caplog.text
    validate(manifest)  # so `.jpg` in the table was found as `.JPG`


def test_messidor_pairs_are_patients(tmp_path: Path) -> None:
    messidor2.write(tmp_path)
    group = column(Messidor2Source(tmp_path).read(), "group")
    for k in range(messidor2.EXAMINATIONS - 1):
        left, right = (group[f"IMAGES/{name}"] for name in messidor2.names(k))
        assert left == right
    assert len(set(group.values())) == messidor2.EXAMINATIONS


@pytest.mark.parametrize("form", ["examid;left;right\n7;{};{}\n", 'left,right\n"{}","{}"\n'])
def test_messidor_pairs_may_have_other_columns_and_images_without_a_pair_stand_alone(
    tmp_path: Path, form: str
) -> None:
    messidor2.write(tmp_path)
    (tmp_path / "messidor-2.csv").write_text(form.format(*messidor2.names(7)))
    group = column(Messidor2Source(tmp_path).read(), "group")
    left, right = (f"IMAGES/{name}" for name in messidor2.names(7))
    assert group[left] == group[right]
    assert len(set(group.values())) == len(group) - 1


def test_messidor_examinations_that_share_an_image_are_one_patient(tmp_path: Path) -> None:
    messidor2.write(tmp_path)
    (a, b), (c, d), (e, _) = (messidor2.names(k) for k in (0, 1, 2))
    (tmp_path / "messidor-2.csv").write_text(f"left;right\n{a};{b}\n{c};{d}\n{b};{c}\n{d};{e}\n")
    group = column(Messidor2Source(tmp_path).read(), "group")
    assert len({group[f"IMAGES/{name}"] for name in (a, b, c, d, e)}) == 1
    assert len(set(group.values())) == len(group) - 4


def test_messidor_without_pairs_says_that_eyes_may_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messidor2.write(tmp_path)
    (tmp_path / "messidor-2.csv").unlink()
    manifest = Messidor2Source(tmp_path).read()
    assert np.unique(manifest.groups()).size == len(manifest)
    assert "no messidor-2.csv" in caplog.text
    assert "adcis.net" in caplog.text
    (tmp_path / "messidor-2.csv").write_text("something else\n")
    with pytest.raises(DataError, match=r"messidor-2\.csv: no pairs"):
        Messidor2Source(tmp_path).read()
