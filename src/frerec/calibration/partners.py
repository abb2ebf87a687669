"""Calibrators that give each image something of one real image, its partner."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from frerec.calibration.bank import RealBank, content_keys
from frerec.calibration.base import Calibrator
from frerec.calibration.noise import uniform_noise
from frerec.calibration.retrieval import SearchMethod
from frerec.calibration.rows import ImageRows, check_images
from frerec.errors import ConfigError

Partner = Literal["similar", "random"]
PARTNER, WEIGHT = 1, 2  # streams of random numbers
PARTNERS: tuple[Partner, ...] = ("similar", "random")


class PartnerCalibrator(Calibrator):
    """Keeps the real training images, and combines each image with one of them.

    An image of the fit never gets itself or another image of its patient, because a test image
    cannot either. Subclasses write :meth:`combine` and :meth:`config`.

    Args:
        partner: ``similar`` takes the most similar real image by SSIM, ``random`` any: fixed by the
            image's content in evaluation mode, drawn anew at every call in training mode.
        retrieval: ``fast`` or ``exact``, see :func:`frerec.calibration.retrieval.top_k_ssim`.
        bank_size: At most this many real images, drawn at random, serve as partners [ours]; None
            keeps all.
        seed: Seed of that draw and of random partners.

    Raises:
        ConfigError: If an argument is outside its range.
    """

    def __init__(
        self, *, partner: Partner, retrieval: SearchMethod, bank_size: int | None, seed: int
    ) -> None:
        super().__init__()
        if partner not in PARTNERS:
            raise ConfigError(f"partner={partner}: expected one of {', '.join(PARTNERS)}")
        methods = get_args(SearchMethod)
        if retrieval not in methods:
            raise ConfigError(f"retrieval={retrieval}: expected one of {', '.join(methods)}")
        if bank_size is not None and bank_size < 1:
            raise ConfigError(f"bank_size={bank_size}: expected at least 1, or null for all")
        self.partner, self.retrieval = partner, retrieval
        self.bank_size, self.seed = bank_size, int(seed)
        self.bank = RealBank()

    @abstractmethod
    def combine(self, images: Tensor, partners: Tensor) -> Tensor:
        """Give ``images`` ``[B, C, H, W]`` what they take from ``partners``, of the same shape."""

    def _fit(
        self,
        images: ImageRows,
        groups: Tensor,
        *,
        synthetic: ImageRows | None = None,  # noqa: ARG002
        directory: Path | None = None,  # noqa: ARG002
        progress: bool = False,  # noqa: ARG002
    ) -> None:
        """Keep the real images as the bank of partners."""
        self.bank.fill(images, groups, size=self.bank_size, seed=self.seed)

    def forward(self, images: Tensor) -> Tensor:
        """Combine ``[B, C, H, W]`` in [0, 1] with their partners, clamped to [0, 1]."""
        check_images(images)
        self.bank.check_size(images)
        if len(images) == 0:
            return images
        rows = self.partner_rows(images)
        return self.combine(images.float(), self.bank[rows].to(images.device)).clamp(0, 1)

    def partner_rows(self, images: Tensor) -> Tensor:
        """Number of each image's partner in the bank: int64 ``[B]``, on the bank's device.

        Raises:
            ConfigError: If an image has no partner left, because all are of its patient.
        """
        if self.partner == "similar":
            return self.bank.search(images, 1, method=self.retrieval)[:, 0]
        keys = content_keys(images)
        excluded = self.bank.exclusion(images, keys=keys)
        shape = (len(images), len(self.bank))
        allowed = torch.ones(shape, dtype=torch.bool) if excluded is None else ~excluded.cpu()
        if not bool(allowed.any(1).all()):
            raise ConfigError(
                f"{self.name}: no real image is left as a partner: all of them are of the image's "
                "own patient; fit on images of two patients or more"
            )
        return pick_allowed(self._uniform(keys, PARTNER), allowed).to(self.bank.images.device)

    def _uniform(self, keys: Tensor, stream: int) -> Tensor:
        """U[0, 1) an image, float64 ``[B]`` on the CPU: by its content key, or new in training."""
        if self.training:
            return torch.rand(len(keys), dtype=torch.float64)
        return uniform_noise(keys, seed=self.seed, stream=stream)

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)`` of the fit."""
        if len(self.bank) == 0:
            return None
        channels, height, width = self.bank.images.shape[1:]
        return channels, height, width

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Allocate a bank of the size that is about to be loaded."""
        self.bank.allocate_for(state)

    def _bank_config(self) -> dict[str, Any]:
        """The arguments that all of these calibrators have."""
        keys = ("retrieval", "bank_size", "seed")
        return {key: getattr(self, key) for key in keys}


def pick_allowed(uniform: Tensor, allowed: Tensor) -> Tensor:
    """The row that each number picks among those allowed, all equally likely.

    Args:
        uniform: ``[B]`` in [0, 1).
        allowed: bool ``[B, N]``, at least one True in every row.

    Returns:
        int64 ``[B]``.
    """
    position = allowed.cumsum(1)
    count = position[:, -1]
    rank = (uniform * count).long().clamp(max=count - 1)
    return torch.searchsorted(position, rank[:, None] + 1).squeeze(1)
