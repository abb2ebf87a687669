"""Top-K search by structural similarity (Wang et al., IEEE TIP 2004).

SSIM of x and y over one Gaussian window g (11 x 11, sigma 1.5) is

    (2 m_x m_y + C1) (2 c_xy + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2))

with the weighted means m, variances v and covariance c_xy = <x, y>_g - m_x m_y. Only <x, y>_g
belongs to the pair; it is an inner product of 121 weighted pixels. Cutting the windows out of
every image turns all pairs of a query block and a bank block into one batched matrix product per
row of windows. ``exact`` takes every window that lies wholly inside the image (the mean that
scikit-image and pytorch-msssim report); ``fast`` takes every fourth row and column of windows,
a sixteenth of the work.
"""

from typing import Literal

import torch
from torch import Tensor

from frerec.calibration.rows import ImageRows
from frerec.errors import ConfigError, DataError

SearchMethod = Literal["exact", "fast"]
STRIDES: dict[str, int] = {"exact": 1, "fast": 4}
WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
QUERY_BLOCK = 32  # queries are padded to whole blocks: a score does not depend on its batch
BANK_BLOCK = 128


def gaussian_window(size: int = WINDOW, sigma: float = SIGMA) -> Tensor:
    """Normalised two-dimensional Gaussian, float32 ``[size, size]``, sum 1."""
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    g = torch.exp(-0.5 * (x / sigma) ** 2)
    g = torch.outer(g, g)
    return (g / g.sum()).float()


def _windows(images: Tensor, row: int, stride: int) -> Tensor:
    """Windows of one row: images [n, C, H, W] -> [C * P, n, 121], P windows along the width."""
    strip = images[:, :, row : row + WINDOW, :].unfold(3, WINDOW, stride)  # [n, C, 11, P, 11]
    windows = strip.permute(1, 3, 0, 2, 4)
    return windows.reshape(-1, images.shape[0], WINDOW * WINDOW)


def ssim_block(queries: Tensor, bank: Tensor, *, stride: int, data_range: float) -> Tensor:
    """Mean SSIM of every pair of two small blocks.

    Args:
        queries: ``[Q, C, H, W]``.
        bank: ``[N, C, H, W]``.
        stride: Step between windows, in pixels; 1 takes all of them.
        data_range: Difference of the largest and the smallest possible value.

    Returns:
        float32 ``[Q, N]``.
    """
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    g = gaussian_window().flatten().to(queries)
    height = queries.shape[-2]
    rows = range(0, height - WINDOW + 1, stride)
    total = queries.new_zeros(len(queries), len(bank))
    count = 0
    for row in rows:
        x, y = _windows(queries, row, stride), _windows(bank, row, stride)
        weighted = x * g
        mean_x, mean_y = weighted.sum(-1), y @ g  # [P, Q], [P, N]
        square_x, square_y = mean_x.square(), mean_y.square()
        var_x = (weighted * x).sum(-1) - square_x
        var_y = (y.square() @ g) - square_y
        # In place where it can be: these [P, Q, N] tensors are where the time goes.
        luminance = torch.einsum("pq,pn->pqn", 2 * mean_x, mean_y).add_(c1)  # 2 m_x m_y + C1
        score = torch.bmm(2 * weighted, y.transpose(1, 2)).sub_(luminance).add_(c1 + c2)
        score.mul_(luminance)  # times 2 c_xy + C2
        norm = (square_x[:, :, None] + c1) + square_y[:, None, :]
        norm.mul_((var_x[:, :, None] + c2) + var_y[:, None, :])
        total += score.div_(norm).sum(0)
        count += len(x)
    return total / count


