"""Cheng's brain tumour set: MATLAB files loose and in archives, patients, published folds."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from frerec.data.checks import validate
from frerec.data.manifest import Manifest
from frerec.data.pseudonyms import pseudonym
from frerec.data.readers import ReadOptions, read_image
from frerec.data.sources.figshare_brain_tumor import FigshareBrainTumorSource
from frerec.errors import DataError
from layouts import figshare_brain_tumor

NAMES = {1: "meningioma", 2: "glioma", 3: "pituitary"}


def zip_up(archive: Path, files: list[Path]) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in files:
            file.write(path, path.name)
            path.unlink()


def column(manifest: Manifest, name: str) -> dict[int, str]:
    """A column by the number N of N.mat."""
    numbers = manifest.table["image"].str.extract(r"(\d+)\.mat$")[0].astype(int)
    return dict(zip(numbers, manifest.table[name], strict=True))


def check_figshare(manifest: Manifest) -> None:
    """All labels, patients, folds and pixels are those that were written."""
    validate(manifest)
    assert manifest.classes == ("meningioma", "glioma", "pituitary")
    assert column(manifest, "label") == {
        n: NAMES[label] for n, label in enumerate(figshare_brain_tumor.LABELS, 1)
    }
    patients = enumerate(figshare_brain_tumor.PATIENTS, 1)
    assert column(manifest, "group") == {n: pseudonym(patient) for n, patient in patients}
    published = enumerate(figshare_brain_tumor.folds(), 1)
    assert column(manifest, "fold") == {n: str(fold - 1) for n, fold in published}
    assert set(manifest.table["split"]) == {""}
    rows = {number: row for row, number in enumerate(column(manifest, "image"))}
    for number in (1, 10, 27):
        drawn = figshare_brain_tumor.picture(number).astype(float)
        image = read_image(
            manifest.address(rows[number]), channels=1, options=ReadOptions(mri_percentile=100)
        )
        expected = (drawn - drawn.min()) / (drawn.max() - drawn.min())
        np.testing.assert_allclose(image[0].numpy(), expected, atol=1e-6)  # upright, not transposed


def test_figshare_files_loose_in_archives_and_in_one_zip(tmp_path: Path) -> None:
    root = tmp_path / "set"
    figshare_brain_tumor.write(root)
    check_figshare(FigshareBrainTumorSource(root).read())
    whole = Path(shutil.make_archive(str(tmp_path / "whole"), "zip", root))
    check_figshare(FigshareBrainTumorSource(whole).read())
    zip_up(root / "brainTumorDataPublic_1-766.zip", [root / f"{n}.mat" for n in range(1, 12)])
    (root / "more").mkdir()
    zip_up(
        root / "more/brainTumorDataPublic_767-1532.zip", [root / f"{n}.mat" for n in range(12, 20)]
    )
    manifest = FigshareBrainTumorSource(root).read()
    check_figshare(manifest)
    assert "brainTumorDataPublic_1-766.zip::10.mat" in set(manifest.table["image"])
    assert "more/brainTumorDataPublic_767-1532.zip::12.mat" in set(manifest.table["image"])
    assert "27.mat" in set(manifest.table["image"])
    outer = shutil.make_archive(str(tmp_path / "outer"), "zip", root)
    with pytest.raises(
        DataError, match=r"_1-766\.zip is an archive in an archive; unpack the outer"
    ):
        FigshareBrainTumorSource(outer).read()


def test_figshare_archives_left_beside_their_files_do_not_count(tmp_path: Path) -> None:
    figshare_brain_tumor.write(tmp_path)
    with zipfile.ZipFile(tmp_path / "brainTumorDataPublic_1-766.zip", "w") as file:
        file.write(tmp_path / "1.mat", "1.mat")
    manifest = FigshareBrainTumorSource(tmp_path).read()
    check_figshare(manifest)
    assert "1.mat" in set(manifest.table["image"])
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "5.mat", tmp_path / "copy/5.mat")
    with pytest.raises(DataError, match=r"image 5 is there twice, 5\.mat and copy/5\.mat"):
        FigshareBrainTumorSource(tmp_path).read()


def test_figshare_folds_may_be_matlab_5_or_absent_but_must_fit(tmp_path: Path) -> None:
    figshare_brain_tumor.write(tmp_path)
    folds = np.array(figshare_brain_tumor.folds(), dtype=np.uint8)
    savemat(tmp_path / "cvind.mat", {"cvind": folds[:, None]})
    check_figshare(FigshareBrainTumorSource(tmp_path).read())
    figshare_brain_tumor.write_folds(tmp_path / "cvind.mat", [1, 2, 3])
    with pytest.raises(DataError, match=r"cvind\.mat: 3 folds for 27 images; expected one each"):
        FigshareBrainTumorSource(tmp_path).read()
    figshare_brain_tumor.write_folds(tmp_path / "cvind.mat", [0] * 27)
    with pytest.raises(DataError, match=r"cvind\.mat: fold 0, expected 1 to 5"):
        FigshareBrainTumorSource(tmp_path).read()
    (tmp_path / "cvind.mat").write_bytes(b"not MATLAB")
    with pytest.raises(DataError, match=r"cvind\.mat: cannot be read as a MATLAB file"):
        FigshareBrainTumorSource(tmp_path).read()
    figshare_brain_tumor.write_folds(tmp_path / "cvind.mat", figshare_brain_tumor.folds())
    (tmp_path / "5.mat").rename(tmp_path / "28.mat")
    with pytest.raises(DataError, match=r"27 folds for 27 images; expected one each for 1\.mat to"):
        FigshareBrainTumorSource(tmp_path).read()
    (tmp_path / "cvind.mat").unlink()
    assert "fold" not in FigshareBrainTumorSource(tmp_path).read().table


def test_figshare_tasks(tmp_path: Path) -> None:
    figshare_brain_tumor.write(tmp_path)
    two = FigshareBrainTumorSource(tmp_path, keep=["glioma", "meningioma"]).read()
    assert two.table["label"].value_counts().to_dict() == {"glioma": 10, "meningioma": 8}
    published = enumerate(figshare_brain_tumor.folds(), 1)
    assert column(two, "fold") == {n: str(fold - 1) for n, fold in published if n <= 18}
    one = FigshareBrainTumorSource(tmp_path, positive="pituitary").read()
    assert one.classes == ("not_pituitary", "pituitary")
    assert one.table["label"].value_counts().to_dict() == {"not_pituitary": 18, "pituitary": 9}


def test_figshare_files_that_are_damaged_are_named_or_skipped(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no N\.mat files; expected 1\.mat.*found nothing.*1512427"
    ):
        FigshareBrainTumorSource(tmp_path).read()
    figshare_brain_tumor.write(tmp_path)
    picture = figshare_brain_tumor.picture(4)
    figshare_brain_tumor.write_mat(tmp_path / "4.mat", 7, "secret", picture)
    with pytest.raises(DataError, match=r"4\.mat: cjdata/label is 7, expected 1, 2 or 3") as error:
        FigshareBrainTumorSource(tmp_path).read()
    assert "secret" not in str(error.value)
    (tmp_path / "9.mat").write_bytes((tmp_path / "9.mat").read_bytes()[:700])
    manifest = FigshareBrainTumorSource(tmp_path, on_error="skip").read()
    assert set(column(manifest, "label")) == set(range(1, 28)) - {4, 9}
    published = dict(enumerate(figshare_brain_tumor.folds(), 1))
    assert all(column(manifest, "fold")[n] == str(published[n] - 1) for n in (1, 5, 27))
    assert [image for image, _ in manifest.left_out] == ["4.mat", "9.mat"]
    assert all(image in reason for image, reason in manifest.left_out)


@pytest.mark.parametrize("blank", [" ", "\0", " \t "])
def test_figshare_files_without_a_patient_are_named_or_skipped(tmp_path: Path, blank: str) -> None:
    figshare_brain_tumor.write(tmp_path)
    figshare_brain_tumor.write_mat(tmp_path / "4.mat", 1, blank, figshare_brain_tumor.picture(4))
    with pytest.raises(DataError, match=r"4\.mat: cjdata/PID is blank, expected the patient"):
        FigshareBrainTumorSource(tmp_path).read()
    manifest = FigshareBrainTumorSource(tmp_path, on_error="skip").read()
    assert 4 not in column(manifest, "label")
    assert [image for image, _ in manifest.left_out] == ["4.mat"]
