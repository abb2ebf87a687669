"""Gaussian noise that is a function of a key: the same on every device and in every batch.

SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) in counter form gives 64 bits a step; each 16 of
them choose one of 65,536 normal quantiles, scaled to unit variance [ours]. Integers and a table
look-up have no rounding that could depend on a vector's length, as a logarithm or cosine has.
"""

import torch
from torch import Tensor

GAMMA, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
LEVELS = 2**16
_tables: dict[torch.device, Tensor] = {}


def normal_noise(keys: Tensor, count: int, *, seed: int = 0) -> Tensor:
    """Standard normal noise of each key.

    Args:
        keys: int64 ``[B]``, such as :func:`frerec.calibration.bank.content_keys`.
        count: Numbers a key.
        seed: Another seed gives other numbers to every key.

    Returns:
        float32 ``[B, count]`` on the device of ``keys``; the largest modulus is 4.3.
    """
    bits = splitmix64(_start(keys, seed), -(-count // 4))
    shifts = torch.tensor([0, 16, 32, 48], device=keys.device)
    levels = (bits[..., None] >> shifts) & (LEVELS - 1)
    return _quantiles(keys.device)[levels.flatten(1)[:, :count]]


def uniform_noise(keys: Tensor, *, seed: int, stream: int) -> Tensor:
    """A number from U[0, 1) for each key; equal keys, seeds and streams give equal numbers.

    Args:
        keys: int64 ``[B]``.
        seed: Of the draws.
        stream: What they are for, at least 1: draws for different purposes are independent.

    Returns:
        float64 ``[B]`` on the device of ``keys``.
    """
    bits = splitmix64(_start(keys, seed), stream)[:, -1]
    uniform: Tensor = _shift(bits, 11).double() * 2.0**-53
    return uniform


def splitmix64(state: Tensor, count: int) -> Tensor:
    """The first ``count`` outputs of SplitMix64 for each state.

    Args:
        state: int64 ``[B]``.
        count: Outputs a state.

    Returns:
        int64 ``[B, count]``: the generator's 64 bits as signed numbers.
    """
    steps = torch.arange(1, count + 1, device=state.device)
    return _mix(state[:, None] + steps * _signed(GAMMA))


def _start(keys: Tensor, seed: int) -> Tensor:
    return _mix(keys ^ _mix(torch.tensor(seed, dtype=torch.long, device=keys.device)))


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _signed(FIRST)
    z = (z ^ _shift(z, 27)) * _signed(SECOND)
    mixed: Tensor = z ^ _shift(z, 31)
    return mixed


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; PyTorch's own keeps the sign."""
    keep = 2 ** (64 - bits) - 1
    return torch.bitwise_and(z >> bits, keep)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _quantiles(device: torch.device) -> Tensor:
    if device not in _tables:
        middle = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
        quantiles = torch.special.ndtri(middle)
        _tables[device] = (quantiles / quantiles.square().mean().sqrt()).float().to(device)
    return _tables[device]
