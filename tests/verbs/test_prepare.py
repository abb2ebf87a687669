"""``frerec prepare`` on every published layout in miniature, through the command line."""

import importlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.cli import main
from frerec.config import config_directory
from frerec.data.manifest import Manifest

GENERIC = {"folder", "csv", "manifest"}
DATA_SETS = sorted(
    path.stem
    for path in (config_directory() / "data").glob("*.yaml")
    if not path.stem.startswith(("_", "phantom_")) and path.stem not in GENERIC
)


def layout(name: str) -> ModuleType:
    return importlib.import_module(f"layouts.{name}")


def drawn(name: str, root: Path) -> ModuleType:
    module = layout(name)
    root.mkdir()
    module.write(root)
    return module


def prepare(root: Path, out: Path, *overrides: str) -> int:
    store = f"paths.store={out.parent / 'store'}"
    return main(["prepare", f"data.root={root}", f"out={out}", store, *overrides])


def summary(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return content


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return next(line for line in text.splitlines() if line.startswith("frerec: error: "))


def zipped(root: Path) -> Path:
    archive = root.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            file.write(path, path.relative_to(root).as_posix())
    return archive


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_data_set_is_read_from_its_published_layout(name: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    module = drawn(name, root)
    out = tmp_path / "out"
    assert prepare(root, out, f"data={name}", *module.OVERRIDES) == 0
    found = summary(out)
    per_class = {label: sum(splits.values()) for label, splits in found["counts"].items()}
    assert per_class == module.EXPECTED
    manifest = Manifest.read(out / "manifest.parquet")
    assert manifest.table["label"].value_counts().to_dict() == module.EXPECTED
    assert set(manifest.table["split"]) == {"train", "val", "test"}
    assert manifest.table.groupby("group")["split"].nunique().max() == 1
    assert (manifest.table["scale"] <= 1).all()
    sheets = {path.stem for path in (out / "contact_sheets").glob("*.png")}
    assert sheets == set(manifest.classes)
    nested = any(path.suffix == ".zip" for path in root.rglob("*"))
    if not nested:  # the same from an archive, read without extraction
        archive = zipped(root)
        shutil.rmtree(root)
        assert prepare(archive, tmp_path / "again", f"data={name}", *module.OVERRIDES) == 0
        again = Manifest.read(tmp_path / "again" / "manifest.parquet")
        for column in ("label", "pixels"):
            assert sorted(again.table[column]) == sorted(manifest.table[column])
        assert {path.suffix for path in tmp_path.iterdir()} == {"", ".zip"}


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Two classes, 20 images each to train, 10 to test; two of these are copies, one nearly."""
    root = tmp_path / "set"
    images = textured_images(60, height=48, width=48, seed=3)
    names = [f"{'train' if k % 3 else 'test'}/{'ab'[k % 2]}/{k:02d}.png" for k in range(60)]
    write_tree(root, images, names)
    shutil.copy(root / "train/a/02.png", root / "test/a/copy.png")
    with Image.open(root / "train/b/01.png") as image:
        Image.fromarray(np.asarray(image)).save(root / "test/b/resaved.tif")  # the same pixels
        image.save(root / "test/b/nearly.jpg", quality=90)
    return root


def test_leaks_are_reported_and_stop_unless_a_policy_says_otherwise(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(leaky, out, "data=folder") == 2
    message = failure(capsys)
    assert "data.leaks=drop" in message
    assert not (out / "manifest.parquet").exists()
    pairs = pd.read_csv(out / "duplicates.csv")
    across = pairs[pairs["split_a"] != pairs["split_b"]]
    kinds = across["kind"].value_counts().to_dict()
    assert kinds["exact"] == 2
    near = across[across["kind"] == "near"]
    assert "test/b/nearly.jpg" in set(near["image_a"]) | set(near["image_b"])
    # The same folder may be used again after a refusal.
    assert prepare(leaky, out, "data=folder", "data.leaks=drop") == 0
    kept = Manifest.read(out / "manifest.parquet").table["image"]
    assert not {"train/a/02.png", "train/b/01.png"} & set(kept)
    assert {"test/a/copy.png", "test/b/resaved.tif", "test/b/nearly.jpg"} <= set(kept)
    (leaky / "test/b/resaved.tif").unlink()  # now only the near-duplicate leaks
    assert prepare(leaky, out, "data=folder", "data.leaks=drop", "overwrite=true") == 0
    assert "train/b/01.png" in set(Manifest.read(out / "manifest.parquet").table["image"])
    policies = ("data.leaks=drop", "data.near_duplicates=drop", "overwrite=true")
    assert prepare(leaky, out, "data=folder", *policies) == 0
    assert "train/b/01.png" not in set(Manifest.read(out / "manifest.parquet").table["image"])
    assert prepare(leaky, out, "data=folder", "data.leaks=keep", "overwrite=true") == 0
    assert len(Manifest.read(out / "manifest.parquet")) == 62


def test_a_complete_report_is_not_overwritten_unasked(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(leaky, out, "data=folder", "data.leaks=drop") == 0
    before = (out / "summary.json").read_bytes()
    assert prepare(leaky, out, "data=folder", "data.leaks=drop") == 2
    assert "overwrite=true" in failure(capsys)
    assert (out / "summary.json").read_bytes() == before


def test_nothing_but_a_report_is_ever_replaced(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "summary.json").write_text("{}")  # of another program
    (mine / "thesis.tex").write_text("x")
    drop = ("data=folder", "data.leaks=drop")
    for overwrite in ("true", "false"):
        assert prepare(leaky, mine, *drop, f"overwrite={overwrite}") == 2
        assert "holds other files" in failure(capsys)
    assert (mine / "thesis.tex").read_text() == "x"
    assert prepare(leaky, leaky / "train", *drop) == 2
    assert "must not lie in data.root" in failure(capsys)
    assert prepare(leaky, tmp_path, *drop, "overwrite=true") == 2
    assert "must not hold data.root" in failure(capsys)
    out = tmp_path / "out"
    assert prepare(leaky, out, *drop, f"paths.store={out / 'store'}") == 2
    assert "must not hold data.cache_dir" in failure(capsys)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert prepare(leaky, tmp_path / "link", *drop) == 2
    assert "expected a new folder's name" in failure(capsys)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert prepare(leaky, Path(), *drop) == 2
    assert "expected a new folder's name" in failure(capsys)
    assert len(list(leaky.rglob("*.*"))) == 63


def test_a_set_too_small_to_be_cut_is_reported_before_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "set", textured_images(9), [f"{'ab'[k > 1]}/{k}.png" for k in range(9)])
    assert prepare(tmp_path / "set", tmp_path / "out", "data=folder") == 2
    assert "class a: 2 images" in failure(capsys)
    found = summary(tmp_path / "out")
    assert found["counts"]["a"]["none"] == 2
    assert found["outcome"]["manifest"] is False
    assert not (tmp_path / "out" / "manifest.parquet").exists()


def test_published_folds_test_every_image_once(tmp_path: Path) -> None:
    module = drawn("figshare_brain_tumor", tmp_path / "set")
    tested: list[str] = []
    for fold in range(5):
        out = tmp_path / f"fold{fold}"
        overrides = ["data.image_size=24", "data.folds=published", f"data.fold={fold}"]
        status = prepare(tmp_path / "set", out, "data=figshare_brain_tumor", *overrides)
        assert status == 0
        table = Manifest.read(out / "manifest.parquet").table
        tested += table["image"][table["split"] == "test"].tolist()
        assert set(table["fold"][table["split"] == "test"]) == {str(fold)}
    assert len(tested) == len(set(tested)) == sum(module.EXPECTED.values())


def test_a_written_manifest_gives_the_same_images_and_splits_again(
    leaky: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    settings = ["data.leaks=drop", "data.split_seed=3", "data.train_size=9"]
    assert prepare(leaky, out, "data=folder", *settings) == 0
    moved = leaky.rename(tmp_path / "moved")
    again = tmp_path / "again"
    written = f"data.manifest={out / 'manifest.parquet'}"
    assert prepare(moved, again, "data=manifest", written) == 0
    first, second = (Manifest.read(o / "manifest.parquet") for o in (out, again))
    for column in ("image", "label", "split", "group", "pixels"):
        assert second.table[column].tolist() == first.table[column].tolist()
    assert second.classes == first.classes


def test_a_written_manifest_is_not_taken_for_other_files(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog
) -> None:
    out = tmp_path / "out"
    assert prepare(leaky, out, "data=folder", "data.leaks=drop") == 0
    written = ("data=manifest", f"data.manifest={out / 'manifest.parquet'}")
    assert prepare(leaky, tmp_path / "small", *written, "data.image_size=24") == 0
    assert "62 of 62 images are decoded otherwise" in caplog.text.replace("61", "62")
    write_tree(leaky, textured_images(1, height=48, width=48, seed=99), ["train/b/05.png"])
    assert prepare(leaky, tmp_path / "again", *written) == 2
    assert "train/b/05.png: not the file that it was" in failure(capsys)


def test_the_installed_script_prepares_and_prints_what_it_found(
    leaky: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "frerec", "prepare", "data=folder", f"data.root={leaky}"]
    done = subprocess.run(
        [*command, f"out={tmp_path / 'out'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "identical" in done.stderr
    assert "duplicates" in done.stdout


def damage(name: str, root: Path) -> str:
    """Break one thing of a layout; the name that the error has to give."""
    if name == "dicom_folder":
        victim = sorted(p for p in root.rglob("*") if p.suffix == ".dcm")[0]
        victim.write_bytes(victim.read_bytes()[:200])
        return victim.relative_to(root).as_posix()
    if name == "brats":
        import nibabel as nib

        victim = sorted(root.rglob("*t1ce.nii*"))[0]
        volume = nib.load(victim)
        values = np.asarray(volume.dataobj).astype(np.float32)
        values[0, 0, 0] = np.nan
        nib.save(nib.Nifti1Image(values, volume.affine), victim)
        return victim.name
    if name == "chestmnist":
        victim = next(root.rglob("*.npz"))
        with np.load(victim) as arrays:
            content = {key: arrays[key] for key in arrays.files}
        content["train_labels"] = content["train_labels"][:-1]
        np.savez_compressed(victim, **content)
        return "train_labels"
    if name == "nih_chestxray14":
        victim = sorted(root.rglob("*.png"))[0]
        victim.unlink()
        return victim.name
    table = next(root.rglob("trainLabels.csv"))
    table.write_text(table.read_text().replace("image,level", "image,grade", 1))
    return "level"


@pytest.mark.parametrize(
    "name", ["brats", "chestmnist", "dicom_folder", "eyepacs", "nih_chestxray14"]
)
def test_what_is_wrong_is_named_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "set"
    module = drawn(name, root)
    victim = damage(name, root)
    assert prepare(root, tmp_path / "out", f"data={name}", *module.OVERRIDES) == 2
    assert victim in failure(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["brats", "dicom_folder", "nih_chestxray14"])
def test_what_is_wrong_is_left_out_and_listed_where_asked(name: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    module = drawn(name, root)
    victim = damage(name, root)
    out = tmp_path / "out"
    overrides = (f"data={name}", "data.on_error=skip", *module.OVERRIDES)
    assert prepare(root, out, *overrides) == 0
    left_out = [*summary(out)["skipped"], *summary(out)["missing"]]
    assert len(left_out) == 1
    assert victim in left_out[0]
    images = Manifest.read(out / "manifest.parquet").table["image"]
    assert not images.str.contains(victim, regex=False).any()


def test_a_damaged_member_of_an_archive_is_named_or_left_out(
    leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = zipped(leaky)
    with zipfile.ZipFile(archive) as file:
        info = file.getinfo("train/a/04.png")
    data = bytearray(archive.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    data[start + 10 : start + 60] = bytes(50)
    archive.write_bytes(data)
    drop = "data.leaks=drop"
    assert prepare(archive, tmp_path / "out", "data=folder", drop) == 2
    assert "set.zip::train/a/04.png" in failure(capsys)
    assert prepare(archive, tmp_path / "out", "data=folder", drop, "data.on_error=skip") == 0
    assert list(summary(tmp_path / "out")["skipped"]) == ["set.zip::train/a/04.png"]


def test_patients_names_are_nowhere_in_what_is_written(tmp_path: Path, capsys, caplog) -> None:
    root = tmp_path / "set"
    module = drawn("dicom_folder", root)
    out = tmp_path / "out"
    assert prepare(root, out, "data=dicom_folder", *module.OVERRIDES) == 0
    from frerec.data.readers.dicom import read_tags
    from frerec.data.tree import open_tree

    tree = open_tree(root)
    names = [n for n in tree.files(suffixes=None) if n.endswith(".dcm")]
    patients = {read_tags(tree.blob(name), ["PatientID"])["PatientID"] for name in names} - {""}
    assert patients
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
                       and root not in path.parents)  # fmt: skip
    shown = capsys.readouterr()
    logged = (shown.out + shown.err + caplog.text).encode()
    in_names = " ".join(names)
    for patient in patients:
        if patient not in in_names:  # a path is the user's own
            assert patient.encode() not in written + logged
