"""Baseline: the grey-level histogram of the most similar real image."""

from typing import Any, ClassVar

from torch import Tensor

from frerec.calibration.partners import PartnerCalibrator
from frerec.calibration.quantiles import match_quantiles
from frerec.calibration.retrieval import SearchMethod


class HistogramMatching(PartnerCalibrator):
    """Histogram matching (Gonzalez and Woods, *Digital Image Processing*) to the nearest neighbour.

    Equal to ``skimage.exposure.match_histograms`` of every channel. It changes grey values and not
    frequencies, and so asks whether repairing the intensities would do. Deterministic.

    Args:
        retrieval: ``fast`` or ``exact``, see :func:`frerec.calibration.retrieval.top_k_ssim`.
        bank_size: At most this many real images, drawn at random, serve as neighbours [ours];
            None keeps all.
        seed: Seed of that draw.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    name: ClassVar[str] = "histogram"

    def __init__(
        self, *, retrieval: SearchMethod = "fast", bank_size: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(partner="similar", retrieval=retrieval, bank_size=bank_size, seed=seed)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return self._bank_config()

    def combine(self, images: Tensor, partners: Tensor) -> Tensor:
        """:func:`frerec.calibration.quantiles.match_quantiles`."""
        return match_quantiles(images, partners)
