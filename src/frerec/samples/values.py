"""Whether samples use the range of values that real images use, and the right way round."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from frerec.samples.looking import Looked

ENDS = (1, 99)  # [ours] percentiles for the ends of an image's values
STEP = 0.1  # [ours] of the range: median ends and means that differ by more are told,
TOLD_APART = 0.9  # [ours] where they also tell samples from real images with this AUC
ALIKE = 0.5  # [ours] correlation above which mean images show the same, and below minus it inverted
_SIDE, _FEWEST = 8, 4


def value_differences(ours: Sequence[Looked], theirs: Sequence[Looked]) -> list[str]:
    """One-line warnings of values that differ grossly.

    Args:
        ours: Samples.
        theirs: Real images.
    """
    ends, real_ends = _ends(ours), _ends(theirs)
    (low, high), (real_low, real_high) = np.median(ends, axis=0), np.median(real_ends, axis=0)
    if inverted(ours, theirs):
        return [
            "samples look inverted: dark where real images are bright and bright where they are"
            " dark; invert them"
        ]
    if any(_beyond(ends[:, k], real_ends[:, k]) for k in range(2)):
        return [
            f"samples have values from {low:.2f} to {high:.2f} (percentiles 1 and 99 of an image),"
            f" real images from {real_low:.2f} to {real_high:.2f}: scale them alike, amplitudes are"
            " what is compared"
        ]
    means = [np.array([seen.grey.mean() for seen in side]) for side in (ours, theirs)]
    if _beyond(*means):
        a, b = (float(np.median(side)) for side in means)
        return [f"samples have a mean of {a:.2f}, real images of {b:.2f}: brightness differs"]
    return []


def inverted(ours: Sequence[Looked], theirs: Sequence[Looked]) -> bool:
    """Whether the mean sample is the negative of the mean real image.

    Known only where either half of each set has the same mean image: then the set shows one thing
    in one place, as radiographs do.
    """
    if min(len(ours), len(theirs)) < _FEWEST:
        return False
    small, real = _small(ours), _small(theirs)
    halves = [_correlation(s[::2].mean(axis=0), s[1::2].mean(axis=0)) for s in (small, real)]
    across = _correlation(small.mean(axis=0), real.mean(axis=0))
    return min(halves) > ALIKE and across < -ALIKE


def _ends(side: Sequence[Looked]) -> np.ndarray:
    """[N, 2]."""
    return np.array([np.percentile(seen.grey, ENDS) for seen in side])


def _beyond(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether medians differ by :data:`STEP`, and nearly every sample from nearly every image."""
    larger = (ours[:, None] > theirs).mean() + 0.5 * (ours[:, None] == theirs).mean()
    apart = float(np.median(ours)) - float(np.median(theirs))
    return bool(abs(apart) > STEP and abs(larger - 0.5) > TOLD_APART - 0.5)


def _small(side: Sequence[Looked]) -> np.ndarray:
    """Means over an 8 x 8 raster, ``[N, 64]``."""
    small = [
        F.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(s.grey))[None], _SIDE).flatten()
        for s in side
    ]
    return torch.stack(small).double().numpy()


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-9 else 0.0
