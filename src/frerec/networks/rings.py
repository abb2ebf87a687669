"""Which ring each frequency belongs to, as matrices that are made once for a size.

A compiled network holds them as constants: ``torch.compile`` looks through a cache, and would
otherwise trace their making into the network and repeat it at every call.
"""

from functools import lru_cache

import torch
from torch import Tensor

from frerec.spectral.bands import hermitian_weight, ring_index


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def ring_matrices(
    height: int, width: int, rings: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Matrices that average over rings, and that hand a value a ring to its frequencies.

    As matrix products both are faster than indexing, forward and backward, and their gradients
    are the same in every run.

    Args:
        height: Image height in pixels.
        width: Image width in pixels.
        rings: Number of equal-width rings up to the corner of the spectrum.
        device: Where the matrices are needed.

    Returns:
        ``average`` ``[H (W // 2 + 1), rings]``: its columns hold the shares of the half plane's
        frequencies in each ring's mean over the full plane (an empty ring's mean is 0); and
        ``membership`` ``[rings, H (W // 2 + 1)]`` of zeros and ones. Both float32.
    """
    return _ring_matrices(height, width, rings, device)


@lru_cache(maxsize=32)
def _ring_matrices(
    height: int, width: int, rings: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False), torch.no_grad():
        ring = ring_index(height, width, rings).flatten()
        membership = torch.zeros(rings, ring.numel(), dtype=torch.float64)
        membership[ring, torch.arange(ring.numel())] = 1.0
        average = (membership * hermitian_weight(height, width).flatten()).T
        average = average / average.sum(0, keepdim=True).clamp_min(1.0)
        return average.contiguous().float().to(device), membership.float().to(device)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def ring_windows(rings: int, device: torch.device) -> Tensor:
    """Zeros and ones that lay the three neighbours of every ring side by side.

    Returns:
        float32 ``[rings, 3 * rings]``: a profile ``[R]`` times it, seen as ``[3, R]``, holds the
        profile one ring lower, the profile, and the profile one ring higher; zeros beyond the ends.
    """
    return _ring_windows(rings, device)


@lru_cache(maxsize=32)
def _ring_windows(rings: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        shifts = [torch.diag(torch.ones(rings - abs(k)), -k) for k in (1, 0, -1)]
        # Row r feeds column c where the neighbour c + k - 1 is r.
        return torch.cat([shift.T for shift in shifts], dim=1).to(device)
