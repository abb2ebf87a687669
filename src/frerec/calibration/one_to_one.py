"""Baseline: the high band of the single most similar real image (FreRec without statistics)."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from frerec.calibration.partners import PartnerCalibrator
from frerec.calibration.retrieval import SearchMethod
from frerec.spectral.bands import MaskShape, high_frequency_mask
from frerec.spectral.transform import forward_fft, inverse_fft


def replace_high_band(images: Tensor, partners: Tensor, mask: Tensor) -> Tensor:
    """F' = F of the image outside ``mask``, F of the partner (amplitude and phase) inside.

    Args:
        images: ``[B, C, H, W]``.
        partners: The same shape.
        mask: bool ``[H, W // 2 + 1]``, the high band.

    Returns:
        ``[B, C, H, W]``, not clamped.
    """
    spectrum = torch.where(mask, forward_fft(partners), forward_fft(images))
    return inverse_fft(spectrum, *images.shape[-2:])


class OneToOneReplacement(PartnerCalibrator):
    """The limit K = 1 of SHR (arXiv 2511.12301): one neighbour's high band, as it is.

    Deterministic. It brings a real image's high frequencies, and with them that image's edges and
    noise in places where this image has none.

    Args:
        ratio: Radius of the low band as a fraction of the Nyquist radius, as in SHR.
        mask: ``circle`` or ``square``, as in SHR.
        retrieval: ``fast`` or ``exact``, see :func:`frerec.calibration.retrieval.top_k_ssim`.
        bank_size: At most this many real images, drawn at random, serve as neighbours [ours];
            None keeps all.
        seed: Seed of that draw.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    name: ClassVar[str] = "one_to_one"

    def __init__(
        self,
        *,
        ratio: float = 0.5,
        mask: MaskShape = "circle",
        retrieval: SearchMethod = "fast",
        bank_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(partner="similar", retrieval=retrieval, bank_size=bank_size, seed=seed)
        high_frequency_mask(16, 16, ratio, shape=mask)  # its own range check
        self.ratio, self.mask = float(ratio), mask

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"ratio": self.ratio, "mask": self.mask, **self._bank_config()}

    def combine(self, images: Tensor, partners: Tensor) -> Tensor:
        """:func:`replace_high_band` with the configured mask."""
        height, width = images.shape[-2:]
        mask = high_frequency_mask(height, width, self.ratio, shape=self.mask)
        return replace_high_band(images, partners, mask.to(images.device))
