"""FreRec: SHR, then RHM (arXiv 2511.12301)."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from frerec.calibration.bank import content_keys
from frerec.calibration.base import Calibrator
from frerec.calibration.cross_fit import (
    Unseen,
    check_cross_fit,
    folds_of,
    map_by_fold,
    patient_folds,
)
from frerec.calibration.rhm import ReconstructiveHighFrequencyMapping
from frerec.calibration.rhm_pairs import search_neighbours
from frerec.calibration.rhm_training import RhmTraining, train_rhm
from frerec.calibration.rows import ImageRows, Selection, check_images
from frerec.calibration.shr import StatisticalHighFrequencyReplacement
from frerec.errors import ConfigError

STAGES = ("shr", "rhm")


class FreRec(Calibrator):
    """The two-stage calibrator.

    Example:
        >>> calibrator = FreRec(training={"steps": 500}).fit(real_images)  # doctest: +SKIP
        >>> repaired = calibrator.transform(synthetic_images)              # doctest: +SKIP

    Args:
        shr: Arguments of :class:`StatisticalHighFrequencyReplacement`.
        rhm: Arguments of :class:`ReconstructiveHighFrequencyMapping`, without ``channels``.
        training: Arguments of :class:`RhmTraining`.
        stages: Stages applied at use; ``("rhm",)`` is the paper's ablation without SHR. Both are
            always fitted, because RHM learns from SHR's output.
        cross_fit: k folds of the patients and an RHM for each, so that no image of the fit is
            calibrated by an RHM that was trained on it [ours], see
            :mod:`frerec.calibration.cross_fit`; 1 or None, as in the paper, trains one RHM.
        unseen: With cross-fitting, images that took no part in the fit get the ``first`` RHM's
            output, or the ``mean`` of the k outputs. One RHM for every image treats training and
            other images most alike [ours; measured in experiments/cross_fitting].

    Attributes:
        rhms: The RHMs, one without cross-fitting.
        folds: Fold of each image of the fit, int64 ``[M]``; empty without cross-fitting.

    Raises:
        ConfigError: If an argument is unknown or outside its range.
    """

    name: ClassVar[str] = "frerec"
    folds: Tensor

    def __init__(
        self,
        *,
        shr: Mapping[str, Any] | None = None,
        rhm: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        stages: Sequence[str] = STAGES,
        cross_fit: int | None = None,
        unseen: Unseen = "first",
    ) -> None:
        super().__init__()
        self.stages: tuple[str, ...] = STAGES
        self.use_stages(stages)
        self.cross_fit, self.unseen = check_cross_fit(cross_fit, unseen), unseen
        self.rhm_arguments = dict(rhm or {})
        channels = int(self.rhm_arguments.pop("channels", 1))
        try:
            self.shr = StatisticalHighFrequencyReplacement(**dict(shr or {}))
            self.training_settings = RhmTraining(**dict(training or {}))
            self.rhms = self._make_rhms(channels)
        except TypeError as error:
            raise ConfigError(f"FreRec: {str(error).split('.__init__() ')[-1]}") from error
        self.register_buffer("folds", torch.zeros(0, dtype=torch.long))

    @property
    def rhm(self) -> ReconstructiveHighFrequencyMapping:
        """The RHM, or the first of several."""
        return cast(ReconstructiveHighFrequencyMapping, self.rhms[0])

    def use_stages(self, stages: Sequence[str]) -> None:
        """Choose the stages applied at use; the fit is the same for all choices.

        Raises:
            ConfigError: If ``stages`` is empty or names another stage.
        """
        if not stages or any(stage not in STAGES for stage in stages):
            raise ConfigError(f"stages={list(stages)}: expected some of {', '.join(STAGES)}")
        self.stages = tuple(stage for stage in STAGES if stage in stages)

    def use(
        self,
        *,
        stages: Sequence[str] | None = None,
        unseen: Unseen | None = None,
        inference_precision: str | None = None,
    ) -> Self:
        """Change how a fitted calibrator is used; None leaves a setting as it is.

        Args:
            stages: As in the class.
            unseen: As in the class.
            inference_precision: Of RHM, see :class:`ReconstructiveHighFrequencyMapping`.

        Raises:
            ConfigError: If a value is unknown.
        """
        if stages is not None:
            self.use_stages(stages)
        if unseen is not None:
            check_cross_fit(self.cross_fit, unseen)
            self.unseen = unseen
        if inference_precision is not None:
            for rhm in self.rhms:
                cast(ReconstructiveHighFrequencyMapping, rhm).use_precision(inference_precision)
            self.rhm_arguments["inference_precision"] = inference_precision
        return self

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, completed by the number of channels."""
        return {
            "shr": self.shr.config(),
            "rhm": {**self.rhm_arguments, "channels": self.rhm.hparams["channels"]},
            "training": asdict(self.training_settings),
            "stages": list(self.stages),
            "cross_fit": self.cross_fit,
            "unseen": self.unseen,
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
        """Fit SHR's bank, then train RHM, on real training images alone.

        Wherever the images and the calibrator lie, pairs are prepared on the CPU, RHM trains and
        neighbours are searched where ``training.accelerator`` says, and the calibrator ends on
        the device where it was.
        """
        home = self.device
        self.cpu()
        try:
            # float32, as at use: an image of the fit is recognised by its pixels' content.
            on_cpu = images.float().cpu() if isinstance(images, Tensor) else images
            self._fit_on_cpu(on_cpu, groups.cpu(), directory=directory, progress=progress)
        finally:
            self.to(home)

    def _fit_on_cpu(
        self, images: ImageRows, groups: Tensor, *, directory: Path | None, progress: bool
    ) -> None:
        self.shr.fit(images, groups)
        self.rhms = self._make_rhms(images.shape[1])
        with tempfile.TemporaryDirectory() as temporary:
            root = directory or Path(temporary)
            if self.cross_fit == 1:
                self.folds = torch.zeros(0, dtype=torch.long)
                self.report = train_rhm(
                    self.rhm,
                    self.shr,
                    images,
                    groups,
                    self.training_settings,
                    directory=root,
                    progress=progress,
                )
            else:
                self._fit_folds(images, groups, root, progress=progress)

    def _fit_folds(self, images: ImageRows, groups: Tensor, root: Path, *, progress: bool) -> None:
        """Train RHM f on the images outside fold f; the neighbours are searched once for all."""
        folds = patient_folds(
            groups,
            self.shr.bank.known_keys,
            self.cross_fit,
            seed=self.training_settings.seed,
        )
        self.folds = folds
        neighbours = search_neighbours(
            self.shr, images, self.training_settings.accelerator, progress=progress
        )
        reports = []
        for number, rhm in enumerate(self.rhms):
            rows = (folds != number).nonzero().flatten()
            report = train_rhm(
                cast(ReconstructiveHighFrequencyMapping, rhm),
                self.shr,
                Selection(images, rows),
                groups[rows],
                self.training_settings,
                directory=root / f"fold-{number + 1}",
                neighbours=neighbours[rows],
                progress=progress,
                title=f"RHM {number + 1}/{self.cross_fit}",
            )
            reports.append(report)
        means = {key: sum(report[key] for report in reports) / len(reports) for key in reports[0]}
        self.report = {**means, "folds": reports}

    def forward(self, images: Tensor) -> Tensor:
        """RHM(SHR(images)) for ``[B, C, H, W]`` in [0, 1], float32."""
        check_images(images)
        self.shr.bank.check_size(images)
        images = images.float()
        if len(images) == 0:
            return images
        mapped, keys = images, None
        if "shr" in self.stages or self.cross_fit > 1:
            keys = content_keys(images)  # hashed once for the search, the noise and the folds
        if "shr" in self.stages:
            neighbours = self.shr.neighbour_indices(images, keys=keys)
            mapped = self.shr.replace(images, neighbours, keys=keys).clamp(0, 1)
        if "rhm" not in self.stages:
            return mapped
        if self.cross_fit == 1:
            return self.rhm(mapped)  # type: ignore[no-any-return]
        # Images of the fit are recognised by the pixels that came in, not by SHR's.
        fold = folds_of(self.shr.bank.known(images, keys=keys), self.folds).to(images.device)
        return map_by_fold(self.rhms, mapped, fold, unseen=self.unseen)

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)`` of the fit."""
        return self.shr.input_shape

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Allocate the bank of the model about to be loaded."""
        self.folds = torch.zeros(state["folds"].shape, dtype=torch.long)
        prefix = "shr."
        inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self.shr.prepare_for_state(inner)

    def _make_rhms(self, channels: int) -> nn.ModuleList:
        """Every RHM begins with the same weights; they differ in the images that they see."""
        return nn.ModuleList(self._make_rhm(channels) for _ in range(self.cross_fit))

    def _make_rhm(self, channels: int) -> ReconstructiveHighFrequencyMapping:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.training_settings.seed)
            return ReconstructiveHighFrequencyMapping(channels=channels, **self.rhm_arguments)
