"""High-band coefficients, and Gaussians of their mean and deviation over K neighbours (SHR)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from frerec.spectral.bands import frequency_radius, hermitian_weight, mirror_index

Granularity = Literal["bin", "ring", "scalar"]
Representation = Literal["complex", "amplitude", "log_amplitude"]
GRANULARITIES: tuple[Granularity, ...] = ("bin", "ring", "scalar")
REPRESENTATIONS: tuple[Representation, ...] = ("complex", "amplitude", "log_amplitude")
LOG_FLOOR = 1e-4  # below the noise floor of an 8-bit image, about 1 / (255 sqrt(12)) = 1.1e-3
FLAT = 1e-6  # below this deviation (ortho FFT) a high band is constant and carries no pattern


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


class HighBand:
    """The M high-band bins of the half plane, and what belongs to each.

    Attributes:
        mask: bool ``[H, W // 2 + 1]``.
        weight: How many coefficients of the full plane each bin stands for, float32 ``[M]``.
        ring: Which set of bins shares one mean and deviation, int64 ``[M]``: the bin itself
            (``bin``), its ring, one frequency step wide (``ring``), or the whole band (``scalar``).
        sets: G, the number of these sets.
        mirror, sign: The bin that holds the conjugate coefficient where the half plane holds both
            (in its first and, for even widths, last column), else the bin itself; and the sign of
            the imaginary part, 0 where it vanishes.
    """

    def __init__(self, mask: Tensor, width: int, granularity: Granularity) -> None:
        """Take a mask ``[H, W // 2 + 1]`` of images of this width."""
        height = len(mask)
        self.mask = mask
        self.granularity = granularity
        self.weight = hermitian_weight(height, width).to(mask.device)[mask].float()
        self.mirror, self.sign = (t.to(mask.device) for t in mirror_index(mask.cpu(), width))
        count = int(mask.sum())
        if granularity == "bin":
            self.ring = torch.arange(count, device=mask.device)
        elif granularity == "scalar":
            self.ring = torch.zeros(count, dtype=torch.long, device=mask.device)
        else:
            step = 2.0 / min(height, width)  # one index step as a fraction of the Nyquist radius
            radius = frequency_radius(height, width).to(mask.device)[mask]
            # Exact multiples of a step belong to their own ring, whatever they were rounded to.
            self.ring = torch.unique((radius / step + 1e-9).long(), return_inverse=True)[1]
        self.sets = int(self.ring.max()) + 1 if count else 0

    def set_moments(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation over every set of bins of every image, over the full plane.

        Args:
            coefficients: ``[B, C, M]`` real or complex.

        Returns:
            Two real ``[B, C, G]``. The mean of complex coefficients over a set that holds u and -u
            is real, because they are conjugate; the deviation is sqrt(E |F - mean|^2).
        """
        size = self._sum(torch.ones_like(self.weight))
        mean = self._sum(coefficients.real if coefficients.is_complex() else coefficients) / size
        residual = (coefficients - mean[..., self.ring]).abs().square()
        return mean, (self._sum(residual) / size).sqrt()

    def _sum(self, values: Tensor) -> Tensor:
        total = values.new_zeros(*values.shape[:-1], self.sets)
        return total.index_add_(-1, self.ring, values * self.weight)

    def normalise(self, coefficients: Tensor, *, clip: float | None) -> Tensor:
        """(F - mu) / sigma over the image's own high band, limited to +-clip in modulus.

        Args:
            coefficients: ``[B, C, M]`` real or complex.
            clip: Limit of the normalised coefficients, or None.

        Returns:
            ``[B, C, M]``; zero where an image's high band is constant.
        """
        weight = self.weight / self.weight.sum()
        real = coefficients.real if coefficients.is_complex() else coefficients
        residual = coefficients - _band_sum(real * weight)
        variance = _band_sum(residual.abs().square() * weight)
        # The root of a clamped variance: at 0 the root itself has no finite gradient.
        sigma = variance.clamp_min(FLAT**2).sqrt()
        z = torch.where(variance > FLAT**2, residual / sigma, torch.zeros_like(residual))
        if clip is None:
            return z
        return z * (clip / z.abs().clamp_min(clip))


def _band_sum(values: Tensor) -> Tensor:
    """Sum over the last dimension, kept as 1: the same bits for an image in every batch.

    PyTorch splits one long sum among threads, but not many: in parts of 2^14 it splits none.
    """
    return torch.stack([part.sum(-1, keepdim=True) for part in values.split(2**14, -1)]).sum(0)


@dataclass(frozen=True)
class NeighbourStatistics:
    """Gaussians of the high band's mean and deviation over the neighbours.

    All ``[B, C, G]`` over the sets of bins: ``mean`` (complex for complex coefficients of single
    bins) and ``deviation`` are the Gaussians' centres, ``mean_spread`` and ``deviation_spread``
    their standard deviations.
    """

    mean: Tensor
    deviation: Tensor
    mean_spread: Tensor
    deviation_spread: Tensor

    @classmethod
    def across_neighbours(
        cls, mean: Tensor, spread: Tensor, k: int, band: HighBand
    ) -> "NeighbourStatistics":
        """For single bins.

        A neighbour has one coefficient a bin, so its own deviation does not exist: the deviation
        is taken across the K neighbours, and varies as that of K Gaussian draws does [ours]: by
        1 / sqrt(2 K) of itself for real numbers, by 1 / sqrt(4 K) for complex ones.
        """
        degrees = torch.full_like(band.sign, 2.0)
        if mean.is_complex():
            degrees[band.sign != 0] = 4.0
        return cls(mean, spread, spread, spread / (degrees * k).sqrt())

    def sample(self, noise: Tensor, band: HighBand, *, scale: float) -> tuple[Tensor, Tensor]:
        """Draw mu_hat and sigma_hat from the Gaussians, one pair for every set of bins.

        Args:
            noise: Standard normal ``[B, 3, C, G]``: of the deviation, of the mean, and of the
                imaginary part of a complex mean.
            band: The high band.
            scale: Multiplies the Gaussians' standard deviations; 0 takes their centres.

        Returns:
            ``[B, C, M]`` each, Hermitian where the half plane holds a bin and its conjugate.
        """
        noise = noise * scale
        if band.granularity == "bin":
            noise = noise[..., band.mirror]
        step = noise[:, 1]
        if self.mean.is_complex():
            both = torch.complex(step, noise[:, 2] * band.sign) / 2**0.5
            step = torch.where(band.sign == 0, step.to(both.dtype), both)
        sigma = (self.deviation + noise[:, 0] * self.deviation_spread).clamp_min(0)
        mu = self.mean + step * self.mean_spread
        return mu[..., band.ring], sigma[..., band.ring]
