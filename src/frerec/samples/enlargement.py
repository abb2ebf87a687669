"""Signs that samples were enlarged after they were made: their highest frequencies are empty."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from frerec.samples.looking import Looked
from frerec.spectral import radial_log_power
from frerec.spectral.profile import ring_radius

REPEATED = 0.3  # [ours] share of repeated rows and columns above which pixels were repeated
EMPTY_DB = 10.0  # [ours] this far below the real images, frequencies are nearly empty
FULL = 0.9  # [ours] of the Nyquist radius: a band that is empty only beyond is not told
_SMALLEST, _CROP = 16, 512
_GRID = np.linspace(0.1, 1.0, 37)  # radii, fractions of Nyquist's


def enlargement(ours: Sequence[Looked], theirs: Sequence[Looked]) -> list[str]:
    """One-line warnings of samples enlarged by repeating pixels, or smoothly.

    Smoothly enlarged samples have hardly any power above some radius where real images, reduced to
    the samples' size where they are larger, have some. Samples of a generator that blurs look the
    same, and the message says so. Two draws of 32 real images differed by at most 1.3 dB beyond 0.3
    of the Nyquist radius (chest X-ray, brain MRI and fundus at 64 and 128 px), images enlarged 2
    times by 10 to 25 dB at 0.8, those enlarged 1.5 times by 7 to 15 dB.

    Args:
        ours: Samples.
        theirs: Real images.
    """
    share, real_share = (_repeated(side) for side in (ours, theirs))
    if share > REPEATED and real_share <= REPEATED:
        return [
            f"samples were enlarged {1 / (1 - share):.1f} times by repeating pixels: give them at"
            " the size at which they were made"
        ]
    found = empty_from(ours, theirs)
    if found is None:
        return []
    radius, below = found
    return [
        f"samples have hardly any power above {100 * radius:.0f} % of the Nyquist radius"
        f" ({below:.0f} dB below real images), as if they were enlarged or blurred: give them at"
        " the size at which they were made"
    ]


def empty_from(ours: Sequence[Looked], theirs: Sequence[Looked]) -> tuple[float, float] | None:
    """Where the samples' empty band begins, and how many dB it lies below the real images.

    Returns:
        A fraction of the Nyquist radius, at most :data:`FULL`, and the mean difference above it;
        None where no band is empty or images are too small to tell.
    """
    side = int(np.median([min(seen.grey.shape) for seen in ours]))
    if side < _SMALLEST:
        return None
    samples, real = _curve(ours, side), _curve(theirs, side)
    if samples is None or real is None:
        return None
    below = 10.0 / np.log(10.0) * (real - samples)
    full = np.flatnonzero(below <= EMPTY_DB)
    first = int(full[-1]) + 1 if len(full) else 0
    if first == len(_GRID) or _GRID[first] > FULL:
        return None
    return float(_GRID[first]), float(below[first:].mean())


def _repeated(side: Sequence[Looked]) -> float:
    """The median share of rows, or of columns where that is less, that repeat the one before.

    Only rows that are not of one value count: the background of real images repeats too.
    """
    shares = []
    for seen in side:
        pair = []
        for grey in (seen.grey, seen.grey.T):
            busy = grey.min(axis=1) < grey.max(axis=1)
            equal = (grey[1:] == grey[:-1]).all(axis=1) & busy[1:]
            pair.append(float(equal.sum() / max(1, busy.sum())))
        shares.append(min(pair))
    return float(np.median(shares))


def _curve(side: Sequence[Looked], size: int) -> np.ndarray | None:
    """Mean radial log power at the radii of the grid; larger images are reduced to ``size``."""
    curves = []
    for seen in side:
        image = torch.from_numpy(np.ascontiguousarray(seen.grey))[None, None]
        shorter = min(image.shape[-2:])
        if shorter < _SMALLEST or seen.grey.min() == seen.grey.max():
            continue
        if shorter > size:
            shape = [max(1, round(n * size / shorter)) for n in image.shape[-2:]]
            image = F.interpolate(image, shape, mode="bicubic", antialias=True, align_corners=False)
        curves.append(_profile(_windowed(image)))
    return np.mean(curves, axis=0) if curves else None


def _windowed(image: torch.Tensor) -> torch.Tensor:
    """The middle square, less its mean, faded out to its edges.

    The jump between opposite edges would put power into every frequency.
    """
    side = min(*image.shape[-2:], _CROP)
    top, left = ((n - side) // 2 for n in image.shape[-2:])
    image = image[..., top : top + side, left : left + side].double()
    fade = torch.hann_window(side, periodic=False, dtype=torch.float64)
    return (image - image.mean()) * fade[:, None] * fade


def _profile(image: torch.Tensor) -> np.ndarray:
    power = radial_log_power(image)[0, 0].numpy()
    # A ring holds the radii from its own to the next one's.
    radii = ring_radius(*image.shape[-2:]).double().numpy() + 1.0 / min(image.shape[-2:])
    return np.asarray(np.interp(_GRID, radii, power))
