"""Top-K search by structural similarity: exact, and fast with an exact re-rank.

``exact`` scores every pair over every window. ``fast`` scores every pair over a sparse grid of
windows as batched matrix products, keeps the best 1.5 K candidates of each query (at least K + 16),
and ranks those by their exact scores: what it returns are exact scores, and what it can miss is a
neighbour whose sparse rank lies beyond them. Both stream over queries and bank in blocks: memory
depends on the image size, not on the number of images, and the time grows linearly with the bank.
A block's moments are computed once for 64 queries, so that large calls cost least per query.
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from frerec.calibration.rows import ImageRows
from frerec.calibration.similarity import WINDOW, Moments, pair_scores, strided_scores
from frerec.errors import ConfigError, DataError

SearchMethod = Literal["exact", "fast"]
SEARCH_METHODS: tuple[SearchMethod, ...] = ("exact", "fast")
CANDIDATES, MORE = 1.5, 16  # re-ranked candidates: a multiple of K, and at least so many more
STRIDE = 4  # largest step between the windows of the sparse grid
GRID = 24  # windows along the shorter side that the sparse grid keeps at least
QUERY_BLOCK = 64
FEW = 6  # below so many queries, cutting windows out of the bank costs more than it saves
BLOCK_VALUES = {"cpu": 2**22, "cuda": 2**27}  # pixels of a bank block; its moments are 3 times more
PAIR_VALUES = {"cpu": 2**19, "cuda": 2**26}  # pixels of the pairs scored at once


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
    covariance), is averaged over the windows wholly inside the image, and over channels: the mean
    that scikit-image and pytorch-msssim report. Ties go to the lower bank index. On a CPU a
    query's result does not depend on the other queries. Memory beyond the inputs: the moments of
    64 queries and of one block of the bank, about 200 MB up to 256 px.

    Args:
        queries: ``[Q, C, H, W]``; the search runs on their device.
        bank: ``[N, C, H, W]``, the same C, H, W, at least 11 pixels a side; read block by block.
        k: Neighbours a query, between 1 and N less those excluded.
        exclude: bool ``[Q, N]``, True where a bank image may not be a neighbour.
        data_range: Largest possible value minus the smallest, 1.0 for images in [0, 1].
        method: ``exact`` or ``fast``.

    Returns:
        scores float32 ``[Q, k]`` in [-1, 1], and indices int64 ``[Q, k]`` into the bank.

    Raises:
        DataError: If shapes do not match or images are smaller than the window.
        ConfigError: If k, exclude or method do not fit.
    """
    _check(queries, bank, k, exclude, method)
    with torch.autocast(queries.device.type, enabled=False):  # half precision changes rankings
        return _search(queries, bank, k, exclude=exclude, data_range=data_range, method=method)


def _search(
    queries: Tensor,
    bank: ImageRows,
    k: int,
    *,
    exclude: Tensor | None,
    data_range: float,
    method: SearchMethod,
) -> tuple[Tensor, Tensor]:
    stride = sparse_stride(*queries.shape[-2:])
    candidates = max(math.ceil(CANDIDATES * k), k + MORE)
    sparse = method == "fast" and stride > 1 and candidates < len(bank)
    scores = [torch.zeros(0, k, device=queries.device)]
    indices = [torch.zeros(0, k, dtype=torch.long, device=queries.device)]
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK].float()
        allowed = _allowed(exclude, start, len(block), len(bank), block.device)
        if sparse:
            found = _scan(block, bank, candidates, allowed, data_range=data_range, stride=stride)
            shortlist = torch.zeros_like(allowed).scatter_(1, found, value=True)
            allowed = allowed & shortlist
        values = _exact_scores(block, bank, allowed, data_range=data_range)
        # A stable sort keeps the lower index first among equals.
        best, order = torch.sort(values, dim=1, descending=True, stable=True)
        scores.append(best[:, :k])
        indices.append(order[:, :k])
    return torch.cat(scores), torch.cat(indices)


