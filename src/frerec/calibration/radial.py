"""Baseline: one gain curve that gives synthetic images the mean radial power of real ones."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from frerec.calibration.base import Calibrator
from frerec.calibration.rows import ImageRows, check_images, chunks
from frerec.errors import ConfigError, DataError
from frerec.spectral.bands import high_frequency_mask
from frerec.spectral.distance import distance_of_mean_power
from frerec.spectral.gain import gain_curve, gain_map
from frerec.spectral.profile import radial_power, ring_radius
from frerec.spectral.transform import forward_fft, inverse_fft

CHUNK = 32  # images whose spectra are held at once, in float64


def mean_radial_power_of_channels(images: ImageRows) -> Tensor:
    """Mean over the images of the power of each ring: float64 ``[C, R]``, in bounded memory."""
    total = None
    for part in chunks(images, CHUNK):
        power = radial_power(part).sum(0).cpu()
        total = power if total is None else total + power
    if total is None:
        raise DataError("no images: expected at least one")
    return total / len(images)


def apply_gain(images: Tensor, gain: Tensor) -> Tensor:
    """F' = g F: real gains ``[C, H, W // 2 + 1]`` on images ``[B, C, H, W]``; not clamped."""
    parts = torch.view_as_real(forward_fft(images)) * gain[..., None]
    return inverse_fft(torch.view_as_complex(parts), *images.shape[-2:])


class RadialGain(Calibrator):
    """F' = F g(rho) for rho >= ratio, g = sqrt((P_t + eps) / (P_s + eps)) [ours].

    P_t and P_s are the mean radial power of the real and of the synthetic training images, one
    curve a channel; g is smoothed along rho, clipped, and linear between the centres of the rings.
    Deterministic and cheap: the rival that FreRec must beat. It knows one generator's mean
    spectrum, so it is fitted to that generator's images, and it changes real images for the worse.
    Matching the mean radial spectrum after generation has been proposed to hide generated images
    from spectral detectors (Dong et al., "Think Twice Before Detecting GAN-generated Fake Images
    from their Spectral Domain Imprints", CVPR 2022).

    Buffers: ``gain``, ``real_power``, ``synthetic_power`` float64 ``[C, R]`` over the rings of
    :func:`frerec.spectral.profile.radial_power`, and ``size`` int64 ``[H, W]``.

    Args:
        ratio: Radius of the low band, which is kept, as a fraction of the Nyquist radius.
        smoothing: Standard deviation of the Gaussian that smooths log g, in rings; 0 for none.
        smallest_gain: Lower limit of g.
        largest_gain: Upper limit of g.
        eps: Added to both powers.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    name: ClassVar[str] = "radial"
    uses_synthetic: ClassVar[bool] = True

    gain: Tensor
    real_power: Tensor
    synthetic_power: Tensor
    size: Tensor

    def __init__(
        self,
        *,
        ratio: float = 0.5,
        smoothing: float = 1.0,
        smallest_gain: float = 0.25,
        largest_gain: float = 4.0,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        high_frequency_mask(16, 16, ratio)  # its own range check
        if smoothing < 0:
            raise ConfigError(f"smoothing={smoothing}: expected at least 0 rings")
        if not 0 < smallest_gain <= 1 <= largest_gain:
            raise ConfigError(
                f"smallest_gain={smallest_gain}, largest_gain={largest_gain}: expected "
                "0 < smallest_gain <= 1 <= largest_gain"
            )
        if eps <= 0:
            raise ConfigError(f"eps={eps}: expected a positive number")
        self.ratio, self.smoothing, self.eps = float(ratio), float(smoothing), float(eps)
        self.smallest_gain, self.largest_gain = float(smallest_gain), float(largest_gain)
        self._allocate(channels=0, rings=0)

    def _allocate(self, *, channels: int, rings: int) -> None:
        for name in ("gain", "real_power", "synthetic_power"):
            self.register_buffer(name, torch.ones(channels, rings, dtype=torch.float64))
        self.register_buffer("size", torch.zeros(2, dtype=torch.long))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        keys = ("ratio", "smoothing", "smallest_gain", "largest_gain", "eps")
        return {key: getattr(self, key) for key in keys}

    def _fit(
        self,
        images: ImageRows,
        groups: Tensor,  # noqa: ARG002
        *,
        synthetic: ImageRows | None,
        directory: Path | None = None,  # noqa: ARG002
        progress: bool = False,  # noqa: ARG002
    ) -> None:
        """Measure both mean spectra, a few images at a time."""
        assert synthetic is not None  # the contract: uses_synthetic
        device = self.device
        real, made = map(mean_radial_power_of_channels, (images, synthetic))
        gain = gain_curve(
            real,
            made,
            eps=self.eps,
            smoothing=self.smoothing,
            smallest=self.smallest_gain,
            largest=self.largest_gain,
        )
        size = torch.tensor(list(images.shape[-2:]))
        self.real_power, self.synthetic_power = real.to(device), made.to(device)
        self.gain, self.size = gain.to(device), size.to(device)
        self.report = self._report(real, made, gain, images=len(images), synthetic=len(synthetic))

    def _report(
        self, real: Tensor, made: Tensor, gain: Tensor, *, images: int, synthetic: int
    ) -> dict[str, Any]:
        """How far apart the mean spectra are, and what the clipped, smoothed gain leaves of it."""
        radius = ring_radius(*self.size.tolist())
        high = gain[:, radius >= self.ratio]
        distances = {
            f"mean_power_distance_db_{when}": distance_of_mean_power(
                real.mean(0), power.mean(0), radius, minimum_radius=self.ratio
            )
            for when, power in (("before", made), ("after", made * gain.square()))
        }
        return {
            "real_images": images,
            "synthetic_images": synthetic,
            "smallest_gain_used": float(high.min()) if high.numel() else 1.0,
            "largest_gain_used": float(high.max()) if high.numel() else 1.0,
            **(distances if high.numel() else {}),
        }

    def forward(self, images: Tensor) -> Tensor:
        """g(rho) on the high band of ``[B, C, H, W]`` in [0, 1], clamped to [0, 1]."""
        check_images(images)
        shape = self.input_shape
        if shape is None:
            raise ConfigError(
                "calibrator is not fitted: call fit(real_images, synthetic=...) or load(directory)"
            )
        if tuple(images.shape[1:]) != shape:
            raise DataError(
                f"images of shape {tuple(images.shape[1:])}: the calibrator was fitted on "
                f"{list(shape)}; resize or convert them first (data.image_size, data.channels)"
            )
        if len(images) == 0:
            return images
        gain = gain_map(self.gain, *shape[1:], ratio=self.ratio).to(images.device)
        return apply_gain(images.float(), gain).clamp(0, 1)

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)`` of the fit."""
        if len(self.gain) == 0:
            return None
        height, width = self.size.tolist()
        return len(self.gain), height, width

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Allocate curves of the size that is about to be loaded."""
        channels, rings = state["gain"].shape
        self._allocate(channels=channels, rings=rings)
