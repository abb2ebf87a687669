"""The stages up to the samples in use: read or drawn, checked, without what is memorised."""

import json
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from frerec.benchmark.calibrated import STACK_FILE
from frerec.benchmark.generator_stages import FORMAT, GeneratorStages
from frerec.benchmark.hashing import content_hash
from frerec.calibration.rows import ImageRows
from frerec.config import plain
from frerec.data.address import Address, Blob
from frerec.data.decode import build_stack
from frerec.data.decoding import Decoding, refuse_skipped
from frerec.data.hashing import hash_images
from frerec.data.manifest import Manifest
from frerec.data.readers import ReadOptions
from frerec.data.stack import ImageStack
from frerec.errors import DataError
from frerec.evaluation.features import FeatureExtractor, build_extractor
from frerec.evaluation.generative import GenerativeQuality, measure_quality
from frerec.generators.command import CommandGenerator
from frerec.samples import check_against_real, files_of_real_images, load_samples, take_ratio
from frerec.samples.memorisation import Memorisation, check_settings, find_memorised
from frerec.training_tools import check_positive, training_device, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Samples:
    """Synthetic images at the size of the real ones; row i of the stack is row i of the table."""

    key: str
    manifest: Manifest
    stack: ImageStack
    card: dict[str, Any]


class SampleStages(GeneratorStages):
    """What :class:`GeneratorStages` makes, and the synthetic images that a classifier gets."""

    @cached_property
    def _user_samples(self) -> Manifest | None:
        """The samples of the user's folder, or None where the generator makes them."""
        settings = self.config.samples
        if settings.path is None:
            return None
        found = load_samples(
            Path(settings.path),
            classes=self.data.classes,
            labels=Path(settings.labels) if settings.labels else None,
            label_map=plain(settings)["label_map"],
        )
        if settings.ratio is not None:
            found = take_ratio(found, self.real_counts, settings.ratio, seed=settings.seed)
        return hash_images(found)

    @cached_property
    def drawn_key(self) -> str:
        """Key of the synthetic images before any is excluded; nothing is trained to know it."""
        user = self._user_samples
        if user is not None:
            table = user.table[["image", "label", "hash"]]
            origin: dict[str, Any] = {"files": table.to_numpy().tolist()}
        else:
            made = {"counts": self.sample_counts, "seed": self.config.samples.seed}
            generator = self.new_generator() if self.is_command else None
            if isinstance(generator, CommandGenerator):
                origin = {"command": generator.identity(), "sampling": made}
            else:
                origin = {"generator": self.generator_key, "sampling": made | self._sampling}
        shape = list(self.data.stack.shape[1:])
        classes = list(self.data.classes)  # their order is the labels' numbers
        decoding = self._sample_decoding()
        return content_hash(
            {"format": FORMAT, "size": shape, "classes": classes, "decoding": decoding, **origin}
        )

    def _sample_decoding(self) -> dict[str, Any]:
        """Samples are resized as the real images are; they are not cropped or windowed again."""
        return {key: self.config.data[key] for key in ("fit", "upsample")}

    @cached_property
    def drawn(self) -> Samples:
        """All synthetic images, made by the generator or read from the user's files."""
        user = self._user_samples

        def make(folder: Path) -> None:
            _, kept = self.decode(user or self.generate(folder / "images"), folder / STACK_FILE)
            kept.write(folder / "manifest.parquet")

        folder = self.store.make("samples", self.drawn_key, make)
        root = folder / "images" if user is None else user.root
        card = {"source": self.generator_name}
        if user is None and not self.is_command:
            card = json.loads((self.generator / "card.json").read_text())
        return Samples(
            key=self.drawn_key,
            manifest=Manifest.read(folder / "manifest.parquet", root=root),
            stack=ImageStack.open(folder / STACK_FILE),
            card=card,
        )

    def decode(self, manifest: Manifest, path: Path) -> tuple[ImageStack, Manifest]:
        """Decode samples at the size of the real images into a stack at ``path``.

        Returns:
            The stack and the manifest of its rows.

        Raises:
            DataError: If a sample cannot be read, unless ``data.on_error=skip``.
        """
        decoding = Decoding(
            self.data.channels,
            self.data.image_size,
            options=ReadOptions(self.config.data.pixel_limit),
            **self._sample_decoding(),
        )
        on_error = self.config.data.on_error
        stack, kept, skipped = build_stack(
            manifest, path, decoding, on_error=on_error, progress=self.progress
        )
        if on_error == "raise":
            refuse_skipped(skipped, len(skipped) + len(kept))
        if skipped:
            log.warning(
                "%d unreadable samples left out: %s",
                len(skipped),
                ", ".join(item.image for item in skipped[:3]),
            )
        return stack, kept

    @property
    def samples_key(self) -> str:
        """Key of the synthetic images in use; nothing is trained to know it."""
        if not self.config.samples.exclude_memorised:
            return self.drawn_key
        return content_hash({"drawn": self.drawn_key, "without": self._memorisation_key})

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
    def extractor(self) -> FeatureExtractor:
        """The network whose features quality and memorisation are measured in."""
        settings = plain(self.config.features)
        made = build_extractor(channels=self.data.channels, **settings)
        return made.to(training_device(self.config.trainer.accelerator))

    @property
    def _memorisation_key(self) -> str:
        return content_hash(
            {
                "format": FORMAT,
                "samples": self.drawn_key,
                "data": self.data.fingerprint,
                "features": self._features_identity(),
                "settings": plain(self.config.memorisation),
            }
        )

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

        return Memorisation.load(self.store.make("memorisation", self._memorisation_key, make))

    def find_memorised(self, images: ImageRows) -> Memorisation:
        """Compare images with the real training images of this configuration."""
        rows = self.data.rows("train")
        return find_memorised(
            images,
            self.data.stack.select(rows),
            self.data.manifest.groups()[rows],
            self.extractor,
            progress=self.progress,
            **plain(self.config.memorisation),
        )

    @cached_property
    def quality(self) -> dict[str, Any]:
        """How far the samples in use are from the real training images, as plain values."""
        key = content_hash(
            {
                "format": FORMAT,
                "samples": self.samples_key,
                "data": self.data.fingerprint,
                "features": self._features_identity(),
                "settings": plain(self.config.quality),
            }
        )

        def make(folder: Path) -> None:
            found = self.measure_quality(self.samples.stack, self.samples.manifest)
            write_json(folder / "quality.json", found.to_dict())

        path = self.store.make("quality", key, make) / "quality.json"
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
        return measure_quality(
            self.data.stack.select(rows),
            images,
            self.extractor,
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
        check_positive(**{"quality.limit": self.config.quality.limit})
        _ = self.extractor

    def check_samples(self) -> list[str]:
        """Decode the user's samples, and say where they differ from the real images in kind.

        Returns:
            One-line warnings: size, colour mode or file format that leave a trace of their own.

        Raises:
            DataError: For an unreadable sample, before any training begins.
        """
        if self._user_samples is None:
            return []
        copies = files_of_real_images(self._user_samples, self.data.manifest)
        _ = self.drawn
        return copies + check_against_real(self._user_samples, self.data.manifest)
