"""Phantoms: what their users rely on, checked on the drawn pixels."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from frerec.data.phantoms import PHANTOMS, PhantomSet, draw_phantoms, write_phantoms
from frerec.data.phantoms.streams import Draws
from frerec.data.phantoms.texture import blur, power_law_field
from frerec.errors import ConfigError, DataError

MODALITIES = sorted(PHANTOMS)


@pytest.fixture(scope="module")
def cohorts() -> dict[str, PhantomSet]:
    return {m: draw_phantoms(m, 400, size=64, seed=5) for m in MODALITIES}


def radial_power(images: np.ndarray) -> np.ndarray:
    """Mean power of `[N, C, H, W]` over rings of whole frequencies, DC first."""
    size = images.shape[-1]
    power = (np.abs(np.fft.fft2(images)) ** 2).mean(axis=(0, 1))
    f = np.fft.fftfreq(size) * size
    ring = np.rint(np.hypot(f[:, None], f[None])).astype(int).ravel()
    return np.bincount(ring, power.ravel()) / np.bincount(ring)


def slope(power: np.ndarray, first: int, last: int) -> float:
    k = np.arange(first, last)
    return float(np.polyfit(np.log(k), np.log(power[first:last]), 1)[0])


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("size", [32, 45, 64])
def test_images_have_the_promised_shape_type_and_range(modality: str, size: int) -> None:
    drawn = draw_phantoms(modality, 6, size=size, seed=1)
    assert drawn.images.shape == (6, PHANTOMS[modality].channels, size, size)
    assert drawn.images.dtype == np.float32
    assert drawn.labels.dtype == drawn.patients.dtype == np.int64
    assert drawn.images.min() >= 0.0
    assert drawn.images.max() <= 1.0
    assert drawn.images.std(axis=(1, 2, 3)).min() > 0.08  # nobody is blank


@pytest.mark.parametrize("modality", MODALITIES)
def test_an_image_does_not_depend_on_how_many_are_drawn(
    modality: str, cohorts: dict[str, PhantomSet]
) -> None:
    many = cohorts[modality]
    for count in (7, 131):  # 131: the second chunk is cut short
        few = draw_phantoms(modality, count, size=64, seed=5)
        np.testing.assert_array_equal(few.images, many.images[:count])
        np.testing.assert_array_equal(few.labels, many.labels[:count])
        np.testing.assert_array_equal(few.patients, many.patients[:count])
        for name, values in few.drawn.items():
            np.testing.assert_array_equal(values, many.drawn[name][:count])


@pytest.mark.parametrize("modality", MODALITIES)
def test_seeds_give_other_patients(modality: str) -> None:
    one, two = (draw_phantoms(modality, 4, size=32, seed=s).images for s in (0, 1))
    assert np.abs(one - two).mean(axis=(1, 2, 3)).min() > 0.02


@pytest.mark.parametrize("per_patient", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 41])
def test_labels_are_balanced_in_no_simple_order_and_constant_in_a_patient(
    count: int, per_patient: int
) -> None:
    drawn = draw_phantoms("brain_mri", count, size=32, images_per_patient=per_patient)
    positive = int(drawn.labels.sum())
    assert abs(positive - (count - positive)) <= 1
    for patient in np.unique(drawn.patients):
        mine = drawn.labels[drawn.patients == patient]
        assert len(mine) <= per_patient
        assert np.ptp(mine) == 0
    if count > 40:
        alternating = np.arange(count) % 2
        assert 0.2 < np.mean(drawn.labels == alternating) < 0.8
        assert (np.diff(drawn.labels) < 0).sum() > 5  # nor sorted
        assert len(np.unique(drawn.patients)) == pytest.approx(count / per_patient, abs=2)


@pytest.mark.parametrize("modality", MODALITIES)
def test_images_of_a_patient_share_anatomy_but_not_noise(modality: str) -> None:
    drawn = draw_phantoms(modality, 40, size=48, seed=3, images_per_patient=2)
    flat = drawn.images.reshape(40, -1).astype(np.float64)
    correlation = np.corrcoef(flat - flat.mean(axis=0))  # without what all patients share
    same = drawn.patients[:, None] == drawn.patients[None]
    other = np.eye(40) == 0
    within, between = correlation[same & other], correlation[~same]
    assert within.mean() > 0.5
    assert within.mean() > np.quantile(between, 0.95) + 0.1
    assert within.max() < 0.9999


@pytest.mark.parametrize("modality", MODALITIES)
def test_anatomy_is_the_same_at_every_size(modality: str) -> None:
    small = draw_phantoms(modality, 12, size=64, seed=2)
    large = draw_phantoms(modality, 12, size=192, seed=2)
    reduced = large.images.reshape(*large.images.shape[:2], 64, 3, 64, 3).mean(axis=(3, 5))
    for name, values in small.drawn.items():
        np.testing.assert_array_equal(values, large.drawn[name])
    for a, b in zip(small.images, reduced, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("modality", MODALITIES)
def test_global_statistics_do_not_give_the_label_away(
    modality: str, cohorts: dict[str, PhantomSet]
) -> None:
    images, labels = cohorts[modality].images, cohorts[modality].labels
    f = np.fft.fftfreq(64)
    high = np.hypot(f[:, None], f[None]) >= 0.25
    power = np.abs(np.fft.fft2(images)) ** 2
    statistics = np.stack(
        [
            images.mean(axis=(1, 2, 3)),
            images.std(axis=(1, 2, 3)),
            np.square(images).mean(axis=(1, 2, 3)),
            np.log((power * high).mean(axis=(1, 2, 3))),
        ],
        axis=1,
    )
    for column in statistics.T:
        assert abs(roc_auc_score(labels, column) - 0.5) < 0.15
    judge = make_pipeline(StandardScaler(), LogisticRegression())
    guess = cross_val_predict(judge, statistics, labels, cv=5, method="predict_proba")[:, 1]
    assert roc_auc_score(labels, guess) < 0.65


@pytest.mark.parametrize("modality", MODALITIES)
def test_spectra_fall_as_a_power_law_in_the_middle_band(
    modality: str, cohorts: dict[str, PhantomSet]
) -> None:
    power = radial_power(cohorts[modality].images)
    # The project's real images of these modalities: -1.4 (MRI) to -2.8 (X-ray, fundus).
    assert -4.0 < slope(power, 4, 20) < -1.2
    k = np.arange(4, 20)
    line = np.polyval(np.polyfit(np.log(k), np.log(power[4:20]), 1), np.log(k))
    residual = np.log(power[4:20]) - line
    assert 1 - residual.var() / np.log(power[4:20]).var() > 0.9


@pytest.mark.parametrize("exponent", [2.0, 2.5, 3.0])
def test_texture_has_the_exponent_it_was_asked_for(exponent: float) -> None:
    white = np.random.default_rng(0).standard_normal((24, 64, 64)).astype(np.float32)
    field = power_law_field(white, exponent)
    assert slope(radial_power(field[:, None]), 3, 28) == pytest.approx(-exponent, abs=0.1)
    np.testing.assert_allclose(field.mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(field.std(axis=(1, 2)), 1, atol=1e-3)


def test_blur_is_scipys_gaussian_filter() -> None:
    from scipy.ndimage import gaussian_filter

    images = np.random.default_rng(1).random((2, 48, 48)).astype(np.float32)
    expected = gaussian_filter(images.astype(np.float64), (0, 2.0, 2.0), mode="reflect", truncate=8)
    np.testing.assert_allclose(blur(images, 2.0), expected, atol=1e-4)


def test_chest_labels_follow_the_drawn_cardiothoracic_ratio(
    cohorts: dict[str, PhantomSet],
) -> None:
    drawn = cohorts["chest_xray"]
    ratio, enlarged = drawn.drawn["cardiothoracic_ratio"], drawn.labels == 1
    assert ratio[~enlarged].mean() < 0.48
    assert ratio[enlarged].mean() > 0.52
    assert 0.9 < roc_auc_score(drawn.labels, ratio) < 0.99  # overlapping: not a clean threshold
    assert np.mean((ratio > 0.5) == enlarged) > 0.85


def test_the_drawn_heart_is_as_wide_as_the_ratio_says(cohorts: dict[str, PhantomSet]) -> None:
    """Measured on the pixels: how far the bright middle reaches between the dark lungs."""
    drawn = cohorts["chest_xray"]
    band = drawn.images[:, 0, 36:42].mean(axis=1)  # rows through the lower heart
    low, high = np.quantile(band[:, 8:56], [0.1, 0.9], axis=1)
    lung = band < ((low + high) / 2)[:, None]
    share = 1 - lung[:, 12:52].mean(axis=1)
    correlation = np.corrcoef(share, drawn.drawn["cardiothoracic_ratio"])[0, 1]
    assert correlation > 0.5


def test_lesions_are_drawn_for_the_positive_class_only(cohorts: dict[str, PhantomSet]) -> None:
    brain, fundus = cohorts["brain_mri"], cohorts["fundus"]
    np.testing.assert_array_equal(brain.drawn["lesion_radius"] > 0, brain.labels == 1)
    np.testing.assert_array_equal(fundus.drawn["microaneurysms"] > 0, fundus.labels == 1)
    assert not fundus.drawn["exudates"][fundus.labels == 0].any()


def test_fundus_blood_is_red_on_an_orange_retina_in_a_black_frame(
    cohorts: dict[str, PhantomSet],
) -> None:
    images = cohorts["fundus"].images
    assert images[:, :, :3, :3].mean() < 0.03
    red, green, blue = images[:, :, 20:44, 20:44].mean(axis=(0, 2, 3))
    assert red > 1.3 * green > 1.3 * blue


def test_equal_keys_draw_equal_values_and_noise_shifts_nothing() -> None:
    quiet, noisy = Draws([(1, 2), (3, 4)]), Draws([(1, 2), (3, 4)])
    noisy.white(8, 8)
    np.testing.assert_array_equal(quiet.uniform(0, 1, 5), noisy.uniform(0, 1, 5))
    assert not np.array_equal(quiet.white(8, 8), noisy.white(8, 8))


@pytest.mark.parametrize(
    ("modality", "count", "options", "named"),
    [
        ("brain", 4, {}, "brain_mri"),
        ("fundus", 0, {}, "count"),
        ("fundus", 4, {"size": 31}, "size"),
        ("fundus", 4, {"seed": -1}, "seed"),
        ("fundus", 4, {"images_per_patient": 0}, "images_per_patient"),
        ("fundus", 2.5, {}, "count"),
    ],
)
def test_bad_requests_are_named_in_one_line(
    modality: str, count: int, options: dict[str, int], named: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        draw_phantoms(modality, count, **options)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=named):
        write_phantoms(tmp_path / "new", modality, count, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("modality", ["chest_xray", "fundus"])
def test_written_files_are_the_drawn_images_to_eight_bits(modality: str, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "set"
    write_phantoms(root, modality, 5, size=40, seed=4, images_per_patient=2)
    drawn = draw_phantoms(modality, 5, size=40, seed=4, images_per_patient=2)
    with (root / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "label", "patient_id"]
    for i, row in enumerate(rows):
        name = PHANTOMS[modality].classes[drawn.labels[i]]
        assert row["label"] == name
        assert row["image"] == f"images/{name}/{i:06d}.png"
        assert int(row["patient_id"].removeprefix("P")) == drawn.patients[i]
        pixels = np.asarray(Image.open(root / row["image"]), dtype=np.float64) / 255
        expected = drawn.images[i, 0] if modality == "chest_xray" else drawn.images[i]
        pixels = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        np.testing.assert_allclose(pixels, expected, atol=0.5 / 255 + 1e-6)
    files = [p for p in root.rglob("*") if p.is_file()]
    assert len(files) == 5 + 1
    assert [p.name for p in root.parent.iterdir()] == ["set"]


def test_writing_neither_overwrites_nor_leaves_a_half_written_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    write_phantoms(root, "brain_mri", 2, size=32)  # an empty folder may be filled
    before = {p: p.read_bytes() for p in root.rglob("*.png")}
    with pytest.raises(DataError, match="set"):
        write_phantoms(root, "brain_mri", 3, size=32, seed=1)
    assert {p: p.read_bytes() for p in root.rglob("*.png")} == before

    def full_disk(*args: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("frerec.data.phantoms.write._write_png", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_phantoms(tmp_path / "other", "brain_mri", 2, size=32)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
