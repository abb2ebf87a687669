"""FID, KID, precision and recall against independent references; quality with its floor."""

import json

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import textured_images
from frerec.errors import ConfigError, DataError
from frerec.evaluation.feature_distances import (
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from frerec.evaluation.features import build_extractor
from frerec.evaluation.generative import GenerativeQuality, measure_quality, patient_halves
from frerec.evaluation.image_quality import spectral_detector_auc
from frerec.spectral import log_spectral_distance
from frerec.spectral.damage import attenuate

REAL = textured_images(60, height=32, width=32)
SAMPLES = textured_images(50, height=32, width=32, seed=1)


@pytest.fixture(scope="module")
def extractor():
    return build_extractor(name="resnet10t", image_size=32)


def gaussian(count: int, width: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((width, width))
    return torch.from_numpy(scale * rng.standard_normal((count, width)) @ mix + seed)


@pytest.mark.parametrize("count", [200, 6])  # 6 in 8 dimensions: singular covariances
def test_fid_is_the_closed_form_of_two_gaussians(count: int) -> None:
    a, b = gaussian(count, 8, 1), gaussian(count, 8, 2)
    covariances = [np.cov(x.numpy(), rowvar=False) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = float((a.mean(0) - b.mean(0)).square().sum())
    expected += np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shift", [0.5, 3.0])
def test_fid_of_a_shift_is_its_square_times_the_dimensions(shift: float) -> None:
    a = gaussian(100, 5, 0).float()
    # In float32 the matrix square root would miss this by far.
    assert frechet_distance(a, a.double() + shift) == pytest.approx(5 * shift**2, rel=1e-6)


def test_kid_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    a, b = gaussian(40, 6, 1, 0.3).numpy(), gaussian(40, 6, 2, 0.3).numpy()
    k_aa, k_bb, k_ab = (((x @ y.T) / 6 + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    n = len(a)
    expected = sum((k.sum() - np.trace(k)) / (n * (n - 1)) for k in (k_aa, k_bb))
    expected -= 2 * k_ab.mean()
    # A subset of all rows is the whole set, whatever the draw.
    mean, deviation = kernel_distance(torch.from_numpy(a), torch.from_numpy(b), subset_size=40)
    assert mean == pytest.approx(expected, rel=1e-9)
    assert deviation == pytest.approx(0, abs=1e-9 * expected)


def test_kid_draws_its_subsets_from_the_seed_alone() -> None:
    a, b = gaussian(60, 4, 1), gaussian(60, 4, 2)
    state = torch.get_rng_state()
    first = kernel_distance(a, b, subset_size=20, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert kernel_distance(a, b, subset_size=20, seed=1) == first
    assert kernel_distance(a, b, subset_size=20, seed=2) != first


def naive_coverage(inside: np.ndarray, of: np.ndarray, k: int) -> float:
    """Share of the points that lie in a ball around a point of the other set."""
    hit = 0
    for point in inside:
        for centre in of:
            radius = np.sort(np.linalg.norm(of - centre, axis=1))[k]  # the 0th is itself
            if np.linalg.norm(point - centre) <= radius:
                hit += 1
                break
    return hit / len(inside)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(1, 10_000), k=st.integers(1, 4), scale=st.floats(0.2, 3))
def test_precision_and_recall_are_the_naive_ones(seed: int, k: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.standard_normal((17, 3)), scale * rng.standard_normal((13, 3))
    found = precision_recall(torch.from_numpy(real), torch.from_numpy(fake), neighbours=k)
    expected = naive_coverage(fake, real, k), naive_coverage(real, fake, k)
    assert found == pytest.approx(expected, abs=1e-6)


def test_equal_sets_have_precision_and_recall_one_and_far_sets_none() -> None:
    a = gaussian(30, 4, 1)
    assert precision_recall(a, a.clone()) == (1.0, 1.0)
    assert precision_recall(a, a + 1e4) == (0.0, 0.0)


def test_samples_of_a_narrow_part_are_precise_but_do_not_recall() -> None:
    # Which of the two is which: a mix-up of the sets would swap them.
    rng = np.random.default_rng(0)
    wide = torch.from_numpy(rng.uniform(-10, 10, (300, 2)))
    narrow = torch.from_numpy(rng.uniform(-1, 1, (300, 2)))
    precision, recall = precision_recall(wide, narrow)
    assert precision > 0.9 > 0.2 > recall


def test_more_damage_is_farther_away(extractor) -> None:
    found = [measure_quality(REAL, attenuate(SAMPLES, dose), extractor) for dose in (0.0, 0.5, 1.0)]
    for figure in ("fid", "kid", "lsd_high_db"):
        values = [getattr(quality, figure) for quality in found]
        assert values[0] < values[1] < values[2], figure


def test_the_floor_is_of_disjoint_patients_at_the_size_of_the_matched_figures(extractor) -> None:
    quality = measure_quality(REAL, attenuate(SAMPLES, 1.0), extractor, groups=np.arange(60) // 3)
    assert quality.floor is not None
    assert quality.matched is not None
    sizes = {(d.n_real, d.n_synthetic) for d in (quality.floor, quality.matched)}
    assert sizes == {(30, 30)}
    assert (quality.n_real, quality.n_synthetic) == (60, 50)
    assert quality.floor.kid < 0.2 * quality.matched.kid
    assert quality.floor.lsd_high_db < 0.2 * quality.matched.lsd_high_db


@settings(max_examples=30, deadline=None)
@given(patients=st.lists(st.integers(0, 12), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_halves_share_no_patient_and_lose_no_image(patients: list[int], seed: int) -> None:
    codes = np.array(patients)
    first, second = patient_halves(codes, seed)
    assert not set(codes[first]) & set(codes[second])
    assert sorted([*first, *second]) == list(range(len(codes)))
    assert abs(len(first) - len(second)) <= np.bincount(codes).max()


def test_spectral_figures_are_those_of_the_benchmark(extractor) -> None:
    groups = np.arange(60) // 2
    quality = measure_quality(REAL, SAMPLES, extractor, groups=groups)
    assert quality.lsd_db == pytest.approx(log_spectral_distance(REAL, SAMPLES))
    expected = log_spectral_distance(REAL, SAMPLES, minimum_radius=0.5)
    assert quality.lsd_high_db == pytest.approx(expected)
    expected = spectral_detector_auc(REAL, SAMPLES, groups=groups)
    assert quality.detector_auc == pytest.approx(expected)


def test_classes_of_fifty_images_have_figures_of_their_own(extractor) -> None:
    real, samples = REAL.repeat(2, 1, 1, 1), SAMPLES.repeat(2, 1, 1, 1)
    labels = ["ill"] * 60 + ["well"] * 60, ["ill"] * 50 + ["rare"] * 50
    quality = measure_quality(real, samples, extractor, labels=labels)
    assert list(quality.classes) == ["ill"]
    assert GenerativeQuality.from_dict(quality.to_dict()) == quality
    assert quality.classes["ill"].kid == pytest.approx(
        measure_quality(REAL, SAMPLES, extractor).kid, rel=1e-3, abs=1e-6
    )


def test_a_limit_draws_images_with_their_patients_and_classes(extractor) -> None:
    # Patients of two images each; labels say which image it is, so that a mix-up would show.
    settings = {"groups": np.arange(60) // 2, "labels": (["a"] * 60, ["a"] * 50), "seed": 3}
    quality = measure_quality(REAL, SAMPLES, extractor, limit=50, **settings)
    assert (quality.n_real, quality.n_synthetic) == (50, 50)
    rows = np.sort(np.random.default_rng(3).permutation(60)[:50])
    settings |= {"groups": (np.arange(60) // 2)[rows], "labels": (["a"] * 50, ["a"] * 50)}
    alone = measure_quality(REAL[rows], SAMPLES, extractor, **settings)
    assert quality.kid == pytest.approx(alone.kid, rel=1e-3)
    assert quality.floor is not None
    assert alone.floor is not None
    assert quality.floor.fid == pytest.approx(alone.floor.fid, rel=1e-3)
    assert list(quality.classes) == ["a"]
    with pytest.raises(ConfigError, match=r"quality.limit=1: expected at least 2"):
        measure_quality(REAL, SAMPLES, extractor, limit=1)


def test_what_cannot_be_relied_on_is_said_and_the_result_is_plain_json(extractor) -> None:
    quality = measure_quality(REAL[:4], SAMPLES[:3], extractor, groups=[1, 1, 1, 1])
    assert quality.floor is None
    assert quality.precision is None
    assert quality.detector_auc is None
    text = " ".join(quality.warnings)
    assert "FID of 3 images in 512 features is unreliable; read KID" in text
    assert "no floor" in text
    plain = json.loads(json.dumps(quality.to_dict(), allow_nan=False))
    assert GenerativeQuality.from_dict(plain) == quality
    assert plain["features"] == "timm resnet10t, random weights (seed 0), 32 px"


def test_bad_sets_are_refused_in_one_line(extractor) -> None:
    with pytest.raises(DataError, match="60 real and 1 synthetic images; expected at least 2"):
        measure_quality(REAL, SAMPLES[:1], extractor)
    with pytest.raises(DataError, match=r"expected the same \[C, H, W\]"):
        measure_quality(REAL, SAMPLES[..., :16], extractor)
    with pytest.raises(DataError, match="3 groups for 60 real images"):
        measure_quality(REAL, SAMPLES, extractor, groups=[1, 2, 3])
    with pytest.raises(DataError, match="60 and 0 labels"):
        measure_quality(REAL, SAMPLES, extractor, labels=(["a"] * 60, []))
    with pytest.raises(DataError, match=r"expected at least 4 of each"):
        precision_recall(torch.rand(3, 2), torch.rand(9, 2))
    with pytest.raises(DataError, match=r"expected \[N, D\] and \[M, D\]"):
        frechet_distance(torch.rand(9, 2), torch.rand(9, 3))
