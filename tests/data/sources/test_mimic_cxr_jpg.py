"""mimic_cxr_jpg: the join of the three tables, against a join with dictionaries."""

import csv
import gzip
import shutil
from collections import Counter
from pathlib import Path

import pytest

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.readers import read_image
from frerec.data.sources.mimic_cxr_jpg import MimicCxrJpgSource
from frerec.errors import ConfigError, DataError
from layouts import mimic_cxr_jpg as layout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "set").mkdir()
    layout.write(tmp_path / "set")
    return tmp_path / "set"


def file(root: Path, kind: str) -> Path:
    return root / f"mimic-cxr-2.0.0-{kind}.csv.gz"


def edit(path: Path, old: str, new: str) -> None:
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new).encode()))


def joined(root: Path) -> dict[str, dict[str, str]]:
    """All columns by the image's path; Cardiomegaly is absent where the study has no labels."""
    tables = {}
    for kind in layout.TABLES:
        with gzip.open(file(root, kind), "rt") as lines:
            tables[kind] = list(csv.DictReader(lines))
    views = {row["dicom_id"]: row for row in tables["metadata"]}
    labels = {row["study_id"]: row for row in tables["chexpert"]}
    return {
        f"files/p{row['subject_id'][:2]}/p{row['subject_id']}/s{row['study_id']}/"
        f"{row['dicom_id']}.jpg": views[row["dicom_id"]] | labels.get(row["study_id"], {}) | row
        for row in tables["split"]
    }


def labels(manifest: Manifest) -> dict[str, str]:
    names = ["files/" + image.partition("files/")[2] for image in manifest.table["image"]]
    return dict(zip(names, manifest.table["label"], strict=True))


def test_labels_of_studies_go_to_their_images_with_the_official_splits(root: Path) -> None:
    manifest = MimicCxrJpgSource(root).read()
    validate(manifest)
    table = joined(root)
    classes = {"1.0": "cardiomegaly", "0.0": "no_cardiomegaly", "": "no_cardiomegaly"}
    assert labels(manifest) == {
        path: classes[row["Cardiomegaly"]]
        for path, row in table.items()
        if row["ViewPosition"] in ("PA", "AP") and row.get("Cardiomegaly", "-1.0") != "-1.0"
    }
    assert Counter(manifest.table["label"]) == layout.EXPECTED
    assert manifest.classes == ("no_cardiomegaly", "cardiomegaly")
    split_of = {"train": "train", "validate": "val", "test": "test"}
    pairs = set()
    for i, row in enumerate(manifest.table.itertuples()):
        assert row.split == split_of[table[row.image]["split"]]
        pairs.add((table[row.image]["subject_id"], row.group))
        assert read_image(manifest.address(i), channels=1).shape == (1, 36, 30)
    assert len(pairs) == len({group for _, group in pairs}) == 16
    assert not any(subject in group for subject, group in pairs)


def test_what_is_left_out_is_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        MimicCxrJpgSource(root).read()
    assert "20 of 40 images used (2 of studies without labels, 2 with Cardiomegaly" in caplog.text
    assert "18 without view=frontal, projection=all" in caplog.text


@pytest.mark.parametrize(
    ("options", "positions"),
    [
        ({"view": "frontal"}, {"PA", "AP"}),
        ({"view": "lateral"}, {"LATERAL", "LL"}),
        ({"view": "all"}, {"PA", "AP", "LATERAL", "LL", ""}),
        ({"projection": "AP"}, {"AP"}),
        ({"view": "all", "projection": "PA"}, {"PA"}),
    ],
)
def test_views(root: Path, options: dict[str, str], positions: set[str]) -> None:
    edit(file(root, "metadata"), ",LATERAL,", ",,")  # some metadata are blank in the real table
    found = labels(MimicCxrJpgSource(root, uncertain="zeros", **options).read())
    assert set(found) == {
        path
        for path, row in joined(root).items()
        if row["ViewPosition"] in positions and "Cardiomegaly" in row
    }


