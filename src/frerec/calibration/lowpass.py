"""Baseline: no high band at all."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from frerec.calibration.base import Calibrator
from frerec.calibration.rows import ImageRows, check_images
from frerec.spectral.bands import MaskShape, high_frequency_mask
from frerec.spectral.transform import forward_fft, inverse_fft


def remove_high_band(images: Tensor, mask: Tensor) -> Tensor:
    """F' = 0 inside ``mask`` and F outside.

    Args:
        images: ``[B, C, H, W]``.
        mask: bool ``[H, W // 2 + 1]``, the high band.

    Returns:
        ``[B, C, H, W]``, not clamped.
    """
    spectrum = forward_fft(images)
    kept = torch.where(mask, torch.zeros_like(spectrum), spectrum)
    return inverse_fft(kept, *images.shape[-2:])


class LowPass(Calibrator):
    """Sets the high band of every image to zero, real ones too [ours].

    The question: does removing the mismatch do as well as repairing it? An ideal low-pass with
    SHR's mask; it learns nothing, and takes images of any size.

    Args:
        ratio: Radius of the low band as a fraction of the Nyquist radius, as in SHR.
        mask: ``circle`` or ``square``, as in SHR.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    name: ClassVar[str] = "lowpass"

    def __init__(self, *, ratio: float = 0.5, mask: MaskShape = "circle") -> None:
        super().__init__()
        high_frequency_mask(16, 16, ratio, shape=mask)  # its own range check
        self.ratio, self.mask = float(ratio), mask

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"ratio": self.ratio, "mask": self.mask}

    def _fit(self, images: ImageRows, groups: Tensor, **_: Any) -> None:
        """Nothing to learn."""

    def forward(self, images: Tensor) -> Tensor:
        """The low band of ``[B, C, H, W]`` in [0, 1], clamped to [0, 1]."""
        check_images(images)
        if len(images) == 0:
            return images
        height, width = images.shape[-2:]
        mask = high_frequency_mask(height, width, self.ratio, shape=self.mask)
        return remove_high_band(images.float(), mask.to(images.device)).clamp(0, 1)
