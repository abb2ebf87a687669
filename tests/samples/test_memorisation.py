"""Copies of training images are found, fresh images are spared, thresholds come from real pairs."""

import json

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch.nn import functional as F

from fixtures import textured_images
from frerec.errors import ConfigError, DataError
from frerec.evaluation.features import build_extractor
from frerec.report.style import LIGHT, drawing
from frerec.samples.memorisation import Memorisation, find_memorised
from frerec.samples.memorisation_figure import (
    memorisation_figure,
    worst_first,
    write_memorisation_figure,
)
from frerec.spectral.damage import checkerboard

REAL = textured_images(80, height=48, width=48)
FRESH = textured_images(20, height=48, width=48, seed=1)


@pytest.fixture(scope="module")
def extractor():
    return build_extractor(name="resnet10t", image_size=32)


def shifted(images: torch.Tensor) -> torch.Tensor:
    return F.pad(images, (1, 0, 1, 0), mode="replicate")[..., :-1, :-1]


def blurred(images: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


COPIES = {
    "exact": REAL[:5],
    "blurred": blurred(REAL[:5]),
    "shifted": shifted(REAL[:5]),
    "damaged": checkerboard(REAL[:5], 1.0),
    "darker": REAL[:5] * 0.9,
}


@pytest.mark.parametrize("rule", ["both", "either", "ssim", "features"])
def test_damaged_copies_are_flagged_with_their_source_and_fresh_images_are_not(
    rule, extractor
) -> None:
    samples = torch.cat([*COPIES.values(), FRESH, blurred(FRESH)])
    found = find_memorised(samples, REAL, None, extractor, rule=rule)
    copies = 5 * len(COPIES)
    missed = ~found.flagged[:copies]
    assert missed.mean() <= (0.2 if rule in ("both", "features") else 0.0)
    assert found.flagged[copies:].mean() <= 0.05
    assert found.table["ssim_row"][:copies].tolist() == list(range(5)) * len(COPIES)
    assert found.table["feature_row"][:5].tolist() == list(range(5))


def test_ssim_and_ratio_are_the_formulas_on_reduced_images(extractor) -> None:
    small = F.interpolate(torch.cat([FRESH[:1], REAL]), (32, 32), mode="bilinear", antialias=True)
    query, bank = small[0, 0].double().numpy(), small[1:, 0].double().numpy()
    scores = []
    for image in bank:
        _, full = structural_similarity(
            query, image, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        scores.append(full[5:-5, 5:-5].mean())
    order = np.argsort(scores)[::-1]
    distances = 1 - np.array(scores)[order]
    row = find_memorised(FRESH[:1], REAL, None, extractor).table.iloc[0]
    assert row["ssim_row"] == order[0]
    assert row["ssim"] == pytest.approx(scores[order[0]], abs=1e-4)
    assert row["ssim_ratio"] == pytest.approx(distances[0] / distances[1:10].mean(), rel=1e-3)


def test_a_patient_with_many_alike_images_does_not_hide_a_copy(extractor) -> None:
    # Ten nearly equal images of a patient: the next nearest must be of other patients.
    twins = (REAL[:1] + 0.01 * torch.randn(10, 1, 48, 48, generator=torch.manual_seed(0))).clamp(
        0, 1
    )
    real = torch.cat([twins, REAL[10:]])
    groups = ["twin"] * 10 + [f"p{k}" for k in range(70)]
    copy = blurred(twins[:1])
    found = find_memorised(copy, real, groups, extractor)
    assert found.flagged.all()
    assert found.n_groups == 71
    assert found.real_duplicates == 0  # nor are twins near-duplicates of another patient's


def test_near_duplicates_among_the_real_images_do_not_set_the_threshold(extractor) -> None:
    real = torch.cat([REAL, REAL[:10] * 0.99])
    found = find_memorised(COPIES["blurred"], real, None, extractor, quantile=0.05)
    assert found.real_duplicates == 20
    assert found.thresholds["ssim"] > 0.3
    assert found.real_flagged <= 0.05


def test_the_threshold_is_the_quantile_of_real_pairs(extractor) -> None:
    # The real images as samples find themselves; fresh ones of one distribution are flagged about
    # as often as the quantile says.
    fresh = textured_images(100, height=48, width=48, seed=7)
    found = find_memorised(fresh, REAL, None, extractor, quantile=0.2)
    assert found.real_flagged == pytest.approx(0.2, abs=0.02)
    assert 0.1 < found.flagged.mean() < 0.32
    assert find_memorised(REAL[:8], REAL, None, extractor).flagged.all()


def test_mirrored_copies_need_the_option(extractor) -> None:
    mirrored = REAL[:6].flip(-1)
    assert not find_memorised(mirrored, REAL, None, extractor).flagged.any()
    found = find_memorised(mirrored, REAL, None, extractor, mirrored=True)
    assert found.flagged.all()
    assert found.table["ssim_mirrored"].all()
    assert found.table["ssim_row"].tolist() == list(range(6))


def test_large_shifts_need_the_option(extractor) -> None:
    moved = shifted(shifted(shifted(REAL[:6])))
    plain = find_memorised(moved, REAL, None, extractor)
    aligned = find_memorised(moved, REAL, None, extractor, shift=2)
    assert aligned.flagged.all()
    assert (aligned.table["ssim"] > plain.table["ssim"]).all()


def test_what_is_saved_comes_back_and_names_no_patient(tmp_path, extractor) -> None:
    groups = [f"secret-{k}" for k in range(80)]
    found = find_memorised(FRESH[:4], REAL, groups, extractor, rule="either")
    found.save(tmp_path / "check")
    again = Memorisation.load(tmp_path / "check")
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(again.table.to_numpy(), found.table.to_numpy())
    text = (tmp_path / "check" / "memorisation.json").read_text()
    assert "secret" not in text
    assert json.loads(text)["n_samples"] == 4
    (tmp_path / "check" / "memorisation.json").write_text("{}")
    with pytest.raises(DataError, match="run the check again"):
        Memorisation.load(tmp_path / "check")


def test_bad_settings_and_images_are_refused_in_one_line(extractor) -> None:
    for settings, message in (
        ({"rule": "any"}, "memorisation.rule=any: expected one of both, either"),
        ({"quantile": 0.0}, r"memorisation.quantile=0.0: expected a number in \(0, 0.5\]"),
        ({"shift": 9}, "memorisation.shift=9"),
        ({"shift": 0.5}, "memorisation.shift=0.5: expected a whole number"),
    ):
        with pytest.raises(ConfigError, match=message):
            find_memorised(FRESH, REAL, None, extractor, **settings)
    for samples, real, groups, message in (
        (FRESH[..., :32], REAL, None, "expected the same"),
        (FRESH, REAL, [1, 2], "2 groups for 80 real images"),
        (FRESH, REAL, np.arange(80) % 2, "fewer than three patients"),
        (FRESH[..., :8, :8], REAL[..., :8, :8], None, "SSIM needs 11 x 11"),
    ):
        with pytest.raises(DataError, match=message):
            find_memorised(samples, real, groups, extractor)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_figure_shows_the_worst_pairs_first_with_their_scores(channels, tmp_path) -> None:
    real, fresh = (x[:20].expand(-1, channels, -1, -1) for x in (REAL, FRESH))
    samples = torch.cat([fresh[:4], real[3:4]])
    of_colour = build_extractor(name="resnet10t", image_size=32, channels=channels)
    found = find_memorised(samples, real, None, of_colour)
    assert worst_first(found)[0] == 4
    with drawing(LIGHT):
        figure = memorisation_figure(found, samples, real, LIGHT, count=3)
        figure.canvas.draw()
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert "no. 4, flagged" in labels
    write_memorisation_figure(found, samples, real, tmp_path / "pairs.png")
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.png"]
    assert sum(label.startswith("no. ") for label in labels) == 3