def _check(
    queries: Tensor, bank: ImageRows, k: int, exclude: Tensor | None, method: SearchMethod
) -> None:
    if method not in STRIDES:
        raise ConfigError(f"method={method}: expected one of {', '.join(STRIDES)}")
    if queries.ndim != 4 or tuple(queries.shape[1:]) != tuple(bank.shape[1:]):
        raise DataError(
            f"top_k_ssim: queries {tuple(queries.shape)} and bank {tuple(bank.shape)}: "
            "expected [Q, C, H, W] and [N, C, H, W] with the same C, H, W"
        )
    if min(queries.shape[-2:]) < WINDOW:
        raise DataError(
            f"top_k_ssim: images of {queries.shape[-2]} x {queries.shape[-1]} pixels: "
            f"the SSIM window needs at least {WINDOW} x {WINDOW}"
        )
    if not 1 <= k <= len(bank):
        raise ConfigError(f"k={k}: expected between 1 and the bank's {len(bank)} images")
    if exclude is not None:
        if exclude.shape != (len(queries), len(bank)) or exclude.dtype != torch.bool:
            raise ConfigError(
                f"exclude: {exclude.dtype} {tuple(exclude.shape)}: "
                f"expected bool [{len(queries)}, {len(bank)}]"
            )
        left = len(bank) - int(exclude.sum(1).max()) if len(queries) else k
        if left < k:
            raise ConfigError(f"k={k}: after exclusion a query has only {left} candidates left")


@torch.no_grad()
def top_k_ssim(
    queries: Tensor,
    bank: ImageRows,
    k: int,
    *,
    exclude: Tensor | None = None,
    data_range: float = 1.0,
    method: SearchMethod = "exact",
) -> tuple[Tensor, Tensor]:
    """The K bank images most similar to each query by SSIM, best first.

    SSIM has Wang's settings (Gaussian 11 x 11, sigma 1.5, K1 0.01, K2 0.03, population
    covariance), is averaged over the windows wholly inside the image, and over channels. Ties go
    to the lower bank index. A query's result does not depend on the other queries. Memory beyond
    the inputs: one block of 32 x 128 pairs times the windows of one row, and the running best.

    Args:
        queries: ``[Q, C, H, W]``.
        bank: ``[N, C, H, W]``, the same C, H, W, at least 11 pixels a side.
        k: Neighbours a query, between 1 and N less those excluded.
        exclude: bool ``[Q, N]``, True where a bank image may not be a neighbour.
        data_range: Largest possible value minus the smallest, 1.0 for images in [0, 1].
        method: ``exact``, or ``fast`` (windows on a stride of 4, scores within about 0.002).

    Returns:
        scores float32 ``[Q, k]`` in [-1, 1], and indices int64 ``[Q, k]`` into the bank.

    Raises:
        DataError: If shapes do not match or images are smaller than the window.
        ConfigError: If k, exclude or method do not fit.
    """
    _check(queries, bank, k, exclude, method)
    stride = STRIDES[method]
    scores, indices = [], []
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK].float()
        used = len(block)
        if used < QUERY_BLOCK:
            block = torch.cat([block, block[:1].expand(QUERY_BLOCK - used, -1, -1, -1)])
        best, where = _scan(
            block, bank, k, _pad_rows(exclude, start, used), data_range=data_range, stride=stride
        )
        scores.append(best[:used])
        indices.append(where[:used])
    if not scores:
        return queries.new_zeros(0, k), torch.zeros(0, k, dtype=torch.long, device=queries.device)
    return torch.cat(scores), torch.cat(indices)


def _pad_rows(exclude: Tensor | None, start: int, used: int) -> Tensor | None:
    if exclude is None:
        return None
    rows = exclude[start : start + used]
    padding = rows.new_zeros(QUERY_BLOCK - used, rows.shape[1])
    return torch.cat([rows, padding])


def _scan(
    block: Tensor,
    bank: ImageRows,
    k: int,
    exclude: Tensor | None,
    *,
    data_range: float,
    stride: int,
) -> tuple[Tensor, Tensor]:
    """Running top k of one query block over the whole bank."""
    best = block.new_full((len(block), 0), -torch.inf)
    where = torch.zeros(len(block), 0, dtype=torch.long, device=block.device)
    for start in range(0, len(bank), BANK_BLOCK):
        part = bank[start : start + BANK_BLOCK].to(block)
        scores = ssim_block(block, part, stride=stride, data_range=data_range)
        if exclude is not None:
            scores = scores.masked_fill(exclude[:, start : start + len(part)], -torch.inf)
        index = torch.arange(start, start + len(part), device=block.device)
        best = torch.cat([best, scores], 1)
        where = torch.cat([where, index.expand(len(block), -1)], 1)
        # A stable sort keeps the lower index first among equals, block after block.
        best, order = torch.sort(best, dim=1, descending=True, stable=True)
        best, where = best[:, :k], where.gather(1, order)[:, :k]
    return best, where
