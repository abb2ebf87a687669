"""DiffAugment: each image its own draws, the paper's strengths, and gradients that pass."""

import numpy as np
import pytest
import torch

from fixtures import textured_images
from frerec.errors import ConfigError
from frerec.generators import diff_augment as augmentations
from frerec.generators.diff_augment import check_policy, diff_augment

ALL = ("color", "translation", "cutout")


def pictures(count: int, channels: int = 1, side: int = 16):
    return 2 * textured_images(count, channels=channels, height=side, width=side) - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", [(), *[(name,) for name in ALL], ALL])
def test_shapes_are_kept_and_gradients_pass(channels, policy):
    images = pictures(4, channels).requires_grad_(True)
    torch.manual_seed(0)
    changed = diff_augment(images, policy)
    assert changed.shape == images.shape
    assert (changed is images) == (policy == ())
    changed.square().sum().backward()
    per_image = images.grad.flatten(1).abs().sum(1)
    assert bool(torch.isfinite(images.grad).all())
    assert bool((per_image > 0).all())


@pytest.mark.parametrize("policy", [(name,) for name in ALL])
def test_every_image_gets_draws_of_its_own_that_follow_the_seed(policy):
    same = pictures(1).expand(16, -1, -1, -1)
    torch.manual_seed(3)
    changed = diff_augment(same, policy)
    assert len(torch.unique(changed.flatten(1), dim=0)) > 8
    torch.manual_seed(3)
    assert torch.equal(changed, diff_augment(same, policy))


def test_brightness_adds_a_number_within_half():
    images = pictures(2000, side=4)
    added = augmentations.brightness(images) - images
    assert float((added - added.mean((1, 2, 3), keepdim=True)).abs().max()) < 1e-5
    shift = added.mean((1, 2, 3))
    assert float(shift.abs().max()) <= 0.5 + 1e-5
    assert float(shift.mean()) == pytest.approx(0, abs=0.03)
    assert float(shift.std()) == pytest.approx(1 / np.sqrt(12), abs=0.02)


def test_contrast_keeps_the_mean_and_scales_by_a_half_to_three_halves():
    images = pictures(2000, side=4)
    changed = augmentations.contrast(images)
    torch.testing.assert_close(changed.mean((1, 2, 3)), images.mean((1, 2, 3)))
    scale = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.5 <= float(scale.min()) < 0.52
    assert 1.48 < float(scale.max()) <= 1.5 + 1e-4
    assert float(scale.mean()) == pytest.approx(1, abs=0.03)


def test_saturation_scales_the_distance_from_grey_and_leaves_grey_images_alone():
    images = pictures(1000, channels=3, side=4)
    changed = augmentations.saturation(images)
    grey = images.mean(1, keepdim=True)
    torch.testing.assert_close(changed.mean(1, keepdim=True), grey, atol=1e-5, rtol=1e-4)
    scale = (changed - grey).flatten(1).norm(dim=1) / (images - grey).flatten(1).norm(dim=1)
    assert float(scale.min()) < 0.05
    assert 1.95 < float(scale.max()) <= 2 + 1e-4
    assert torch.equal(augmentations.saturation(images[:, :1]), images[:, :1])


def test_translation_is_a_shift_that_zeros_follow():
    images = pictures(200, channels=3)
    moved = augmentations.translation(images).numpy()
    shifts = set()
    for before, after in zip(images.numpy(), moved, strict=True):
        padded = np.pad(before, ((0, 0), (2, 2), (2, 2)))  # an eighth of 16
        found = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if np.array_equal(padded[:, dy : dy + 16, dx : dx + 16], after)
        ]
        assert len(found) == 1
        shifts.update(found)
    assert len(shifts) == 25


def test_cutout_blanks_a_square_of_half_the_side():
    blanked = augmentations.cutout(torch.ones(3000, 2, 16, 16)).numpy() == 0
    assert np.array_equal(blanked[:, 0], blanked[:, 1])
    rows, columns = blanked[:, 0].any(2), blanked[:, 0].any(1)
    assert np.array_equal(blanked[:, 0], rows[:, :, None] & columns[:, None, :])
    heights = rows.sum(1)
    # The middle is uniform over the pixels: at the border half of the square is outside.
    assert (heights.min(), heights.max()) == (4, 8)
    assert heights.mean() == pytest.approx(columns.sum(1).mean(), abs=0.2)
    covered = blanked[:, 0].mean(0)
    np.testing.assert_allclose(covered, covered[::-1, ::-1], atol=0.06)


def test_an_unknown_policy_is_named():
    check_policy([])
    with pytest.raises(ConfigError, match="augment: blur is unknown; expected a list of color"):
        check_policy(["color", "blur"])
    with pytest.raises(ConfigError, match=r"augment=color: expected a list, as \[color\]"):
        check_policy("color")
