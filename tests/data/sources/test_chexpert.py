"""chexpert: label policies, views, splits, and the folders in which copies lie."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.readers import read_image
from frerec.data.sources.chexpert import ChexpertSource
from frerec.data.sources.chexpert_labels import FINDINGS
from frerec.errors import ConfigError, DataError
from layouts import chexpert as layout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    layout.write(tmp_path / "set")
    return tmp_path / "set"


def table_of(root: Path) -> dict[str, dict[str, str]]:
    """All lines of both tables by the path below the split's folder."""
    lines = {}
    for name in ("train", "valid"):
        with (root / layout.FOLDER / f"{name}.csv").open() as file:
            lines.update({row["Path"].partition("/")[2]: row for row in csv.DictReader(file)})
    return lines


def labels(manifest: Manifest) -> dict[str, str]:
    names = ["/".join(image.split("/")[-4:]) for image in manifest.table["image"]]
    return dict(zip(names, manifest.table["label"], strict=True))


def test_frontal_images_with_a_certain_label_are_used_by_default(root: Path) -> None:
    manifest = ChexpertSource(root).read()
    validate(manifest)
    classes = {"1.0": "cardiomegaly", "0.0": "no_cardiomegaly", "": "no_cardiomegaly"}
    assert labels(manifest) == {
        path: classes[row["Cardiomegaly"]]
        for path, row in table_of(root).items()
        if row["Frontal/Lateral"] == "Frontal" and row["Cardiomegaly"] != "-1.0"
    }
    assert Counter(manifest.table["label"]) == layout.EXPECTED
    assert manifest.classes == ("no_cardiomegaly", "cardiomegaly")
    for i in range(len(manifest)):
        assert read_image(manifest.address(i), channels=1).shape == (1, 32, 39)


def test_a_patient_is_the_number_in_the_path_whatever_the_study_and_view(root: Path) -> None:
    manifest = ChexpertSource(root, view="all", uncertain="ones").read()
    assert len(manifest) == len(table_of(root))
    patients = [image.split("/")[-3] for image in manifest.table["image"]]
    pairs = set(zip(patients, manifest.table["group"], strict=True))
    assert len(pairs) == len(set(patients)) == len({group for _, group in pairs}) == 19
    assert not any(patient[7:] in group for patient, group in pairs)


@pytest.mark.parametrize("blank", ["negative", "ignore"])
@pytest.mark.parametrize("uncertain", ["ignore", "zeros", "ones"])
@pytest.mark.parametrize("finding", ["Cardiomegaly", "Enlarged Cardiomediastinum", "Pneumothorax"])
def test_uncertain_and_blank_labels_follow_their_policies(
    root: Path, finding: str, uncertain: str, blank: str
) -> None:
    meaning = {
        "1.0": 1,
        "0.0": 0,
        "-1.0": {"ignore": None, "zeros": 0, "ones": 1}[uncertain],
        "": {"negative": 0, "ignore": None}[blank],
    }
    name = finding.lower().replace(" ", "_")
    expected = {
        path: name if meaning[row[finding]] else f"no_{name}"
        for path, row in table_of(root).items()
        if meaning[row[finding]] is not None
    }
    source = ChexpertSource(root, finding=finding, uncertain=uncertain, blank=blank, view="all")
    if not expected:
        with pytest.raises(DataError, match=rf"none of the 29 images has .* and {finding} label"):
            source.read()
        return
    manifest = source.read()
    assert labels(manifest) == expected
    assert manifest.classes == (f"no_{name}", name)


def test_views_and_projections(root: Path) -> None:
    table = table_of(root)
    lateral = ChexpertSource(root, view="lateral", uncertain="ones").read()
    assert set(labels(lateral)) == {
        p for p, r in table.items() if r["Frontal/Lateral"] != "Frontal"
    }
    path = root / layout.FOLDER / "train.csv"
    path.write_text(path.read_text().replace("Frontal,AP", "Frontal,PA", 3))
    ap = ChexpertSource(root, projection="AP").read()
    pa = ChexpertSource(root, projection="PA").read()
    assert len(pa) == 3
    assert len(ap) + len(pa) == len(ChexpertSource(root).read())
    with pytest.raises(DataError, match="none of the 29 images has view=lateral, projection=AP"):
        ChexpertSource(root, view="lateral", projection="AP").read()


@pytest.mark.parametrize("variant", ["inside", "full_size", "zip", "zip_inside", "batches"])
def test_copies_that_lie_otherwise_give_the_same(root: Path, variant: str) -> None:
    expected = ChexpertSource(root).read()
    inner = root / layout.FOLDER
    where: str | Path = root
    if variant == "inside":
        where = inner
    if variant == "full_size":  # the folder was renamed, too
        inner = inner.rename(root / "data")
        for path in inner.glob("*.csv"):
            path.write_text(path.read_text().replace(layout.FOLDER, "CheXpert-v1.0"))
    if variant.startswith("zip"):
        where = shutil.make_archive(str(root.parent / "archive"), "zip", root)
        where += f"::{layout.FOLDER}" if variant == "zip_inside" else ""
    if variant == "batches":
        first = inner.rename(root / "CheXpert-v1.0 batch 1 (validate & csv)")
        for k, path in enumerate(sorted((first / "train").iterdir())):
            batch = root / f"CheXpert-v1.0 batch {2 + k // 8} (train {1 + k // 8})"
            batch.mkdir(exist_ok=True)
            path.rename(batch / path.name)
    manifest = ChexpertSource(where).read()
    validate(manifest)

    def content(of: Manifest) -> set[tuple[str, ...]]:
        tails = ["/".join(image.split("/")[-3:]) for image in of.table["image"]]
        return set(zip(tails, of.table["label"], of.table["split"], of.table["group"], strict=True))

    assert content(manifest) == content(expected)


