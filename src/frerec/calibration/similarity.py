"""Structural similarity (SSIM; Wang et al., IEEE TIP 2004) of many pairs of images.

With g a Gaussian window (11 x 11, sigma 1.5), C1 = (0.01 L)^2, C2 = (0.03 L)^2, L the data range,

    SSIM = (2 m_x m_y + C1) (2 c_xy + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2))

at every window that lies wholly inside the image, where m, v and c are means, variances and
covariance under g; their average over the windows and channels is the similarity of two images.
Means and variances belong to one image (:class:`Moments`); only g * (x y) belongs to the pair.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


@lru_cache(maxsize=1)
def gaussian_profile() -> tuple[float, ...]:
    """The one-dimensional window, 11 numbers of sum 1; the window is its outer product."""
    x = torch.arange(WINDOW, dtype=torch.float64) - (WINDOW - 1) / 2
    g = torch.exp(-0.5 * (x / SIGMA) ** 2)
    return tuple((g / g.sum()).tolist())


def gaussian_filter(images: Tensor, *, stride: int = 1) -> Tensor:
    """Mean of every window wholly inside, g * x: ``[..., H, W]`` to ``[..., H - 10, W - 10]``.

    With a stride, of every ``stride``-th window of every ``stride``-th row. On a CPU eleven shifted
    sums in each direction are an order of magnitude faster than a convolution of one channel; on a
    GPU the convolution runs in full float32.
    """
    if images.device.type == "cpu":
        return _shifted_sum(_shifted_sum(images, -2, stride), -1, stride)
    kernel = images.new_tensor(gaussian_profile())
    planes = images.reshape(-1, 1, *images.shape[-2:])
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    ):
        planes = F.conv2d(planes, kernel.view(1, 1, -1, 1), stride=(stride, 1))
        planes = F.conv2d(planes, kernel.view(1, 1, 1, -1), stride=(1, stride))
    return planes.reshape(*images.shape[:-2], *planes.shape[-2:])


def _shifted_sum(images: Tensor, dim: int, stride: int) -> Tensor:
    profile = gaussian_profile()
    size = images.shape[dim] - WINDOW + 1
    every: Any = (..., slice(None, None, stride), *[slice(None)] * (-1 - dim))
    total = images.narrow(dim, 0, size)[every] * profile[0]
    for shift in range(1, WINDOW):
        total.add_(images.narrow(dim, shift, size)[every], alpha=profile[shift])
    return total


@dataclass(frozen=True)
class Moments:
    """What SSIM needs of single images: pixels, and means and variances of their windows.

    Attributes:
        pixels: x, ``[n, C, H, W]``.
        mean: m = g * x, ``[n, C, H - 10, W - 10]``.
        square: m^2, the same shape.
        variance: v = g * x^2 - m^2, the same shape.
    """

    pixels: Tensor
    mean: Tensor
    square: Tensor
    variance: Tensor

    @classmethod
    def of(cls, images: Tensor, *, stride: int = 1) -> Self:
        """Compute them for float ``[n, C, H, W]``, of all windows or of a sparse grid."""
        mean = gaussian_filter(images, stride=stride)
        square = mean.square()
        variance = gaussian_filter(images.square(), stride=stride).sub_(square)
        return cls(images, mean, square, variance)

    def __getitem__(self, rows: Tensor | slice) -> Self:
        """Those of some of the images."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


def pair_scores(x: Moments, y: Moments, *, data_range: float, stride: int = 1) -> Tensor:
    """SSIM of the pairs (x[i], y[i]).

    Args:
        x: Of n images, or of one that is compared with all of ``y``.
        y: Of n images of the same size.
        data_range: Largest possible value minus the smallest.
        stride: Of the moments.

    Returns:
        float32 ``[n]``. A score depends on its two images alone, to the last bit on a CPU.
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    contrast = gaussian_filter(x.pixels * y.pixels, stride=stride)
    luminance = x.mean * y.mean
    # In place where it can be: the time goes into passes over [n, C, H, W].
    contrast.sub_(luminance).mul_(2).add_(c2)  # 2 c_xy + C2
    luminance.mul_(2).add_(c1)  # 2 m_x m_y + C1
    norm = (x.variance + y.variance).add_(c2)
    norm.mul_((x.square + y.square).add_(c1))
    scores = contrast.mul_(luminance).div_(norm)
    # Rows first: sums of whole images would be split among threads in a way that depends on n.
    return scores.sum(-1).sum(-1).sum(-1) / scores[0].numel()


def strided_scores(queries: Tensor, bank: Tensor, *, stride: int, data_range: float) -> Tensor:
    """SSIM of all pairs of two blocks, over every ``stride``-th row and column of windows.

    The windows of one row, cut out and centred, turn the covariances of all pairs into one batched
    matrix product: c_xy = sum_i g_i (x_i - m_x) (y_i - m_y). Centring keeps the product exact
    enough for TF32 on a GPU, where nothing else would.

    Args:
        queries: ``[Q, C, H, W]``.
        bank: ``[N, C, H, W]``.
        stride: Step between windows in pixels.
        data_range: Largest possible value minus the smallest.

    Returns:
        float32 ``[Q, N]``.
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    profile = queries.new_tensor(gaussian_profile())
    g = torch.outer(profile, profile).flatten()
    total = queries.new_zeros(len(queries), len(bank))
    count = 0
    for row in range(0, queries.shape[-2] - WINDOW + 1, stride):
        x, y = _windows(queries, row, stride), _windows(bank, row, stride)
        mean_x, mean_y = x @ g, y @ g  # [P, Q], [P, N]
        x, y = x - mean_x[..., None], y - mean_y[..., None]
        var_x, var_y = x.square() @ g, y.square() @ g
        # In place where it can be: these [P, Q, N] tensors are where the time goes.
        score = torch.bmm(x.mul_(2 * g), y.transpose(1, 2)).add_(c2)  # 2 c_xy + C2
        score.mul_(torch.einsum("pq,pn->pqn", 2 * mean_x, mean_y).add_(c1))
        norm = (mean_x.square()[:, :, None] + c1) + mean_y.square()[:, None, :]
        norm.mul_((var_x[:, :, None] + c2) + var_y[:, None, :])
        total += score.div_(norm).sum(0)
        count += len(x)
    return total / count


def _windows(images: Tensor, row: int, stride: int) -> Tensor:
    """Windows of one row: images [n, C, H, W] -> [C * P, n, 121], P windows along the width."""
    strip = images[:, :, row : row + WINDOW, :].unfold(3, WINDOW, stride)  # [n, C, 11, P, 11]
    windows = strip.permute(1, 3, 0, 2, 4)
    return windows.reshape(-1, images.shape[0], WINDOW * WINDOW)
