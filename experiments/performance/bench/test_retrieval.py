"""Top-K SSIM search beside brute force with three public implementations of SSIM."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from setting import Sizes, chosen_sizes, drawn_images
from torch import Tensor

from frerec.calibration.retrieval import top_k_ssim

GROUP = "search: a pair of images"
REFERENCE = "fast"
MEMORY = Path(__file__).with_name("search_memory.py")


@pytest.fixture(scope="module")
def images(sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Queries, and a bank of other images."""
    count = sizes.banks[-1]
    drawn = drawn_images(count + sizes.queries, side=sizes.side, seed=1)
    return drawn[count:], drawn[:count]


def pytorch_msssim(x: Tensor, y: Tensor) -> Tensor:
    """One score a pair, 11 x 11 Gaussian of 1.5."""
    from pytorch_msssim import ssim

    return ssim(x, y, data_range=1.0, win_size=11, win_sigma=1.5, size_average=False)


def torchmetrics(x: Tensor, y: Tensor) -> Tensor:
    """The same; the window follows from sigma."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    scores = ssim(x, y, gaussian_kernel=True, sigma=1.5, data_range=1.0, reduction="none")
    assert isinstance(scores, Tensor)
    return scores


def scikit_image(x: Tensor, y: Tensor) -> Tensor:
    """The same, pair by pair on one core."""
    from skimage.metrics import structural_similarity as ssim

    arguments: dict[str, Any] = {"gaussian_weights": True, "use_sample_covariance": False}
    pairs = zip(x[:, 0].numpy(), y[:, 0].numpy(), strict=True)
    return torch.tensor([ssim(a, b, sigma=1.5, data_range=1.0, **arguments) for a, b in pairs])


@pytest.mark.parametrize("ssim", [pytorch_msssim, torchmetrics, scikit_image])
def test_brute_force(
    measure: Any,
    sizes: Sizes,
    images: tuple[Tensor, Tensor],
    ssim: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """One query against some of the bank, pairs in one batch where the library can."""
    queries, bank = images
    some = bank[: sizes.pairs]
    query = queries[:1].expand_as(some).contiguous()
    scores = measure(
        lambda: ssim(query, some),
        group=GROUP,
        name=ssim.__name__.replace("pytorch_", "pytorch-").replace("scikit_", "scikit-"),
        per=sizes.pairs,
        unit="ms a pair",
        reference=REFERENCE,
        scaled=f"timed on {sizes.pairs} pairs; a query's time is that of {len(bank)} such pairs",
    )
    assert scores.shape == (sizes.pairs,)


def test_fast(measure: Any, benchmark: Any, sizes: Sizes, images: tuple[Tensor, Tensor]) -> None:
    """Queries together; their recall of the exact neighbours is recorded beside."""
    queries, bank = images
    _, found = measure(
        lambda: top_k_ssim(queries, bank, sizes.neighbours, method="fast"),
        group=GROUP,
        name="fast",
        per=len(queries) * len(bank),
        unit="ms a pair",
        rounds=min(3, sizes.rounds),
    )
    some = sizes.exact_queries
    _, true = top_k_ssim(queries[:some], bank, sizes.neighbours, method="exact")
    shares = [torch.isin(f, t).float().mean() for f, t in zip(found[:some], true, strict=True)]
    benchmark.extra_info["facts"] |= {
        "recall": round(float(torch.stack(shares).mean()), 4),
        "recall_queries": some,
        "neighbours": sizes.neighbours,
        "bank": len(bank),
        "side": sizes.side,
    }


def test_fast_one_query(measure: Any, sizes: Sizes, images: tuple[Tensor, Tensor]) -> None:
    """A single query, which shares the bank's moments with no other."""
    queries, bank = images
    measure(
        lambda: top_k_ssim(queries[:1], bank, sizes.neighbours, method="fast"),
        group=GROUP,
        name="fast, one query a call",
        per=len(bank),
        unit="ms a pair",
        reference=REFERENCE,
        rounds=min(3, sizes.rounds),
    )


def test_exact(measure: Any, sizes: Sizes, images: tuple[Tensor, Tensor]) -> None:
    """Every window of every pair."""
    queries, bank = images
    some = queries[: sizes.exact_queries]
    measure(
        lambda: top_k_ssim(some, bank, sizes.neighbours, method="exact"),
        group=GROUP,
        name="exact",
        per=len(some) * len(bank),
        unit="ms a pair",
        reference=REFERENCE,
        rounds=1,
        warmup=0,
    )


@pytest.mark.parametrize("position", range(len(chosen_sizes().banks)))
def test_growth(
    measure: Any, benchmark: Any, sizes: Sizes, images: tuple[Tensor, Tensor], position: int
) -> None:
    """Time an image of the bank, and memory beyond bank and queries, for growing banks.

    The shortlist is re-ranked whatever the bank's size, so K is a tenth of the bank for the time:
    time that grows linearly is a constant ratio. Memory is taken with one K for all banks.
    """
    queries, bank = images
    count = sizes.banks[position]
    k = max(1, count // 10)
    some = queries[: max(2, sizes.queries // 4)]
    measure(
        lambda: top_k_ssim(some, bank[:count], k, method="fast"),
        group="search: growth with the bank",
        name=f"bank of {count}",
        per=len(some) * count,
        unit="ms a pair",
        reference=None if position == 0 else f"bank of {sizes.banks[0]}",
        rounds=min(3, sizes.rounds),
    )
    fixed = max(1, sizes.banks[0] // 10)
    arguments = [str(count), str(sizes.side), str(len(some)), str(fixed)]
    done = subprocess.run(
        [sys.executable, str(MEMORY), *arguments], capture_output=True, text=True, check=True
    )
    memory = json.loads(done.stdout.splitlines()[-1])["memory_MiB"]
    assert math.isfinite(memory)
    benchmark.extra_info["facts"] |= {
        "memory_MiB": memory,
        "neighbours": k,
        "neighbours_memory": fixed,
    }
