"""Statistical High-frequency Replacement (SHR), FreRec's first stage (arXiv 2511.12301).

The K real images most similar to an image give Gaussians for the mean and the deviation of the
high band; a new mean and deviation are drawn, and the image's high band is re-normalised:

    F_high' = sigma_hat * (F_high - mu) / sigma + mu_hat                                    (SHR)

mu and sigma are the image's own mean and deviation over its high band; the low band is kept.
"""

import logging
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from frerec.calibration.bank import RealBank, content_keys
from frerec.calibration.base import Calibrator
from frerec.calibration.retrieval import STRIDES, SearchMethod
from frerec.calibration.rows import ImageRows, check_images, chunks
from frerec.calibration.statistics import (
    GRANULARITIES,
    REPRESENTATIONS,
    Granularity,
    MomentTable,
    NeighbourStatistics,
    Representation,
    decode,
    encode,
    ring_of_bin,
)
from frerec.errors import ConfigError
from frerec.spectral.bands import MaskShape, high_frequency_mask
from frerec.spectral.transform import forward_fft, inverse_fft

log = logging.getLogger(__name__)

Sampling = Literal["gaussian", "mean"]
SAMPLINGS: tuple[Sampling, ...] = ("gaussian", "mean")
POOL_PER_NEIGHBOUR = 5  # K is at most a fifth of the pool [ours]
FLAT = 1e-6  # below this deviation (ortho FFT) a high band is constant and carries no pattern


def normalise(coefficients: Tensor, *, clip: float | None) -> Tensor:
    """(F - mu) / sigma over the image's own high band, limited to +-clip in modulus.

    Args:
        coefficients: ``[B, C, M]`` real or complex.
        clip: Limit of the normalised coefficients, or None.

    Returns:
        ``[B, C, M]``; zero where an image's high band is constant.
    """
    residual = coefficients - coefficients.mean(-1, keepdim=True)
    sigma = residual.abs().square().mean(-1, keepdim=True).sqrt()
    z = torch.where(sigma > FLAT, residual / sigma.clamp_min(FLAT), torch.zeros_like(residual))
    if clip is None:
        return z
    return z * (clip / z.abs().clamp_min(clip))


def sample_statistics(
    statistics: NeighbourStatistics, noise: Tensor, *, scale: float
) -> tuple[Tensor, Tensor]:
    """Draw mu_hat and sigma_hat from the Gaussians.

    Args:
        statistics: Over the neighbours, ``[B, C, M]``.
        noise: Standard normal ``[B, 3, C, M]``: deviation, mean, imaginary part of the mean.
        scale: Multiplies the Gaussians' standard deviations; 0 takes their centres.
    """
    sigma = statistics.deviation + scale * noise[:, 0] * statistics.deviation_spread
    step = noise[:, 1]
    if statistics.mean.is_complex():
        step = torch.complex(step, noise[:, 2]) / 2**0.5
    return statistics.mean + scale * step * statistics.mean_spread, sigma.clamp_min(0)


