"""FreRec: SHR, then RHM (arXiv 2511.12301)."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from frerec.calibration.base import Calibrator
from frerec.calibration.rhm import ReconstructiveHighFrequencyMapping
from frerec.calibration.rhm_training import RhmTraining, train_rhm
from frerec.calibration.rows import ImageRows, check_images
from frerec.calibration.shr import StatisticalHighFrequencyReplacement
from frerec.errors import ConfigError

STAGES = ("shr", "rhm")


class FreRec(Calibrator):
    """The two-stage calibrator.

    Example:
        >>> calibrator = FreRec(training={"steps": 500}).fit(real_images)  # doctest: +SKIP
        >>> repaired = calibrator(synthetic_images)                        # doctest: +SKIP

    Args:
        shr: Arguments of :class:`StatisticalHighFrequencyReplacement`.
        rhm: Arguments of :class:`ReconstructiveHighFrequencyMapping`, without ``channels``.
        training: Arguments of :class:`RhmTraining`.
        stages: Stages applied at use; ``("rhm",)`` is the paper's ablation without SHR. Both are
            always fitted, because RHM learns from SHR's output.

    Raises:
        ConfigError: If an argument is unknown or outside its range.
    """

    name: ClassVar[str] = "frerec"

    def __init__(
        self,
        *,
        shr: Mapping[str, Any] | None = None,
        rhm: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        stages: Sequence[str] = STAGES,
    ) -> None:
        super().__init__()
        self.stages: tuple[str, ...] = STAGES
        self.use_stages(stages)
        self.rhm_arguments = dict(rhm or {})
        channels = int(self.rhm_arguments.pop("channels", 1))
        try:
            self.shr = StatisticalHighFrequencyReplacement(**dict(shr or {}))
            self.training_settings = RhmTraining(**dict(training or {}))
            self.rhm = self._make_rhm(channels)
        except TypeError as error:
            raise ConfigError(f"FreRec: {str(error).split('.__init__() ')[-1]}") from error

    def use_stages(self, stages: Sequence[str]) -> None:
        """Choose the stages applied at use; the fit is the same for all choices.

        Raises:
            ConfigError: If ``stages`` is empty or names another stage.
        """
        if not stages or any(stage not in STAGES for stage in stages):
            raise ConfigError(f"stages={list(stages)}: expected some of {', '.join(STAGES)}")
        self.stages = tuple(stage for stage in STAGES if stage in stages)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, completed by the number of channels."""
        return {
            "shr": self.shr.config(),
            "rhm": {**self.rhm_arguments, "channels": self.rhm.hparams["channels"]},
            "training": asdict(self.training_settings),
            "stages": list(self.stages),
        }

    def _fit(
        self,
        images: ImageRows,
        groups: Tensor,
        *,
        synthetic: ImageRows | None = None,  # noqa: ARG002
        directory: Path | None = None,
        progress: bool = False,
    ) -> None:
        """Fit SHR's bank, then train RHM, on real training images alone."""
        self.shr.fit(images, groups)
        self.rhm = self._make_rhm(images.shape[1])
        with tempfile.TemporaryDirectory() as temporary:
            self.report = train_rhm(
                self.rhm,
                self.shr,
                images,
                groups,
                self.training_settings,
                directory=directory or Path(temporary),
                progress=progress,
            )

    def forward(self, images: Tensor) -> Tensor:
        """RHM(SHR(images)) for ``[B, C, H, W]`` in [0, 1]."""
        check_images(images)
        self.shr.bank.check_size(images)
        if len(images) == 0:
            return images
        if "shr" in self.stages:
            images = self.shr(images)
        if "rhm" in self.stages:
            images = self.rhm(images)
        return images

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)`` of the fit."""
        return self.shr.input_shape

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Allocate the bank of the model about to be loaded."""
        prefix = "shr."
        inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self.shr.prepare_for_state(inner)

    def _make_rhm(self, channels: int) -> ReconstructiveHighFrequencyMapping:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.training_settings.seed)
            return ReconstructiveHighFrequencyMapping(channels=channels, **self.rhm_arguments)
