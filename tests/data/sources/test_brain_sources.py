"""Kaggle's brain tumour sets: layouts, class names, tasks, and copies that differ a little."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from fixtures import textured_images, write_tree
from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.readers import read_image
from frerec.data.sources.jakeshbohaju_brain_tumor import JakeshbohajuBrainTumorSource
from frerec.data.sources.navoneel_brain_tumor import NavoneelBrainTumorSource
from frerec.data.sources.nickparvar_brain_tumor import NickparvarBrainTumorSource
from frerec.data.sources.sartajbhuvaji_brain_tumor import SartajbhuvajiBrainTumorSource
from frerec.data.sources.tasks import choose_task
from frerec.errors import ConfigError, DataError
from layouts import (
    jakeshbohaju_brain_tumor,
    navoneel_brain_tumor,
    nickparvar_brain_tumor,
    sartajbhuvaji_brain_tumor,
)

FOUR = ("notumor", "glioma", "meningioma", "pituitary")
SETS = [
    (NickparvarBrainTumorSource, nickparvar_brain_tumor),
    (SartajbhuvajiBrainTumorSource, sartajbhuvaji_brain_tumor),
    (NavoneelBrainTumorSource, navoneel_brain_tumor),
    (JakeshbohajuBrainTumorSource, jakeshbohaju_brain_tumor),
]


def zipped(root: Path) -> Path:
    return Path(shutil.make_archive(str(root), "zip", root))


def labels(manifest: Manifest) -> dict[str, str]:
    """Labels by the image's name in its data set."""
    images = [name.split("::")[-1] for name in manifest.table["image"]]
    return dict(zip(images, manifest.table["label"], strict=True))