class StatisticalHighFrequencyReplacement(Calibrator):
    """SHR as a calibrator.

    In evaluation mode the noise is fixed by the image's content, so that an image gives the same
    pixels alone or in any batch; in training mode it is drawn anew at every call from PyTorch's
    global generator.

    Args:
        ratio: Radius of the low band as a fraction of the Nyquist radius; r = 0.5 in the paper.
        mask: ``circle`` or ``square``.
        neighbours: K, 200 in the paper; at most a fifth of the pool.
        granularity: What shares one mean and deviation: every ``bin``, ``ring``, or ``scalar``
            for the whole high band. ``bin`` is the reading that fits the paper's figures.
        representation: ``complex`` coefficients, ``amplitude`` or ``log_amplitude`` (phase kept).
        sampling: ``gaussian`` draws the statistics, ``mean`` takes the Gaussians' centres.
        deviation_scale: Multiplies the Gaussians' standard deviations when sampling [ours].
        clip: Limit of the normalised coefficients [ours], or None.
        similarity: ``ssim``, the paper's.
        retrieval: ``fast`` or ``exact``, see :func:`frerec.calibration.retrieval.top_k_ssim`.
        bank_size: At most this many real images, drawn at random, serve as neighbours [ours];
            None keeps all.
        seed: Seed of that draw and of the noise.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    name: ClassVar[str] = "shr"

    def __init__(
        self,
        *,
        ratio: float = 0.5,
        mask: MaskShape = "circle",
        neighbours: int = 200,
        granularity: Granularity = "bin",
        representation: Representation = "amplitude",
        sampling: Sampling = "gaussian",
        deviation_scale: float = 0.5,
        clip: float | None = 2.5,
        similarity: str = "ssim",
        retrieval: SearchMethod = "fast",
        bank_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for key, value, known in (
            ("granularity", granularity, GRANULARITIES),
            ("representation", representation, REPRESENTATIONS),
            ("sampling", sampling, SAMPLINGS),
            ("similarity", similarity, ("ssim",)),
            ("retrieval", retrieval, tuple(STRIDES)),
        ):
            if value not in known:
                raise ConfigError(f"{key}={value}: expected one of {', '.join(known)}")
        if neighbours < 1:
            raise ConfigError(f"neighbours={neighbours}: expected at least 1")
        if clip is not None and clip <= 0:
            raise ConfigError(f"clip={clip}: expected a positive number or null")
        if deviation_scale < 0:
            raise ConfigError(f"deviation_scale={deviation_scale}: expected at least 0")
        if bank_size is not None and bank_size < 1:
            raise ConfigError(f"bank_size={bank_size}: expected at least 1, or null for all")
        high_frequency_mask(16, 16, ratio, shape=mask)  # its own range check
        self.ratio, self.mask, self.neighbours = float(ratio), mask, int(neighbours)
        self.granularity, self.representation = granularity, representation
        self.sampling, self.deviation_scale, self.clip = sampling, float(deviation_scale), clip
        self.similarity, self.retrieval = similarity, retrieval
        self.bank_size, self.seed = bank_size, int(seed)
        self.bank = RealBank()
        self._table: MomentTable | None = None

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        keys = "ratio mask neighbours granularity representation sampling deviation_scale clip"
        keys += " similarity retrieval bank_size seed"
        return {key: getattr(self, key) for key in keys.split()}

    def _fit(
        self,
        images: ImageRows,
        groups: Tensor,
        *,
        synthetic: ImageRows | None = None,  # noqa: ARG002
        directory: Path | None = None,  # noqa: ARG002
        progress: bool = False,  # noqa: ARG002
    ) -> None:
        """Keep the real images, at least 10, as the bank of neighbours."""
        self.bank.fill(images, groups, size=self.bank_size, seed=self.seed)
        self._forget()
        if len(self.bank) < 2 * POOL_PER_NEIGHBOUR:
            raise ConfigError(
                f"SHR needs at least {2 * POOL_PER_NEIGHBOUR} real images, got {len(self.bank)}: "
                "give more images to fit"
            )
        if self.effective_neighbours < self.neighbours:
            log.warning(
                "SHR: neighbours=%d reduced to %d, a fifth of the pool of %d real images",
                self.neighbours,
                self.effective_neighbours,
                len(self.bank),
            )

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)`` of the fit."""
        if len(self.bank) == 0:
            return None
        channels, height, width = self.bank.images.shape[1:]
        return channels, height, width

    @property
    def effective_neighbours(self) -> int:
        """K = min(K, pool / 5)."""
        return max(1, min(self.neighbours, len(self.bank) // POOL_PER_NEIGHBOUR))

    def neighbour_indices(self, images: ImageRows, *, progress: bool = False) -> Tensor:
        """The K most similar bank images, without self and patient: int64 ``[B, K]``."""
        return self.bank.search(
            images, self.effective_neighbours, method=self.retrieval, progress=progress
        )

    def replace(
        self, images: Tensor, indices: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Equation (SHR) with given neighbours ``[B, K]``, before clamping to [0, 1].

        The noise comes from ``generator`` where one is given, else as the class describes.
        """
        height, width = images.shape[-2:]
        mask = high_frequency_mask(height, width, self.ratio, shape=self.mask).to(images.device)
        spectrum = forward_fft(images.float())
        high = spectrum[..., mask]
        statistics = self.table().gather(indices)
        mu_hat, sigma_hat = sample_statistics(
            statistics,
            self._noise(images, high.shape, generator),
            scale=self.deviation_scale if self.sampling == "gaussian" else 0.0,
        )
        z = normalise(encode(high, self.representation), clip=self.clip)
        replaced = decode(sigma_hat * z + mu_hat, high, self.representation)
        spectrum = spectrum.masked_scatter(mask.expand_as(spectrum), replaced)
        return inverse_fft(spectrum, height, width)

    def forward(self, images: Tensor) -> Tensor:
        """SHR of ``[B, C, H, W]`` in [0, 1], clamped to [0, 1]."""
        check_images(images)
        self.bank.check_size(images)
        if len(images) == 0:
            return images
        return self.replace(images, self.neighbour_indices(images)).clamp(0, 1)

    def table(self) -> MomentTable:
        """Moments of the bank's high bands, computed once."""
        if self._table is None:
            height, width = self.bank.images.shape[-2:]
            mask = high_frequency_mask(height, width, self.ratio, shape=self.mask)
            ring = ring_of_bin(height, width, mask, self.granularity)
            device = self.bank.images.device
            mask, ring = mask.to(device), ring.to(device)
            coefficients = [
                encode(torch.fft.rfft2(part, norm="ortho")[..., mask], self.representation)
                for part in chunks(self.bank)
            ]
            self._table = MomentTable(torch.cat(coefficients), ring, self.granularity)
        return self._table

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Allocate a bank of the size that is about to be loaded."""
        self.bank.allocate_for(state)
        self._forget()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._forget()  # what was computed from the bank stays on the old device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _forget(self) -> None:
        self._table = None

    def _noise(
        self, images: Tensor, shape: torch.Size, generator: torch.Generator | None
    ) -> Tensor:
        """Standard normal [B, 3, C, M]; fixed by each image's content in evaluation mode."""
        batch, channels, bins = shape
        if self.sampling == "mean" or self.deviation_scale == 0:
            return torch.zeros(1, 3, 1, 1, device=images.device)
        if generator is not None:
            noise = torch.randn(batch, 3, channels, bins, generator=generator)
            return noise.to(images.device)
        if self.training:
            return torch.randn(batch, 3, channels, bins, device=images.device)
        draws = []
        for key in content_keys(images).tolist():
            own = torch.Generator().manual_seed((key ^ self.seed) & (2**63 - 1))
            draws.append(torch.randn(3, channels, bins, generator=own))
        return torch.stack(draws).to(images.device)
