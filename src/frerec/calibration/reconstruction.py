"""How well images are reconstructed: PSNR, SSIM and log-spectral distance, in bounded memory."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from frerec.calibration.base import Calibrator
from frerec.calibration.rows import ImageRows, as_rows, chunks
from frerec.spectral import radial_log_power, radial_power, ring_radius
from frerec.spectral.distance import distance_of_mean_power

HIGH_BAND = 0.5  # from this fraction of the Nyquist radius on
SSIM_WINDOW = 11


class ReconstructionQuality:
    """Collects images and their references, some at a time.

    PSNR and SSIM are means over the images; the log-spectral distance is that of the mean power
    of all images to that of all references, see :func:`frerec.spectral.log_spectral_distance`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, images: Tensor, reference: Tensor) -> None:
        """Take in ``[B, C, H, W]`` in [0, 1] and references of the same shape.

        All figures are computed in float32 or finer, also under a caller's autocast.
        """
        with torch.autocast(images.device.type, enabled=False):
            self._add(images.detach().float(), reference.detach().float())

    def _add(self, images: Tensor, reference: Tensor) -> None:
        mse = (images.double() - reference.double()).square().mean(dim=(1, 2, 3))
        self._sum("psnr", (-10 * torch.log10(mse.clamp_min(1e-12))).sum())
        if min(images.shape[-2:]) >= SSIM_WINDOW:
            similarity = structural_similarity_index_measure(
                images, reference, sigma=1.5, data_range=1.0, reduction="none"
            )
            assert isinstance(similarity, Tensor)
            self._sum("ssim", similarity.double().sum())
        self._sum("power", radial_power(images).mean(1).sum(0))
        self._sum("reference_power", radial_power(reference).mean(1).sum(0))
        self.count += len(images)
        self.radius = ring_radius(*images.shape[-2:]).to(images.device)

    def _sum(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value

    def result(self) -> dict[str, float]:
        """``psnr`` (dB), ``ssim``, ``lsd_db`` and ``lsd_high_db`` (rho >= 0.5).

        SSIM is left out where a side is shorter than its window of 11 pixels.
        """
        powers = self.sums["power"] / self.count, self.sums["reference_power"] / self.count
        figures: dict[str, float] = {
            name: float(self.sums[name]) / self.count
            for name in ("psnr", "ssim")
            if name in self.sums
        }
        for name, minimum in (("lsd_db", 0.0), ("lsd_high_db", HIGH_BAND)):
            figures[name] = distance_of_mean_power(*powers, self.radius, minimum_radius=minimum)
        return figures


@dataclass(frozen=True)
class ReconstructionGap:
    """What a calibrator does to the images of its fit and to others.

    Attributes:
        train: Figures of calibrated against uncorrected images of the fit, see
            :meth:`ReconstructionQuality.result`.
        held_out: The same of images that took no part in the fit.
        log_power_before: Mean absolute difference of the mean radial log power (natural
            logarithm) of the two sets before calibration: what the sets differ by themselves.
        log_power_after: The same after calibration.
        high_log_power_before: ``log_power_before`` of the high band alone.
        high_log_power_after: ``log_power_after`` of the high band alone.
    """

    train: dict[str, float]
    held_out: dict[str, float]
    log_power_before: float
    log_power_after: float
    high_log_power_before: float
    high_log_power_after: float


def reconstruction_gap(
    calibrator: Calibrator,
    train: ImageRows | np.ndarray,
    held_out: ImageRows | np.ndarray,
    *,
    batch_size: int = 32,
) -> ReconstructionGap:
    """Measure whether a calibrator treats the images of its fit and other real images alike.

    RHM learned to reconstruct the images of the fit, so that calibrated training and test images
    may differ for that reason alone; cross-fitting is meant to close this gap.

    Args:
        calibrator: Fitted.
        train: Images of the fit, ``[N, C, H, W]`` in [0, 1].
        held_out: Real images of other patients, ``[M, C, H, W]``.
        batch_size: Images calibrated at once.
    """
    figures, before, after = [], [], []
    sets = as_rows(train), as_rows(held_out)
    for images in sets:
        quality, powers = ReconstructionQuality(), [torch.zeros(()), torch.zeros(())]
        for part in chunks(images, batch_size):
            calibrated = calibrator.transform(part, batch_size=batch_size)
            quality.add(calibrated, part)
            for index, of in enumerate((part, calibrated)):
                powers[index] = powers[index] + radial_log_power(of).mean(1).sum(0)
        figures.append(quality.result())
        before.append(powers[0] / len(images))
        after.append(powers[1] / len(images))
    high = ring_radius(*sets[0].shape[-2:]) >= HIGH_BAND
    differences = [(pair[0] - pair[1]).abs() for pair in (before, after)]
    return ReconstructionGap(
        train=figures[0],
        held_out=figures[1],
        log_power_before=float(differences[0].mean()),
        log_power_after=float(differences[1].mean()),
        high_log_power_before=float(differences[0][high].mean()),
        high_log_power_after=float(differences[1][high].mean()),
    )