@pytest.mark.parametrize("archive", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(("source", "layout"), SETS, ids=lambda item: item.__name__.split(".")[-1])
def test_every_image_of_the_layout_is_listed_once(
    tmp_path: Path, source: type, layout: ModuleType, archive: bool
) -> None:
    layout.write(tmp_path / "set")
    manifest = source(zipped(tmp_path / "set") if archive else tmp_path / "set").read()
    validate(manifest)
    assert manifest.table["label"].value_counts().to_dict() == layout.EXPECTED
    assert manifest.classes == tuple(layout.EXPECTED)
    assert set(manifest.table["dataset"]) == {layout.__name__.split(".")[-1]}
    assert len(set(manifest.groups())) == len(manifest)  # no patient is known
    for row in range(len(manifest)):
        assert read_image(manifest.address(row), channels=1).std() > 0.01


@pytest.mark.parametrize(("source", "layout"), SETS[:2], ids=["nickparvar", "sartajbhuvaji"])
def test_splits_are_the_published_ones(tmp_path: Path, source: type, layout: ModuleType) -> None:
    layout.write(tmp_path)
    table = source(tmp_path).read().table
    top = table["image"].str.split("/").str[0]
    assert set(zip(top, table["split"], strict=True)) == {
        ("Training", "train"),
        ("Testing", "test"),
    }
    folder = table["image"].str.split("/").str[1].str.removesuffix("_tumor")
    assert set(zip(folder.replace("no", "notumor"), table["label"], strict=True)) == {
        (name, name) for name in FOUR
    }


def test_a_copy_may_differ_in_case_and_lie_deeper(tmp_path: Path) -> None:
    nickparvar_brain_tumor.write(tmp_path / "in/archive")
    top = tmp_path / "in/archive"
    (top / "Training").rename(top / "train")
    (top / "Testing").rename(top / "TEST")
    (top / "train/notumor").rename(top / "train/No Tumor")
    (top / "TEST/glioma").rename(top / "TEST/Glioma")
    manifest = NickparvarBrainTumorSource(tmp_path / "in").read()
    validate(manifest)
    assert manifest.table["label"].value_counts().to_dict() == nickparvar_brain_tumor.EXPECTED
    assert manifest.table["split"].value_counts().to_dict() == {"train": 32, "test": 16}
    training = NickparvarBrainTumorSource(top / "train").read()
    assert set(training.table["split"]) == {""}
    assert len(training) == 32


def test_of_two_copies_the_one_nearer_to_the_top_is_read(tmp_path: Path) -> None:
    navoneel_brain_tumor.write(tmp_path)
    assert all(
        name.startswith(("yes/", "no/"))
        for name in labels(NavoneelBrainTumorSource(tmp_path).read())
    )
    shutil.rmtree(tmp_path / "yes")
    shutil.rmtree(tmp_path / "no")
    nested = labels(NavoneelBrainTumorSource(tmp_path).read())
    assert len(nested) == 22
    assert nested["brain_tumor_dataset/no/N3.JPG"] == "notumor"
    assert nested["brain_tumor_dataset/yes/Y25.jpeg"] == "tumor"
    shutil.copytree(tmp_path / "brain_tumor_dataset", tmp_path / "copy")
    with pytest.raises(DataError, match="twice, in brain_tumor_dataset and copy; give the folder"):
        NavoneelBrainTumorSource(tmp_path).read()


def test_what_is_missing_is_named_with_where_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no class folders.*\{yes,no\}, found nothing.*navoneel/"):
        NavoneelBrainTumorSource(tmp_path / "empty").read()
    nickparvar_brain_tumor.write(tmp_path / "set")
    shutil.rmtree(tmp_path / "set/Testing/glioma")
    message = r"no images in Testing/glioma; .*found Testing, Training; .*masoudnickparvar"
    with pytest.raises(DataError, match=message):
        NickparvarBrainTumorSource(tmp_path / "set").read()
    two = NickparvarBrainTumorSource(tmp_path / "set", keep=["pituitary", "notumor"]).read()
    assert two.classes == ("notumor", "pituitary")
    shutil.rmtree(tmp_path / "set/Testing")
    with pytest.raises(DataError, match="no images in Testing/"):
        NickparvarBrainTumorSource(tmp_path / "set").read()
    with pytest.raises(DataError, match="gone: no such folder"):
        SartajbhuvajiBrainTumorSource(tmp_path / "gone").read()


def test_jakeshbohaju_labels_come_from_the_table(tmp_path: Path) -> None:
    layout = jakeshbohaju_brain_tumor
    layout.write(tmp_path)
    read = labels(JakeshbohajuBrainTumorSource(tmp_path).read())
    for number in range(1, 21):
        image = f"Brain Tumor/Brain Tumor/Image{number}.jpg"
        assert read[image] == ("tumor" if layout.has_tumour(number) else "notumor")
    for image in (tmp_path / "Brain Tumor/Brain Tumor").iterdir():
        image.rename(tmp_path / "Brain Tumor" / image.name)
    flat = labels(JakeshbohajuBrainTumorSource(tmp_path).read())
    assert flat == {
        name.replace("Tumor/Brain Tumor/", "Tumor/"): value for name, value in read.items()
    }
    table = (tmp_path / "Brain Tumor.csv").read_text()
    (tmp_path / "Brain Tumor.csv").write_text(table.replace(",0,", ".jpg,0.0,"))
    assert labels(JakeshbohajuBrainTumorSource(tmp_path).read()) == flat
    (tmp_path / "Brain Tumor/Image3.jpg").unlink()
    with pytest.raises(DataError, match=r"Image3\.jpg: no such file; 1 of the 20"):
        validate(JakeshbohajuBrainTumorSource(tmp_path).read())
    shutil.rmtree(tmp_path / "Brain Tumor")
    with pytest.raises(DataError, match=r"no .*Image1\.jpg .*jakeshbohaju/brain-tumor"):
        JakeshbohajuBrainTumorSource(tmp_path).read()


def test_jakeshbohaju_copies_of_the_images_do_not_count(tmp_path: Path) -> None:
    jakeshbohaju_brain_tumor.write(tmp_path)
    read = labels(JakeshbohajuBrainTumorSource(tmp_path).read())
    published = tmp_path / "Brain Tumor/Brain Tumor"
    shutil.copytree(published, tmp_path / "A copy")
    assert labels(JakeshbohajuBrainTumorSource(tmp_path).read()) == read
    published.rename(tmp_path / "B copy")
    with pytest.raises(DataError, match=r"twice, A copy/(\w+)\.jpg and B copy/\1\.jpg; give the"):
        JakeshbohajuBrainTumorSource(tmp_path).read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Image,Target\nImage1,0\n",
            r"Brain Tumor\.csv: no column Class; it has Image, Target.*get",
        ),
        ("Image,Class\nImage1,0\nImage2,\n", "line 3 has Image 'Image2' and Class ''; expected"),
        ("Image,Class\nImage1,2\n", "line 2 has Image 'Image1' and Class '2'"),
        ("Image,Class\n,1\n", "line 2 has Image ''"),
        (None, r"no Brain Tumor\.csv; .*found Image1\.jpg"),
    ],
)
def test_what_is_wrong_with_the_table_is_said(
    tmp_path: Path, text: str | None, message: str
) -> None:
    write_tree(tmp_path, textured_images(1), ["Image1.jpg"])
    if text is not None:
        (tmp_path / "Brain Tumor.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        JakeshbohajuBrainTumorSource(tmp_path).read()


@pytest.mark.parametrize(
    ("keep", "positive", "classes", "of"),
    [
        (None, None, FOUR, dict(zip(FOUR, FOUR, strict=True))),
        (["glioma", "notumor"], None, ("notumor", "glioma"), None),
        (None, "glioma", ("not_glioma", "glioma"), {"pituitary": "not_glioma"}),
        (None, "tumor", ("notumor", "tumor"), {"pituitary": "tumor", "notumor": "notumor"}),
        (None, list(FOUR[1:]), ("notumor", "tumor"), {"glioma": "tumor"}),
        (["notumor", "glioma"], "tumor", ("notumor", "glioma"), None),
        (["meningioma", "glioma"], "meningioma", ("glioma", "meningioma"), None),
        (
            None,
            ["pituitary", "glioma"],
            ("not_glioma_or_pituitary", "glioma_or_pituitary"),
            {"pituitary": "glioma_or_pituitary", "notumor": "not_glioma_or_pituitary"},
        ),
    ],
)
def test_a_task_keeps_labels_and_puts_some_against_the_rest(
    keep: list[str] | None,
    positive: str | list[str] | None,
    classes: tuple[str, ...],
    of: dict | None,
) -> None:
    task = choose_task(FOUR, keep=keep, positive=positive)
    assert task.classes == classes
    assert set(task.of) == set(keep or FOUR)
    assert (of or {}).items() <= task.of.items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["glioma", "gliom"]}, r"data\.keep=gliom: expected labels among notumor, glioma"),
        ({"keep": "glioma"}, r"data\.keep=.*expected two or more"),
        ({"positive": "yes"}, r"data\.positive=yes: expected labels among"),
        ({"positive": []}, r"data\.positive=\[\]: expected some, not all"),
        ({"keep": ["glioma", "pituitary"], "positive": "notumor"}, r"among glioma, pituitary"),
        ({"keep": ["glioma", "pituitary"], "positive": "tumor"}, r"data\.positive=tumor: expected"),
        ({"keep": ["glioma", "pituitary"], "positive": ["pituitary", "glioma"]}, "not all"),
    ],
)
def test_a_task_that_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_task(FOUR, **options)


def test_a_task_reaches_the_manifest(tmp_path: Path) -> None:
    sartajbhuvaji_brain_tumor.write(tmp_path)
    manifest = SartajbhuvajiBrainTumorSource(tmp_path, positive="tumor").read()
    assert manifest.classes == ("notumor", "tumor")
    assert manifest.table["label"].value_counts().to_dict() == {"tumor": 36, "notumor": 12}
