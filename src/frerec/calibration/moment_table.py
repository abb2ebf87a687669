"""Means and deviations of K bank images' coefficients, without a ``[B, K, M]`` tensor.

One row an image: its coefficients, standardised by the mean and deviation of the whole bank, and
their squares. K neighbours then cost one sum of rows. Standardised, the values need no more than
half precision (measured on three real sets: experiments/retrieval), and the table lies in a
memory-mapped temporary file (in TMPDIR; four bytes a bin and image), so that a large bank costs
page cache and no memory of its own.
"""

import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BAG = 50  # rows summed in float32 before a partial sum is rounded to the table's precision
LIMIT = 32.0  # of standardised values, so that a bag of squares stays within half precision

Coefficients = Callable[[], Iterator[Tensor]]


class MomentTable:
    """First and second moments of real or complex coefficients over chosen bank images.

    Args:
        coefficients: Called twice; yields the bank's coefficients in order, ``[n, C, M]`` at a
            time.
        count: N, images of the bank.
        dtype: ``float16`` or ``float32``.
        device: Where sums run; on a CPU the table is a memory-mapped temporary file.
    """

    def __init__(
        self,
        coefficients: Coefficients,
        count: int,
        *,
        dtype: torch.dtype = torch.float16,
        device: torch.device | str = "cpu",
    ) -> None:
        self.mean, self.deviation = _bank_moments(coefficients)
        scale = torch.where(self.deviation > 0, self.deviation, 1.0)
        self._scale = scale.float()
        self._complex = self.mean.is_complex()
        planes = 3 if self._complex else 2
        width = planes * self.mean.numel()
        # Written with ordinary writes: a full disk is an error then, and no killed process.
        file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as its memory map
        for part in coefficients():
            z = (part - self.mean) / self._scale
            z = z * (LIMIT / z.abs().clamp_min(LIMIT))
            columns = [torch.view_as_real(z).unbind(-1) if self._complex else (z,)]
            rows = torch.cat([p.flatten(1) for p in (*columns[0], z.abs().square())], 1)
            file.write(rows.to("cpu", dtype).numpy().tobytes())
        file.flush()
        name = np.float16 if dtype == torch.float16 else np.float32
        # Copy on write, so that PyTorch takes it for a writable array; nobody writes.
        mapped = np.memmap(file, dtype=name, mode="c", shape=(count, width))
        table = torch.from_numpy(mapped)
        self.table = table if torch.device(device).type == "cpu" else table.to(device)

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation over the rows ``indices`` ``[B, K]`` of each of B images.

        Returns:
            Mean (complex for complex coefficients) and deviation sqrt(E|F|^2 - |E F|^2), both
            ``[B, C, M]``.
        """
        k = indices.shape[1]
        bags = indices.split(BAG, dim=1)
        total = torch.stack([F.embedding_bag(bag, self.table, mode="sum").float() for bag in bags])
        planes = (total.sum(0) / k).unflatten(1, (-1, *self.mean.shape))
        mean = torch.complex(planes[:, 0], planes[:, 1]) if self._complex else planes[:, 0]
        variance = (planes[:, -1] - mean.abs().square()).clamp_min(0)
        return self.mean + self._scale * mean, self._scale * variance.sqrt()


def _bank_moments(coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """Mean and deviation over the whole bank, ``[C, M]`` each, in two numerically safe passes."""
    total, count = None, 0
    for part in coefficients():
        wide = part.to(torch.complex128 if part.is_complex() else torch.float64).sum(0)
        total, count = wide if total is None else total + wide, count + len(part)
    if total is None:
        raise ValueError("an empty bank has no moments")
    mean = total / count
    square = sum((part - mean).abs().square().sum(0) for part in coefficients())
    narrow = torch.complex64 if mean.is_complex() else torch.float32
    return mean.to(narrow), torch.as_tensor(square / count).sqrt().float()
