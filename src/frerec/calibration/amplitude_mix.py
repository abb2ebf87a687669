"""Baseline: amplitude mix of FACT (Xu et al., CVPR 2021, arXiv 2105.11120)."""

from typing import Any, ClassVar

from torch import Tensor

from frerec.calibration.bank import content_keys
from frerec.calibration.partners import WEIGHT, Partner, PartnerCalibrator
from frerec.calibration.retrieval import SearchMethod
from frerec.errors import ConfigError
from frerec.spectral.amplitude import amplitude, with_amplitude
from frerec.spectral.transform import forward_fft, inverse_fft


def mix_amplitude(images: Tensor, partners: Tensor, weight: Tensor) -> Tensor:
    """A = (1 - lambda) A_s + lambda A_t over the whole spectrum, with the image's own phase.

    Args:
        images: s, ``[B, C, H, W]``.
        partners: t, the same shape.
        weight: lambda in [0, 1], ``[B]``.

    Returns:
        ``[B, C, H, W]``, not clamped.
    """
    spectrum = forward_fft(images)
    share = weight.to(images)[:, None, None, None]
    own, other = amplitude(spectrum), amplitude(forward_fft(partners))
    mixed = with_amplitude(spectrum, (1 - share) * own + share * other)
    return inverse_fft(mixed, *images.shape[-2:])


class AmplitudeMix(PartnerCalibrator):
    """FACT's amplitude mix of each image with one real image, lambda ~ U(0, eta).

    The authors' code is github.com/MediaBrain-SJTU/FACT, ``colorful_spectrum_mix`` with ratio 1;
    there it augments both images of a pair. lambda is fixed by the image's content in evaluation
    mode, and drawn anew at every call in training mode.

    Args:
        eta: The strength: the largest lambda, in (0, 1]; 1 by default.
        partner: ``similar`` takes the most similar real image [ours]: all baselines then get what
            FreRec's retrieval gives; ``random`` is the paper's.
        retrieval: ``fast`` or ``exact``, see :func:`frerec.calibration.retrieval.top_k_ssim`.
        bank_size: At most this many real images, drawn at random, serve as partners [ours]; None
            keeps all.
        seed: Seed of that draw, of random partners and of lambda.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    name: ClassVar[str] = "amplitude_mix"

    def __init__(
        self,
        *,
        eta: float = 1.0,
        partner: Partner = "similar",
        retrieval: SearchMethod = "fast",
        bank_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(partner=partner, retrieval=retrieval, bank_size=bank_size, seed=seed)
        if not 0.0 < eta <= 1.0:
            raise ConfigError(f"eta={eta}: expected the largest weight, in (0, 1]")
        self.eta = float(eta)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"eta": self.eta, "partner": self.partner, **self._bank_config()}

    def weights(self, images: Tensor) -> Tensor:
        """Lambda of each image: float64 ``[B]`` in [0, eta), on the CPU."""
        return self.eta * self._uniform(content_keys(images), WEIGHT)

    def combine(self, images: Tensor, partners: Tensor) -> Tensor:
        """:func:`mix_amplitude` with the images' own weights."""
        return mix_amplitude(images, partners, self.weights(images))
