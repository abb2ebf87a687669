"""High-band coefficients and their statistics over K neighbours (FreRec, SHR)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from frerec.spectral.bands import frequency_radius

Granularity = Literal["bin", "ring", "scalar"]
Representation = Literal["complex", "amplitude", "log_amplitude"]
GRANULARITIES: tuple[Granularity, ...] = ("bin", "ring", "scalar")
REPRESENTATIONS: tuple[Representation, ...] = ("complex", "amplitude", "log_amplitude")
LOG_FLOOR = 1e-4  # below the noise floor of an 8-bit image, about 1 / (255 sqrt(12)) = 1.1e-3


def encode(spectrum: Tensor, representation: Representation) -> Tensor:
    """The quantity whose statistics are replaced: F, |F| or ln(|F| + 1e-4)."""
    if representation == "complex":
        return spectrum
    amplitude = spectrum.abs()
    return amplitude if representation == "amplitude" else torch.log(amplitude + LOG_FLOOR)


def decode(coefficients: Tensor, spectrum: Tensor, representation: Representation) -> Tensor:
    """Back to a complex spectrum; the amplitude forms keep the phase of ``spectrum``."""
    if representation == "complex":
        return coefficients
    if representation == "log_amplitude":
        coefficients = torch.exp(coefficients) - LOG_FLOOR
    # A unit phasor instead of angle(): the vectorised arctangent depends on memory alignment, and
    # an image has to give the same pixels in every batch.
    amplitude = spectrum.abs()
    phasor = torch.where(amplitude > 0, spectrum / amplitude.clamp_min(1e-30), 1.0)
    return coefficients.clamp_min(0) * phasor


@dataclass(frozen=True)
class NeighbourStatistics:
    """Gaussians of the high band's mean and deviation over the neighbours.

    All ``[B, C, M]`` over the M high-band bins: ``mean`` (complex for complex coefficients) and
    ``deviation`` are the Gaussians' centres, ``mean_spread`` and ``deviation_spread`` their
    standard deviations.
    """

    mean: Tensor
    deviation: Tensor
    mean_spread: Tensor
    deviation_spread: Tensor


def ring_of_bin(height: int, width: int, mask: Tensor, granularity: Granularity) -> Tensor:
    """Which set of bins shares one mean and deviation: int64 ``[M]`` over the high-band bins.

    ``ring`` uses rings one frequency step wide; ``scalar`` puts the whole high band into one.
    """
    if granularity == "scalar":
        return torch.zeros(int(mask.sum()), dtype=torch.long)
    step = 2.0 / min(height, width)  # one index step as a fraction of the Nyquist radius
    ring = (frequency_radius(height, width)[mask] / step).long()
    numbers: Tensor = torch.unique(ring, return_inverse=True)[1]
    return numbers


def ring_moments(coefficients: Tensor, ring: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every ring of every image: two ``[B, C, R]``.

    The deviation of complex coefficients is sqrt(E |F - mean|^2), a real number.
    """
    rings = int(ring.max()) + 1
    size = torch.bincount(ring, minlength=rings).to(coefficients.device)
    shape = (*coefficients.shape[:-1], rings)
    mean = coefficients.new_zeros(shape).index_add_(-1, ring, coefficients) / size
    residual = (coefficients - mean[..., ring]).abs().square()
    variance = residual.new_zeros(shape).index_add_(-1, ring, residual) / size
    return mean, variance.sqrt()


class MomentTable:
    """Bank-side table from which neighbours' means and deviations are summed.

    One row an image. A row holds the first and the second moment of what the Gaussians are fitted
    to, so that K neighbours cost one weighted row sum, and no ``[B, K, M]`` tensor ever exists.
    """

    def __init__(self, coefficients: Tensor, ring: Tensor, granularity: Granularity) -> None:
        """Build from the bank's coefficients ``[N, C, M]``."""
        self.granularity = granularity
        self.ring = ring
        self.complex = coefficients.is_complex()
        parts: tuple[Tensor, ...] = (coefficients,)
        if granularity != "bin":
            parts = ring_moments(coefficients, ring)
        self.channels = coefficients.shape[1]
        columns = []
        for part in parts:
            real = torch.view_as_real(part).movedim(-1, 1) if part.is_complex() else part[:, None]
            columns += [real.flatten(1), part.abs().square().flatten(1)]
        self.table = torch.cat(columns, 1).float().contiguous()
        self.widths = [c.shape[1] for c in columns]

    def gather(self, indices: Tensor) -> NeighbourStatistics:
        """Statistics over the neighbours ``[B, K]`` of each image."""
        k = indices.shape[1]
        sums = F.embedding_bag(indices, self.table, mode="sum") / k
        columns = sums.split(self.widths, 1)
        mean, spread = self._moments(columns[0], columns[1])
        if self.granularity == "bin":
            # A neighbour has one coefficient a bin, so its own deviation does not exist: the
            # deviation is taken across the neighbours, and varies as that of K draws does [ours].
            return NeighbourStatistics(mean, spread, spread, spread / (2 * k) ** 0.5)
        deviation, deviation_spread = self._moments(columns[2], columns[3])
        tensors = (mean, deviation, spread, deviation_spread)
        return NeighbourStatistics(*(t[..., self.ring] for t in tensors))

    def _moments(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        second = second.unflatten(1, (self.channels, -1))
        if first.shape[1] == 2 * second[0].numel():
            parts = first.unflatten(1, (2, self.channels, -1))
            mean = torch.complex(parts[:, 0], parts[:, 1])
        else:
            mean = first.unflatten(1, (self.channels, -1))
        return mean, (second - mean.abs().square()).clamp_min(0).sqrt()
