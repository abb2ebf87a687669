"""The order of the images and the randomness of each follow from the seed alone."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Compose, RandFlip, RandGaussianNoise
from torch import Tensor
from torch.utils.data import DataLoader

from frerec.data.transforms import training_augmentation
from frerec.training_tools import AugmentedImages, Draw, DrawSampler, derive_seed


def draws(length: int, batch_size: int, steps: int, period: int, seed: int) -> list[Draw]:
    sampler = DrawSampler(length, batch_size=batch_size, steps=steps, period=period, seed=seed)
    found: list[Draw] = []
    while sampler.start < steps:
        part = list(sampler)
        assert len(part) == len(sampler)
        found += part
        sampler.start += len(part) // batch_size
    return found


plans = given(
    length=st.integers(1, 40),
    batch_size=st.integers(1, 9),
    steps=st.integers(1, 30),
    period=st.integers(1, 12),
    seed=st.integers(0, 2**32),
)


@plans
@settings(max_examples=60, deadline=None)
def test_every_image_comes_once_before_any_repeats(length, batch_size, steps, period, seed):
    found = draws(length, batch_size, steps, period, seed)
    assert [draw.number for draw in found] == list(range(steps * batch_size))
    for first in range(0, len(found), length):
        rows = [draw.row for draw in found[first : first + length]]
        assert len(set(rows)) == len(rows)
        assert set(rows) <= set(range(length))


@plans
@settings(max_examples=60, deadline=None)
def test_the_order_depends_on_seed_and_length_only(length, batch_size, steps, period, seed):
    found = draws(length, batch_size, steps, period, seed)
    other = draws(length, 1, steps * batch_size, steps * batch_size, seed)
    assert found == other


@given(start=st.integers(0, 29), period=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_starting_in_the_middle_continues_the_order(start, period):
    whole = draws(17, 3, 30, 30, 5)
    sampler = DrawSampler(17, batch_size=3, steps=30, period=period, seed=5)
    sampler.start = start
    part = list(sampler)
    assert part == whole[3 * start : 3 * start + len(part)]
    assert (start + len(part) // 3) % period == 0 or start + len(part) // 3 == 30


def test_shuffles_differ_between_rounds_and_seeds_and_are_uniform():
    rounds = np.array([d.row for d in draws(6, 1, 6 * 2000, 12000, 0)]).reshape(2000, 6)
    assert len({tuple(r) for r in rounds}) > 600  # of 720 orders
    first = np.bincount(rounds[:, 0], minlength=6)
    chi_square = float(((first - 2000 / 6) ** 2 / (2000 / 6)).sum())
    assert chi_square < 25.7  # 0.9999 quantile at 5 degrees of freedom
    assert [d.row for d in draws(20, 1, 20, 20, 0)] != [d.row for d in draws(20, 1, 20, 20, 1)]


def test_derived_seeds_do_not_collide_between_streams():
    seeds = {
        derive_seed(seed, stream, n) for seed in (0, 1) for stream in (1, 2, 3) for n in range(500)
    }
    assert len(seeds) == 3000


class Ramp(torch.utils.data.Dataset):
    """Twelve ramps of growing brightness; the label is the row."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return torch.linspace(0, 1, 256).reshape(1, 16, 16) * (row + 1) / 12, row


def batches(transform, workers: int = 0) -> Tensor:
    sampler = DrawSampler(12, batch_size=4, steps=6, period=6, seed=3)
    loader = DataLoader(
        AugmentedImages(Ramp(), transform, 3), batch_size=4, sampler=sampler, num_workers=workers
    )
    return torch.cat([images for images, _ in loader])


def test_augmentation_of_a_draw_is_the_same_in_any_order_and_process():
    for transform in (
        Compose([RandFlip(0.5, 1), RandGaussianNoise(1.0, std=0.1)]),
        training_augmentation("fundus"),
    ):
        images = AugmentedImages(Ramp(), transform, 3)
        torch.manual_seed(0)
        forward = [images[Draw(n % 12, n)][0] for n in range(24)]
        torch.manual_seed(99)
        backward = [images[Draw(n % 12, n)][0] for n in reversed(range(24))][::-1]
        assert all(torch.equal(a, b) for a, b in zip(forward, backward, strict=True))
        assert not torch.equal(forward[0], forward[12])  # the same image, drawn again
        assert torch.equal(batches(transform), batches(transform, workers=2))


def test_augmentation_leaves_the_global_random_numbers_alone():
    images = AugmentedImages(Ramp(), lambda image: image + torch.rand(()), 3)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    images[Draw(0, 0)]
    assert torch.equal(torch.rand(3), expected)


def test_a_draws_image_and_label_belong_together():
    sampler = DrawSampler(12, batch_size=3, steps=4, period=4, seed=0)
    images = AugmentedImages(Ramp(), None, 0)
    for draw in sampler:
        image, label = images[draw]
        assert label == draw.row
        assert math.isclose(float(image.max()), (label + 1) / 12, rel_tol=1e-6)
