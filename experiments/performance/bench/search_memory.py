"""Memory that a fast search takes beyond its bank and its queries, in a process of its own.

python search_memory.py BANK SIDE QUERIES K prints {"memory_MiB": ...}. The bank hands out the rows
of a few images again and again, so that it takes no memory itself, however large.
"""

import json
import sys
from typing import Any

import torch
from setting import drawn_images, peak_memory
from torch import Tensor

from frerec.calibration.retrieval import top_k_ssim

DISTINCT = 16


class Repeated:
    """A bank of any length from a few images; row i is image i mod n, shifted by i // n pixels."""

    def __init__(self, images: Tensor, count: int) -> None:
        self.images, self.count = images, count

    @property
    def shape(self) -> tuple[int, ...]:
        """N, C, H, W."""
        return (self.count, *self.images.shape[1:])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Any) -> Tensor:
        wanted = torch.arange(self.count)[rows]
        shifts = (wanted // len(self.images)).tolist()
        parts = [self.images[i % len(self.images)] for i in wanted.tolist()]
        return torch.stack([part.roll(s, -1) for part, s in zip(parts, shifts, strict=True)])


def main(count: int, side: int, queries: int, k: int) -> None:
    """Search once in a small bank, so that libraries have their buffers, then in the bank."""
    images = drawn_images(DISTINCT + queries, side=side, seed=2)
    few, some = images[:DISTINCT], images[DISTINCT:]
    top_k_ssim(some[:1], few, 2, method="fast")
    before = peak_memory()
    top_k_ssim(some, Repeated(few, count), k, method="fast")
    print(json.dumps({"memory_MiB": round(peak_memory() - before, 1)}))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:5]))
