"""Noise from keys, against SplitMix64's published outputs and the normal distribution."""

import numpy as np
import torch
from scipy import stats

from frerec.calibration.noise import normal_noise, splitmix64, uniform_noise


def test_the_bits_are_those_of_splitmix64() -> None:
    """The first outputs of the reference implementation for the seed 1234567."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    found = splitmix64(torch.tensor([1234567]), 5)[0].numpy().astype(np.uint64)
    assert found.tolist() == published


def test_the_noise_is_standard_normal_and_uncorrelated_between_keys() -> None:
    noise = normal_noise(torch.arange(40), 5000).double().numpy()
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert stats.kstest(noise.flatten(), "norm").pvalue > 1e-3
    correlation = np.corrcoef(noise)
    assert np.abs(correlation[~np.eye(40, dtype=bool)]).max() < 0.08
    assert abs(np.corrcoef(noise[:, :-1].flatten(), noise[:, 1:].flatten())[0, 1]) < 0.01


def test_uniform_noise_is_uniform() -> None:
    noise = uniform_noise(torch.arange(80_000), seed=0, stream=1).numpy()
    assert noise.min() >= 0
    assert noise.max() < 1
    assert stats.kstest(noise, "uniform").pvalue > 1e-3


def test_a_key_gives_the_same_numbers_alone_and_a_seed_others() -> None:
    keys = torch.tensor([3, -(2**63), 2**63 - 1])
    together = normal_noise(keys, 7)
    assert torch.equal(normal_noise(keys[1:2], 7)[0], together[1])
    assert torch.equal(normal_noise(keys, 5), together[:, :5])
    assert not torch.equal(normal_noise(keys, 7, seed=1), together)
