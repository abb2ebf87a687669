"""Baseline: Fourier Domain Adaptation (Yang and Soatto, CVPR 2020, arXiv 2004.05498)."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from frerec.calibration.partners import Partner, PartnerCalibrator
from frerec.calibration.retrieval import SearchMethod
from frerec.spectral.amplitude import amplitude, with_amplitude
from frerec.spectral.transform import forward_fft, inverse_fft
from frerec.spectral.windows import WindowBand, swap_window


def swap_amplitude(images: Tensor, partners: Tensor, window: Tensor) -> Tensor:
    """The image with the partner's amplitude inside a window, and its own phase everywhere.

    The paper's ``x_s->t = F^-1([M A(x_t) + (1 - M) A(x_s), P(x_s)])``, M the window.

    Args:
        images: x_s, ``[B, C, H, W]``.
        partners: x_t, the same shape.
        window: M, bool ``[H, W // 2 + 1]``.

    Returns:
        ``[B, C, H, W]``, not clamped.
    """
    spectrum = forward_fft(images)
    swapped = with_amplitude(spectrum, amplitude(forward_fft(partners)))
    return inverse_fft(torch.where(window, swapped, spectrum), *images.shape[-2:])


class FourierDomainAdaptation(PartnerCalibrator):
    """FDA: the amplitude of a low window is a real image's, the phase stays.

    The window is that of the authors' code (github.com/YanchaoYang/FDA, ``low_freq_mutate_np``):
    |u|, |v| <= b with b = floor(min(H, W) * beta); a small image with a small beta swaps the mean
    alone. FDA was made for the low band, where style lies; ``band=high`` asks the same of the band
    that generators get wrong [ours].

    Args:
        beta: Half-width of the window as a fraction of the shorter side, in (0, 0.5]. The paper's
            are 0.01, 0.05 and 0.09.
        band: ``low``, the paper's, or ``high``, its mirror image, see
            :func:`frerec.spectral.windows.swap_window`.
        partner: ``similar`` takes the most similar real image [ours]: all baselines then get what
            FreRec's retrieval gives; ``random`` is the paper's.
        retrieval: ``fast`` or ``exact``, see :func:`frerec.calibration.retrieval.top_k_ssim`.
        bank_size: At most this many real images, drawn at random, serve as partners [ours]; None
            keeps all.
        seed: Seed of that draw and of random partners.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    name: ClassVar[str] = "fda"

    def __init__(
        self,
        *,
        beta: float = 0.05,
        band: WindowBand = "low",
        partner: Partner = "similar",
        retrieval: SearchMethod = "fast",
        bank_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(partner=partner, retrieval=retrieval, bank_size=bank_size, seed=seed)
        swap_window(16, 16, beta, band=band)  # its own range check
        self.beta, self.band = float(beta), band

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"beta": self.beta, "band": self.band, "partner": self.partner}
        return {**own, **self._bank_config()}

    def combine(self, images: Tensor, partners: Tensor) -> Tensor:
        """:func:`swap_amplitude` in the configured window."""
        height, width = images.shape[-2:]
        window = swap_window(height, width, self.beta, band=self.band)
        return swap_amplitude(images, partners, window.to(images.device))
