"""The stages before the classifier, each an artifact in the store that cells share."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from frerec.benchmark.calibrated import STACK_FILE, calibrate_stack
from frerec.benchmark.fits import (
    identity_of_fit,
    load_for_use,
    remove_checkpoints,
    settings_of_use,
)
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.sample_stages import SampleStages
from frerec.benchmark.stage_tracking import replay, tracked_stage
from frerec.benchmark.withheld_images import ceiling_counts, ceiling_images
from frerec.calibration import Calibrator
from frerec.config import instantiate, plain
from frerec.data.manifest import Manifest
from frerec.data.stack import ImageStack, LabelledImages
from frerec.errors import ConfigError, DataError
from frerec.training_tools import write_json

FORMAT = 2  # raise when an artifact's content changes for equal inputs


class Stages(SampleStages):
    """Data, samples, calibrator and calibrated images of one cell's configuration."""

    @cached_property
    def ceiling_counts(self) -> dict[str, int]:
        """Withheld real images by class that the ceiling takes in the place of the samples.

        Raises:
            ConfigError, DataError: If none is withheld.
        """
        withheld = self.data.withheld  # first: it costs less than to read the user's samples
        user = self._user_samples
        asked = self.sample_counts if user is None else _by_class(user, self.data.classes)
        return ceiling_counts(asked, withheld)

    def no_ceiling(self) -> str:
        """Why there are no real images for the ceiling, in words; "" where there are.

        Raises:
            ConfigError, DataError: For the user's samples, or for settings of the samples: what is
                wrong with them is no reason to go on without a ceiling.
        """
        if self._user_samples is None:
            _ = self.sample_counts
        try:
            _ = self.ceiling_counts
        except (ConfigError, DataError) as error:
            return str(error)
        return ""

    @property
    def ceiling_content(self) -> list[Any]:
        """What of a cell's id stands for :attr:`ceiling`."""
        counts = list(self.ceiling_counts.values())
        return [self.data.withheld.fingerprint, counts, self.config.samples.seed]

    @cached_property
    def ceiling(self) -> LabelledImages:
        """Real images, as many as there would be samples, or what there is."""
        seed = self.config.samples.seed
        return ceiling_images(self.data.withheld, self.ceiling_counts, seed=seed)

    @cached_property
    def calibrator_key(self) -> str:
        """Key of the fitted calibrator."""
        part = identity_of_fit(plain(self.config.calibrator))
        inputs: dict[str, Any] = {"calibrator": part, "data": self.data.fingerprint}
        if instantiate(self.config.calibrator).uses_synthetic:
            inputs["samples"] = self.samples_key
        return content_hash({"format": FORMAT, **inputs})

    @property
    def calibrator_use(self) -> dict[str, Any]:
        """How the fitted calibrator is used: which of its stages, and the like."""
        return settings_of_use(plain(self.config.calibrator))

    @cached_property
    def calibrator_folder(self) -> Path:
        """Folder of the calibrator fitted on the real training images."""

        def fit(folder: Path) -> None:
            calibrator: Calibrator = instantiate(self.config.calibrator)
            rows = self.data.rows("train")
            synthetic = self.samples.stack if calibrator.uses_synthetic else None
            part = self.config.calibrator
            with tracked_stage(self.track, "calibrator", self.calibrator_key, part) as run:
                calibrator.fit(
                    self.data.stack.select(rows),
                    self.data.manifest.groups()[rows].tolist(),
                    synthetic=synthetic,
                    directory=folder,
                    progress=self.progress,
                )
                replay(run, folder)
                run.summary({k: v for k, v in calibrator.report.items() if isinstance(v, float)})
            if calibrator.report:
                write_json(folder / "fit.json", calibrator.report)
            calibrator.save(folder)
            remove_checkpoints(folder)

        return self.store.make("calibrators", self.calibrator_key, fit)

    @cached_property
    def calibrator(self) -> Calibrator:
        """The fitted calibrator, in evaluation mode, where the trainer runs."""
        accelerator = self.config.trainer.accelerator
        return load_for_use(self.calibrator_folder, self.calibrator_use, accelerator)

    def calibrated(self, source: str) -> ImageStack:
        """The calibrated stack of the ``real`` or the ``synthetic`` images."""
        key = content_hash(
            {
                "format": FORMAT,
                "calibrator": self.calibrator_key,
                "use": self.calibrator_use,
                "images": self.data.fingerprint if source == "real" else self.samples.key,
            }
        )
        stack = self.data.stack if source == "real" else self.samples.stack

        def make(folder: Path) -> None:
            calibrate_stack(self.calibrator, stack, folder, progress=self.progress)

        return ImageStack.open(self.store.make("calibrated", key, make) / STACK_FILE)


def _by_class(manifest: Manifest, classes: Sequence[str]) -> dict[str, int]:
    labels = manifest.table["label"].tolist()
    return {name: labels.count(name) for name in classes}