def sparse_stride(height: int, width: int) -> int:
    """Step between the windows of the sparse grid: 4, less for images under 107 pixels."""
    return min(STRIDE, max(1, (min(height, width) - WINDOW + 1) // GRID))


def _allowed(
    exclude: Tensor | None, start: int, count: int, bank: int, device: torch.device
) -> Tensor:
    if exclude is None:
        return torch.ones(count, bank, dtype=torch.bool, device=device)
    return ~exclude[start : start + count].to(device)


def _blocks(rows: Tensor, bank: ImageRows, device: torch.device, *, most: int) -> Iterator[Tensor]:
    """These rows of the bank, int64 on the CPU, so many at once as their moments fit into memory.

    A GPU takes larger blocks, ``most`` or not: there the launches are what costs.
    """
    cpu = device.type == "cpu"
    size = max(BLOCK_VALUES["cpu" if cpu else "cuda"] // math.prod(bank.shape[1:]), 8)
    yield from rows.cpu().split(min(size, most) if cpu else size)


def _scan(
    block: Tensor,
    bank: ImageRows,
    count: int,
    allowed: Tensor,
    *,
    data_range: float,
    stride: int,
) -> Tensor:
    """The ``count`` best bank images of each query by their sparse scores: int64 ``[Q, count]``."""
    scores = block.new_empty(len(block), len(bank))
    for rows in _blocks(torch.arange(len(bank)), bank, block.device, most=128):
        part = bank[rows].to(block.device, torch.float32)
        place = slice(int(rows[0]), int(rows[-1]) + 1)
        scores[:, place] = _sparse_scores(block, part, stride=stride, data_range=data_range)
    scores.masked_fill_(~allowed, -torch.inf)
    return torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :count]


def _sparse_scores(block: Tensor, part: Tensor, *, stride: int, data_range: float) -> Tensor:
    """Scores over the sparse grid ``[Q, N]``: by matrix products, or pair by pair for a few."""
    if len(block) >= FEW or block.device.type != "cpu":
        return strided_scores(block, part, stride=stride, data_range=data_range)
    x, y = Moments.of(block, stride=stride), Moments.of(part, stride=stride)
    one_by_one = [
        pair_scores(x[slice(q, q + 1)], y, stride=stride, data_range=data_range)
        for q in range(len(block))
    ]
    return torch.stack(one_by_one)


def _exact_scores(block: Tensor, bank: ImageRows, wanted: Tensor, *, data_range: float) -> Tensor:
    """Exact scores ``[Q, N]`` of the wanted pairs, -inf elsewhere."""
    x = Moments.of(block)
    scores = block.new_full(wanted.shape, -torch.inf)
    budget = PAIR_VALUES.get(block.device.type, PAIR_VALUES["cuda"])
    at_once = max(budget // math.prod(bank.shape[1:]), 1)
    for rows in _blocks(wanted.any(0).nonzero().flatten(), bank, block.device, most=512):
        y = Moments.of(bank[rows].to(block.device, torch.float32))
        rows = rows.to(block.device)
        for query, member in _pairs(wanted[:, rows], at_once):
            found = pair_scores(x[query], y[member], data_range=data_range)
            scores[query, rows[member]] = found
        del y  # before the next block's
    return scores


def _pairs(wanted: Tensor, at_once: int) -> Iterator[tuple[Tensor | slice, Tensor]]:
    """The wanted pairs, so many at once as their maps fit into memory (or into a CPU's cache).

    On a CPU a query is not copied for each of its pairs; a GPU takes pairs of many queries at once.
    """
    if wanted.device.type != "cpu":
        first, second = wanted.nonzero(as_tuple=True)
        yield from zip(first.split(at_once), second.split(at_once), strict=True)
        return
    for query, row in enumerate(wanted):
        members = row.nonzero().flatten()
        for part in members.split(at_once) if len(members) else ():
            yield slice(query, query + 1), part


def _check(
    queries: Tensor, bank: ImageRows, k: int, exclude: Tensor | None, method: SearchMethod
) -> None:
    if method not in SEARCH_METHODS:
        raise ConfigError(f"method={method}: expected one of {', '.join(SEARCH_METHODS)}")
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