def test_uncertain_and_blank_labels_follow_their_policies(root: Path) -> None:
    table = joined(root)
    ones = labels(MimicCxrJpgSource(root, uncertain="ones", blank="ignore", view="all").read())
    assert ones == {
        path: "no_cardiomegaly" if row["Cardiomegaly"] == "0.0" else "cardiomegaly"
        for path, row in table.items()
        if row.get("Cardiomegaly", "")
    }
    other = MimicCxrJpgSource(root, finding="Support Devices").read()
    assert other.classes == ("no_support_devices", "support_devices")
    assert set(other.table["label"]) == {"support_devices"}


@pytest.mark.parametrize("variant", ["unzipped", "below", "zip", "zip_below"])
def test_copies_that_lie_otherwise_give_the_same(root: Path, variant: str) -> None:
    expected = MimicCxrJpgSource(root).read()
    where: str | Path = root
    if variant == "unzipped":
        for path in root.glob("*.csv.gz"):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    if variant.endswith("below"):
        where = root.parent / "physionet.org"
        (where / "files/mimic-cxr-jpg").mkdir(parents=True)
        root.rename(where / "files/mimic-cxr-jpg/2.0.0")
    if variant.startswith("zip"):
        where = shutil.make_archive(str(root.parent / "archive"), "zip", where)
    manifest = MimicCxrJpgSource(where).read()
    validate(manifest)
    tails = [image.rpartition("/")[2] for image in manifest.table["image"]]
    assert tails == [image.rpartition("/")[2] for image in expected.table["image"]]
    columns = ["label", "split", "group"]
    assert manifest.table[columns].equals(expected.table[columns])


@pytest.mark.parametrize(
    ("kind", "old", "new", "message"),
    [
        ("chexpert", "Cardiomegaly", "Heart", r"chexpert\.csv\.gz: no column Cardiomegaly; .*phys"),
        ("metadata", "ViewPosition", "View", r"metadata\.csv\.gz: no column ViewPosition"),
        ("split", "subject_id", "patient", r"split\.csv\.gz: no column subject_id"),
        (
            "split",
            "validate",
            "holdout",
            r"line \d+ has split 'holdout'; expected one of train, va",
        ),
        ("chexpert", "50414274", "50414267", r"chexpert\.csv\.gz: line 3 repeats a study_id"),
        ("chexpert", ",1.0,,-1.0", ",3.0,,-1.0", r"line 2 has Cardiomegaly '3\.0'; expected 1, 0"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    root: Path, kind: str, old: str, new: str, message: str
) -> None:
    edit(file(root, kind), old, new)
    with pytest.raises(DataError, match=message) as error:
        MimicCxrJpgSource(root).read()
    assert "\n" not in str(error.value)


def test_tables_that_are_there_twice_are_refused(root: Path) -> None:
    for copy in ("a_subset", "mimic"):
        (root / copy).mkdir()
        shutil.copy(file(root, "split"), root / copy / file(root, "split").name)
    file(root, "split").unlink()
    with pytest.raises(DataError, match=r"split is there twice, a_subset/.* and mimic/.*; give"):
        MimicCxrJpgSource(root).read()


def test_a_table_that_is_cut_off_is_said(root: Path) -> None:
    path = file(root, "split")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"split\.csv\.gz: cannot be read as a CSV table"):
        MimicCxrJpgSource(root).read()


def test_what_is_missing_is_said(root: Path) -> None:
    next(iter(sorted(root.rglob("*.jpg")))).unlink()
    with pytest.raises(DataError, match=r"\.jpg: no such file; 1 of the 38"):
        validate(MimicCxrJpgSource(root, view="all", uncertain="ones").read(), min_classes=1)
    shutil.rmtree(root / "files")
    with pytest.raises(DataError, match=r"no files/p10/.*any other listed image.*physionet"):
        MimicCxrJpgSource(root).read()
    file(root, "metadata").unlink()
    with pytest.raises(
        DataError, match=r"no mimic-cxr-2\.0\.0-metadata\.csv\.gz; .*physionet\.org"
    ):
        MimicCxrJpgSource(root).read()


@pytest.mark.parametrize("key", ["finding", "uncertain", "blank", "view", "projection"])
def test_choices_that_do_not_exist_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{key}=other: expected one of "):
        MimicCxrJpgSource("x", **{key: "other"})