def test_a_copy_beside_the_batches_does_not_count(root: Path) -> None:
    inner = root / layout.FOLDER
    first = inner.rename(root / "CheXpert-v1.0 batch 1 (validate & csv)")
    (first / "train").rename(root / "CheXpert-v1.0 batch 2 (train 1)")
    expected = ChexpertSource(root).read().table
    shutil.copytree(root / "CheXpert-v1.0 batch 2 (train 1)", root / "a_small")
    shutil.copytree(root / "CheXpert-v1.0 batch 2 (train 1)", root / "z_small")
    assert ChexpertSource(root).read().table.equals(expected)
    shutil.rmtree(root / "CheXpert-v1.0 batch 2 (train 1)")
    with pytest.raises(DataError, match=r"is there twice, a_small/.* and z_small/"):
        ChexpertSource(root).read()


def splits(manifest: Manifest) -> dict[str, str]:
    folders = [image.split("/")[-4] for image in manifest.table["image"]]
    return dict(zip(folders, manifest.table["split"], strict=True))


def test_the_validation_table_is_test_unless_there_is_one(root: Path) -> None:
    assert splits(ChexpertSource(root).read()) == {"train": "train", "valid": "test"}
    val = ChexpertSource(root, valid_is="val").read()
    assert splits(val) == {"train": "train", "valid": "val"}
    inner = root / layout.FOLDER
    shutil.copytree(inner / "valid/patient64541", inner / "test/patient64741")
    lateral = inner / "test/patient64741/study1/view2_lateral.jpg"
    shutil.copy(lateral.with_name("view1_frontal.jpg"), lateral)
    (inner / "test_labels.csv").write_text(
        "Path,No Finding,Cardiomegaly\n"
        "test/patient64741/study1/view1_frontal.jpg,0.0,1.0\n"
        "test/patient64741/study1/view2_lateral.jpg,0.0,1.0\n"
    )
    manifest = ChexpertSource(root).read()
    validate(manifest)
    assert splits(manifest) == {"train": "train", "valid": "val", "test": "test"}
    assert int((manifest.table["split"] == "test").sum()) == 1
    both = ChexpertSource(root, valid_is="test", view="all").read()
    assert splits(both) == {"train": "train", "valid": "test", "test": "test"}


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("train", "Cardiomegaly", "Heart", r"no column Cardiomegaly; it has Path, Sex,.*https"),
        ("valid", "Path", "File", r"valid\.csv: no column Path"),
        ("train", "AP,,,1.0", "AP,,,2.0", r"train\.csv: line 2 has Cardiomegaly '2\.0'; expected"),
        ("train", "AP,,,1.0", "AP,,,yes", r"line 2 has Cardiomegaly 'yes'; expected 1, 0, -1 or b"),
        ("valid", "patient64541", "someone", r"line 2 has Path '.*someone.*'; expected CheXpert"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    root: Path, table: str, old: str, new: str, message: str
) -> None:
    path = root / layout.FOLDER / f"{table}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message) as error:
        ChexpertSource(root).read()
    assert "\n" not in str(error.value)


def test_what_is_missing_is_said(root: Path) -> None:
    inner = root / layout.FOLDER
    (inner / "train/patient00001/study1/view1_frontal.jpg").unlink()
    with pytest.raises(
        DataError, match=r"patient00001/study1/view1_frontal\.jpg: no such file; 1 "
    ):
        validate(ChexpertSource(root).read())
    shutil.rmtree(inner / "train")
    shutil.rmtree(inner / "valid")
    with pytest.raises(DataError, match=r"no CheXpert-v1\.0-small/train/patient00001/.* any other"):
        ChexpertSource(root).read()
    (inner / "valid.csv").unlink()
    with pytest.raises(DataError, match=r"no CheXpert-v1\.0-small/valid\.csv; expected train\.csv"):
        ChexpertSource(root).read()
    (inner / "train.csv").unlink()
    with pytest.raises(DataError, match=r"no train\.csv; .*found nothing; .*stanfordmlgroup"):
        ChexpertSource(root).read()


@pytest.mark.parametrize("key", ["finding", "uncertain", "blank", "view", "projection", "valid_is"])
def test_choices_that_do_not_exist_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{key}=other: expected one of ") as error:
        ChexpertSource("x", **{key: "other"})
    assert key != "finding" or all(finding in str(error.value) for finding in FINDINGS)
