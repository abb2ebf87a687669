"""The stages up to the samples in use: measured, and without what is memorised where asked."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from frerec.benchmark.drawn_stages import DrawnStages, Samples
from frerec.benchmark.hashing import content_hash
from frerec.calibration.rows import ImageRows
from frerec.config import plain
from frerec.data.address import Address, Blob
from frerec.data.manifest import Manifest
from frerec.data.stack import ImageStack
from frerec.errors import ConfigError, DataError
from frerec.evaluation.features import FeatureExtractor, build_extractor
from frerec.evaluation.generative import GenerativeQuality, measure_quality
from frerec.samples import check_against_real
from frerec.samples.memorisation import Memorisation, check_settings, find_memorised
from frerec.training_tools import check_seeds, training_device, write_json

log = logging.getLogger(__name__)

MEMORISATION_FORMAT = 3  # of `memorisation`: raise when other samples would be flagged
QUALITY_FORMAT = 3  # of `quality`: raise when a figure would be another for equal images


class SampleStages(DrawnStages):
    """What :class:`DrawnStages` makes, its measures, and the synthetic images a classifier gets."""

    @cached_property
    def samples_key(self) -> str:
        """Key of the synthetic images in use; nothing is trained to know it."""
        if not self.config.samples.exclude_memorised:
            return self.drawn_key
        search = self._memorisation_content
        if self.config.memorisation.rule == "ssim":
            del search["features"]  # they flag nothing then
        return content_hash({"drawn": self.drawn_key, "without": content_hash(search)})

    @cached_property
    def samples(self) -> Samples:
        """The synthetic images in use: all, or those that are not memorised."""
        drawn = self.drawn
        if not self.config.samples.exclude_memorised:
            return drawn
        rows, _ = self.without_memorised(drawn.manifest, self.memorisation.flagged)
        return Samples(
            key=self.samples_key,
            manifest=drawn.manifest.take(rows),
            stack=drawn.stack.select(rows),
            card=drawn.card,
        )

    def without_memorised(
        self, manifest: Manifest, flagged: np.ndarray
    ) -> tuple[np.ndarray, dict[str, int]]:
        """Rows int64 of the samples that are kept, and how many are left out by class.

        Raises:
            DataError: If no sample of a class is left.
        """
        labels, excluded = manifest.label_indices(), {}
        for number, name in enumerate(manifest.classes):
            of_class = labels == number
            excluded[name] = int((of_class & flagged).sum())
            if of_class.any() and excluded[name] == of_class.sum():
                raise DataError(
                    f"samples.exclude_memorised=true: all {excluded[name]} samples of class {name}"
                    " look like training images; train another generator"
                )
        if flagged.any():
            by_class = ", ".join(f"{name} {count}" for name, count in excluded.items())
            log.warning("samples left out as memorised: %s", by_class)
        return np.flatnonzero(~flagged), excluded

    @cached_property
    def _built_extractor(self) -> FeatureExtractor:
        return build_extractor(channels=self.data.channels, **plain(self.config.features))

    @contextmanager
    def extractor(self) -> Iterator[FeatureExtractor]:
        """The network whose features are measured, where the trainer runs.

        Afterwards it is on the CPU again, because classifiers need a GPU's memory.
        """
        device = training_device(self.config.trainer.accelerator)
        try:
            yield self._built_extractor.to(device)
        finally:
            self._built_extractor.cpu()

    @property
    def _memorisation_content(self) -> dict[str, Any]:
        return {
            "format": MEMORISATION_FORMAT,
            "samples": self.drawn_key,
            "data": self.data.fingerprint,
            "features": self._features_identity,
            "settings": plain(self.config.memorisation),
        }

    @cached_property
    def _features_identity(self) -> dict[str, Any]:
        """The features' settings, a file of weights by its content."""
        settings = plain(self.config.features)
        path = Path(str(settings["weights"]))
        if path.is_file():
            settings["weights"] = Address(Blob(path)).blob.sha256()
        return settings

    @cached_property
    def memorisation(self) -> Memorisation:
        """Which of all drawn samples look like training images."""

        def make(folder: Path) -> None:
            self.find_memorised(self.drawn.stack).save(folder)

        key = content_hash(self._memorisation_content)
        return Memorisation.load(self.store.make("memorisation", key, make))

    def find_memorised(self, images: ImageRows) -> Memorisation:
        """Compare images with the real training images of this configuration."""
        rows = self.data.rows("train")
        with self.extractor() as extractor:
            return find_memorised(
                images,
                self.data.stack.select(rows),
                self.data.manifest.groups()[rows],
                extractor,
                progress=self.progress,
                **plain(self.config.memorisation),
            )

    @cached_property
    def quality_key(self) -> str:
        """Key of :attr:`quality`; nothing is trained to know it."""
        return content_hash(
            {
                "format": QUALITY_FORMAT,
                "samples": self.samples_key,
                "data": self.data.fingerprint,
                "features": self._features_identity,
                "settings": plain(self.config.quality),
            }
        )

    @cached_property
    def quality(self) -> dict[str, Any]:
        """How far the samples in use are from the real training images, as plain values."""

        def make(folder: Path) -> None:
            found = self.measure_quality(self.samples.stack, self.samples.manifest)
            write_json(folder / "quality.json", found.to_dict())

        path = self.store.make("quality", self.quality_key, make) / "quality.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def measure_quality(self, images: ImageStack, manifest: Manifest) -> GenerativeQuality:
        """Compare samples with the real training images of this configuration, never the test's.

        Args:
            images: The samples.
            manifest: Their rows.
        """
        rows = self.data.rows("train")
        names = np.asarray(self.data.classes)
        with self.extractor() as extractor:
            return measure_quality(
                self.data.stack.select(rows),
                images,
                extractor,
                groups=self.data.manifest.groups()[rows],
                labels=(names[self.data.labels("train")], names[manifest.label_indices()]),
                progress=self.progress,
                **plain(self.config.quality),
            )

    def check_measures(self) -> None:
        """Build the extractor and look at the settings, before anything is made.

        Raises:
            ConfigError: Names the key.
        """
        check_settings(**plain(self.config.memorisation))
        for group in ("quality", "features", "samples"):
            check_seeds(**{f"{group}.seed": self.config[group].seed})
        limit = self.config.quality.limit
        if limit is not None and limit < 2:
            raise ConfigError(f"quality.limit={limit}: expected at least 2, or null for all images")
        _ = self._built_extractor

    def check_samples(self) -> list[str]:
        """Decode the user's samples, and say where they differ from the real images in kind.

        Returns:
            One-line warnings: size, colour mode or file format that leave a trace of their own.

        Raises:
            DataError: For an unreadable sample, before any training begins.
        """
        if self._user_samples is None:
            return []
        copies = self.refuse_real_images(self._user_samples)
        _ = self.drawn
        return copies + check_against_real(self._user_samples, self.data.manifest)
