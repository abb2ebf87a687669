"""Statistical High-frequency Replacement (SHR), FreRec's first stage (arXiv 2511.12301).

The K real images most similar to an image give Gaussians for the mean and the deviation of the
high band; a new mean and deviation are drawn, and the image's high band is re-normalised:

    F_high' = sigma_hat * (F_high - mu) / sigma + mu_hat                                    (SHR)

mu and sigma are the image's own mean and deviation over its high band; the low band is kept.
"""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from frerec.calibration.bank import RealBank, content_keys
from frerec.calibration.base import Calibrator
from frerec.calibration.moment_table import MomentTable
from frerec.calibration.noise import normal_noise
from frerec.calibration.retrieval import SEARCH_METHODS, SearchMethod
from frerec.calibration.rows import ImageRows, check_images, chunks
from frerec.calibration.statistics import (
    GRANULARITIES,
    REPRESENTATIONS,
    Granularity,
    HighBand,
    NeighbourStatistics,
    Representation,
    decode,
    encode,
)
from frerec.errors import ConfigError
from frerec.spectral.bands import MaskShape, high_frequency_mask
from frerec.spectral.transform import forward_fft, inverse_fft

log = logging.getLogger(__name__)

Sampling = Literal["gaussian", "mean"]
SAMPLINGS: tuple[Sampling, ...] = ("gaussian", "mean")
POOL_PER_NEIGHBOUR = 5  # K is at most a fifth of the pool [ours]


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
            ("retrieval", retrieval, SEARCH_METHODS),
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
        self._tables: list[MomentTable] | None = None
        self._band: HighBand | None = None

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
        count = min(len(images), self.bank_size or len(images))
        if count < 2 * POOL_PER_NEIGHBOUR:
            raise ConfigError(
                f"SHR needs at least {2 * POOL_PER_NEIGHBOUR} real images, got {count}: "
                "give more images to fit"
            )
        self.bank.fill(images, groups, size=self.bank_size, seed=self.seed)
        self._forget()
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

    def neighbour_indices(
        self, images: ImageRows, *, keys: Tensor | None = None, progress: bool = False
    ) -> Tensor:
        """The K most similar bank images, without self and patient: int64 ``[B, K]``."""
        return self.bank.search(
            images,
            self.effective_neighbours,
            method=self.retrieval,
            keys=keys,
            progress=progress,
        )

    def replace(
        self,
        images: Tensor,
        indices: Tensor,
        *,
        generator: torch.Generator | None = None,
        keys: Tensor | None = None,
    ) -> Tensor:
        """Equation (SHR) with given neighbours ``[B, K]``, before clamping to [0, 1].

        The noise comes from ``generator`` where one is given, else as the class describes;
        ``keys`` are the images' :func:`frerec.calibration.bank.content_keys` where known.
        """
        height, width = images.shape[-2:]
        band = self.band()
        spectrum = forward_fft(images.float())
        high = spectrum[..., band.mask]
        statistics = self.statistics(indices)
        mu_hat, sigma_hat = statistics.sample(
            self._noise(images, generator, keys),
            band,
            scale=self.deviation_scale if self.sampling == "gaussian" else 0.0,
        )
        z = band.normalise(encode(high, self.representation), clip=self.clip)
        replaced = decode(sigma_hat * z + mu_hat, high, self.representation)
        spectrum = spectrum.masked_scatter(band.mask.expand_as(spectrum), replaced)
        return inverse_fft(spectrum, height, width)

    def forward(self, images: Tensor) -> Tensor:
        """SHR of ``[B, C, H, W]`` in [0, 1], clamped to [0, 1]."""
        check_images(images)
        self.bank.check_size(images)
        if len(images) == 0:
            return images
        keys = content_keys(images)
        return self.replace(images, self.neighbour_indices(images, keys=keys), keys=keys).clamp(
            0, 1
        )

    def statistics(self, indices: Tensor) -> NeighbourStatistics:
        """Gaussians over the neighbours ``[B, K]`` of each image."""
        if self._tables is None:
            # Made in inference mode, they could take part in no later gradient.
            with torch.inference_mode(False), torch.no_grad():
                self._tables = self._make_tables()
        moments = [table.gather(indices) for table in self._tables]
        if self.granularity == "bin":
            return NeighbourStatistics.across_neighbours(
                *moments[0], k=indices.shape[1], band=self.band()
            )
        (mean, mean_spread), (deviation, deviation_spread) = moments
        return NeighbourStatistics(mean, deviation, mean_spread, deviation_spread)

    def band(self) -> HighBand:
        """The high band of the fitted size."""
        if self._band is None:
            height, width = self.bank.shape[-2:]
            with torch.inference_mode(False), torch.no_grad():
                mask = high_frequency_mask(height, width, self.ratio, shape=self.mask)
                self._band = HighBand(mask.to(self.bank.images.device), width, self.granularity)
        return self._band

    def _make_tables(self) -> list[MomentTable]:
        """Moments of the bank's high bands: of its bins, or of the sets' means and deviations."""
        band = self.band()

        def bins() -> Iterator[Tensor]:
            for part in chunks(self.bank, 64):
                yield encode(torch.fft.rfft2(part, norm="ortho")[..., band.mask], representation)

        def moment(which: int) -> Callable[[], Iterator[Tensor]]:
            return lambda: (band.set_moments(part)[which] for part in bins())

        representation, count = self.representation, len(self.bank)
        device = self.bank.images.device
        if self.granularity == "bin":
            return [MomentTable(bins, count, device=device)]
        return [
            MomentTable(moment(which), count, dtype=torch.float32, device=device)
            for which in (0, 1)
        ]

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Allocate a bank of the size that is about to be loaded."""
        self.bank.allocate_for(state)
        self._forget()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._forget()  # what was computed from the bank stays on the old device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tables": None, "_band": None}  # made again where it is needed

    def _forget(self) -> None:
        self._tables, self._band = None, None

    def _noise(
        self, images: Tensor, generator: torch.Generator | None, keys: Tensor | None
    ) -> Tensor:
        """Standard normal [B, 3, C, G]; fixed by each image's content in evaluation mode."""
        shape = (len(images), 3, images.shape[1], self.band().sets)
        if self.sampling == "mean" or self.deviation_scale == 0:
            return torch.zeros(1, 3, 1, shape[-1], device=images.device)
        if generator is not None:
            return torch.randn(shape, generator=generator).to(images.device)
        if self.training:
            return torch.randn(shape, device=images.device)
        keys = (content_keys(images) if keys is None else keys).to(images.device)
        return normal_noise(keys, math.prod(shape[1:]), seed=self.seed).view(shape)
