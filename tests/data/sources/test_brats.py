"""BraTS: which slices, of which patients, and what is said of volumes that are not right."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from frerec.data.checks import validate
from frerec.data.pseudonyms import pseudonym
from frerec.data.readers import ReadOptions, read_image
from frerec.data.sources import slice_areas as module
from frerec.data.sources.brats import BratsSource
from frerec.data.sources.slice_areas import SliceAreas, choose_slices
from frerec.errors import ConfigError, DataError
from layouts import brats

MINI = {"min_tumour": 20, "step": 2, "slices_per_patient": 2}


@pytest.mark.parametrize("archive", [False, True], ids=["folder", "zip"])
def test_brats_slices_patients_and_pixels(tmp_path: Path, archive: bool) -> None:
    brats.write(tmp_path / "set")
    root = tmp_path / "set"
    if archive:
        root = Path(shutil.make_archive(str(root), "zip", root))
    manifest = BratsSource(root, **MINI).read()
    validate(manifest)
    assert manifest.classes == ("notumor", "tumor")
    assert manifest.table["label"].value_counts().to_dict() == brats.EXPECTED
    images = manifest.table["image"].str.removeprefix("set.zip::")
    folder = images.str.split("/").str[:-1].str.join("/")
    assert sorted(set(folder)) == sorted(brats.FOLDERS)
    names = (
        folder.str.split("/").str[-1].replace("BraTS-GLI-00005-10.", "BraTS-GLI-00005", regex=True)
    )
    names = names.replace("BraTS-GLI-00006-100", "BraTS-GLI-00006")
    assert list(manifest.table["group"]) == [pseudonym(name) for name in names]
    first = (folder == brats.FOLDERS[0]).to_numpy()
    slices = images[first].str.split("::").str[1].astype(int)
    assert dict(zip(slices, manifest.table["label"][first], strict=True)) == {
        4: "notumor", 6: "tumor", 8: "tumor", 12: "notumor",
    }  # fmt: skip
    stored = brats.volume(500).astype(float)
    row = int(np.flatnonzero(first & images.str.endswith("06").to_numpy())[0])
    image = read_image(manifest.address(row), channels=1, options=ReadOptions(mri_percentile=100))
    # Voxels run to the patient's left and back: image columns and rows, as radiologists look.
    np.testing.assert_allclose(image[0].numpy(), stored[:, :, 6].T / stored.max(), atol=1e-6)


def test_brats_other_sequence_and_all_slices(tmp_path: Path) -> None:
    brats.write(tmp_path)
    table = BratsSource(tmp_path, sequence="flair", min_tumour=1, step=1).read().table
    assert table["image"].str.contains("_flair.nii|-t2f.nii").all()
    number = table["image"].str.split("::").str[1].astype(int)
    with_tumour = set(number[table["label"] == "tumor"])
    assert with_tumour == set(brats.TUMOUR)
    assert set(number) == set(brats.BRAIN)
    few = BratsSource(tmp_path, min_tumour=30, min_brain=0.5, step=1).read().table
    number = few["image"].str.split("::").str[1].astype(int)
    areas = (brats.volume(500) != 0).mean(axis=(0, 1))
    assert set(number) <= set(np.flatnonzero(areas >= 0.5))
    assert set(number[few["label"] == "tumor"]) == {6, 7}
    assert not {5, 8} & set(number[~few["image"].str.contains("00006")])


def test_slices_are_counted_from_the_feet_whatever_the_file_s_order(tmp_path: Path) -> None:
    seg = brats.segmentation({3: 25}, label=4)
    upside_down = np.diag([1.0, 1.0, -1.0, 1.0])
    brats.save(tmp_path / "P_t1ce.nii.gz", brats.volume(1)[:, :, ::-1], upside_down)
    brats.save(tmp_path / "P_seg.nii.gz", seg[:, :, ::-1], upside_down)
    table = BratsSource(tmp_path, min_tumour=20, step=1).read().table
    assert list(table["image"][table["label"] == "tumor"]) == ["P_t1ce.nii.gz::003"]


def test_areas_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brats.write(tmp_path / "set")
    source = BratsSource(tmp_path / "set", **MINI, cache_dir=tmp_path / "cache")
    first = source.read()
    kept = sorted((tmp_path / "cache/slice_areas").iterdir())
    assert len(kept) == len(brats.FOLDERS)
    assert not any("BraTS" in path.name or "Brats" in path.read_text() for path in kept)
    kept[0].write_text('{"pixels": 10')  # cut short: measured again

    loads = []
    load = module.load_volume
    monkeypatch.setattr(module, "load_volume", lambda blob: loads.append(blob) or load(blob))
    assert source.read().table.equals(first.table)
    assert len(loads) == 2
    brats.save(next((tmp_path / "set").rglob("*_001_seg.nii")), brats.segmentation({4: 49}, 4))
    changed = source.read().table
    assert len(loads) == 4
    assert changed["label"][changed["image"].str.contains("_001_t1ce.nii::004")].item() == "tumor"


def test_choosing_slices() -> None:
    areas = SliceAreas(
        pixels=100, brain=[0, 9, 10, 50, 50, 50, 50, 9], tumour=[0, 0, 0, 1, 5, 6, 0, 8]
    )
    options = {"min_brain": 0.1, "min_tumour": 5, "step": 1, "limit": None}
    assert choose_slices(areas, **options) == ([2, 6], [4, 5])
    assert choose_slices(areas, **options | {"step": 2}) == ([2, 6], [4])
    assert choose_slices(areas, **options | {"min_brain": 0.0}) == ([0, 1, 2, 6], [4, 5, 7])
    assert choose_slices(areas, **options | {"min_brain": 0.0, "limit": 2}) == ([1, 6], [4, 7])


def test_brats_folders_that_are_incomplete(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DataError, match=r"no patients' volumes; expected PATIENT/.*synapse"):
        BratsSource(tmp_path).read()
    brats.write(tmp_path)
    next((tmp_path / brats.FOLDERS[0]).glob("*_seg.nii.gz")).unlink()
    message = (
        rf"no seg volume in {brats.FOLDERS[0]}; expected a file that ends in seg\.nii\.gz or .*, "
        r"found .*_flair\.nii\.gz.*skip_incomplete=true"
    )
    with pytest.raises(DataError, match=message):
        BratsSource(tmp_path, **MINI).read()
    left = BratsSource(tmp_path, **MINI, skip_incomplete=True).read()
    assert len(left) == sum(brats.EXPECTED.values()) - 4
    assert "1 of 10 folders without t1ce or seg left out" in caplog.text
    with pytest.raises(DataError, match=r"no t1 volume in .*expected a file that ends in t1"):
        BratsSource(tmp_path, sequence="t1").read()
    with pytest.raises(DataError, match="no folder with both t1 and seg"):
        BratsSource(tmp_path, sequence="t1", skip_incomplete=True).read()
    brats.save(tmp_path / brats.FOLDERS[1] / "other_t1ce.nii.gz", brats.volume(1))
    with pytest.raises(DataError, match=r"2 t1ce volumes in one folder, .*other_t1ce"):
        BratsSource(tmp_path, skip_incomplete=True).read()


def test_brats_volumes_that_are_damaged(tmp_path: Path) -> None:
    brats.write(tmp_path)
    bad = brats.volume(1).astype(np.float32)
    bad[3, 3, 3] = np.nan
    place = tmp_path / brats.FOLDERS[0]
    brats.save(next(place.glob("*_t1ce.nii.gz")), bad)
    with pytest.raises(DataError, match=r"200_1_t1ce\.nii\.gz: .*not finite"):
        BratsSource(tmp_path, **MINI).read()
    brats.save(next(place.glob("*_t1ce.nii.gz")), brats.volume(1)[:, :-1])
    message = r"_t1ce\.nii\.gz: 32x31x14 voxels, but its segmentation .*_seg\.nii\.gz has 32x32x14"
    with pytest.raises(DataError, match=message):
        BratsSource(tmp_path, **MINI).read()
    left = BratsSource(tmp_path, **MINI, on_error="skip").read()
    assert len(left) == sum(brats.EXPECTED.values()) - 4
    assert len(left.left_out) == 1
    assert "_t1ce.nii.gz" in left.left_out[0][0]
    assert "32x31x14" in left.left_out[0][1]
    with pytest.raises(DataError, match="no slice of 10 volumes has"):
        BratsSource(tmp_path, min_brain=0.99, on_error="skip").read()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence": "t3"}, r"data\.sequence=t3: expected one of t1, t1ce, t2, flair"),
        ({"min_brain": 1.0}, r"data\.min_brain=1\.0: expected 0 or more, less than 1"),
        ({"min_tumour": 0}, r"data\.min_tumour=0: expected 1 or more"),
        ({"step": 0}, r"data\.step=0"),
        ({"slices_per_patient": 0}, r"data\.slices_per_patient=0"),
        ({"on_error": "drop"}, r"data\.on_error=drop: expected one of raise, skip"),
    ],
)
def test_brats_settings_are_checked(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BratsSource(tmp_path, **options)
