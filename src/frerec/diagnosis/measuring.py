"""What is measured of a set of images, batch by batch: radial spectra and the mean 2-D spectrum."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frerec.spectral import radial_log_power, radial_power, ring_radius

DB_PER_NEPER = 10 / math.log(10)
EPS = 1e-12  # added to a power before its logarithm, as in radial_log_power: -120 dB at least


@dataclass(frozen=True)
class Spectra:
    """The spectra of N images of C channels, in R rings.

    Attributes:
        power: mean power of each ring, over the channels too; float64 ``[N, R]``.
        features: radial log power S(k) of each channel in a row, what a detector sees;
            float64 ``[N, C * R]``.
        curves: S(k), mean over the channels, in dB; float64 ``[N, R]``.
        plane: mean over images and channels of the 2-D log power in dB, DC at (H//2, W//2);
            float64 ``[H, W]``.
        rho: inner radius of each ring over the Nyquist radius; ``[R]``.
    """

    power: NDArray[np.float64]
    features: NDArray[np.float64]
    curves: NDArray[np.float64]
    plane: NDArray[np.float64]
    rho: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.power)


@dataclass
class SpectraMeter:
    """Takes in images and gives their :class:`Spectra`; memory grows by the radial ones only."""

    _power: list[Tensor] = field(default_factory=list)
    _log_power: list[Tensor] = field(default_factory=list)
    _plane: Tensor | None = None
    _size: tuple[int, int] = (0, 0)

    def add(self, images: Tensor) -> None:
        """Take in ``[B, C, H, W]`` in [0, 1], always of one size."""
        if len(images) == 0:
            return
        self._size = (int(images.shape[-2]), int(images.shape[-1]))
        self._power.append(radial_power(images).mean(1))
        self._log_power.append(radial_log_power(images))
        total = log_power_plane(images).sum(0)
        self._plane = total if self._plane is None else self._plane + total

    def spectra(self) -> Spectra:
        """What was taken in so far.

        Raises:
            ValueError: If there was nothing.
        """
        if self._plane is None:
            raise ValueError("no images were taken in")
        log_power = torch.cat(self._log_power)
        count = len(log_power)
        return Spectra(
            power=torch.cat(self._power).numpy(),
            features=log_power.flatten(1).numpy(),
            curves=(log_power.mean(1) * DB_PER_NEPER).numpy(),
            plane=(self._plane / count * DB_PER_NEPER).numpy(),
            rho=ring_radius(*self._size).double().numpy(),
        )


def log_power_plane(images: Tensor) -> Tensor:
    """ln(|F|^2 + eps) of the ortho-normalised FFT, mean over the channels.

    Args:
        images: ``[B, C, H, W]``.

    Returns:
        float64 ``[B, H, W]``, the whole plane with DC at (H//2, W//2).
    """
    spectrum = torch.fft.fft2(images.double(), norm="ortho")
    plane = torch.log(spectrum.abs().square() + EPS).mean(1)
    shifted: Tensor = torch.fft.fftshift(plane, dim=(-2, -1))
    return shifted
