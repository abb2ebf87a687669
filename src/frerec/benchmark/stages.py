"""The stages before the classifier, each an artifact in the store that cells share."""

import json
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from frerec.benchmark.calibrated import STACK_FILE, calibrate_stack
from frerec.benchmark.fits import (
    identity_of_fit,
    load_for_use,
    remove_checkpoints,
    settings_of_use,
)
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.store import Store
from frerec.calibration import Calibrator
from frerec.config import instantiate, plain
from frerec.data.datamodules import ImageDataModule
from frerec.data.decode import build_stack
from frerec.data.decoding import Decoding, refuse_skipped
from frerec.data.hashing import hash_images
from frerec.data.manifest import Manifest
from frerec.data.readers import ReadOptions
from frerec.data.stack import ImageStack, LabelledImages
from frerec.errors import DataError
from frerec.generators import Generator, fit_generator
from frerec.samples import balanced_counts, check_against_real, load_samples, write_samples
from frerec.training_tools import write_json

log = logging.getLogger(__name__)

FORMAT = 2  # raise when an artifact's content changes for equal inputs


@dataclass(frozen=True)
class Samples:
    """Synthetic images at the size of the real ones; row i of the stack is row i of the table."""

    key: str
    manifest: Manifest
    stack: ImageStack
    card: dict[str, Any]


class Stages:
    """Data, samples, calibrator and calibrated images of one cell's configuration.

    Everything is made on first use, and taken from the store where it was made before. The key of
    an artifact is a hash of its part of the configuration and of its inputs' keys.

    Args:
        config: A cell's composed configuration.
        progress: Show progress bars.
        data: The prepared data, where another cell prepared the same.
    """

    def __init__(
        self, config: DictConfig, *, progress: bool = False, data: ImageDataModule | None = None
    ) -> None:
        self.config = config
        self.progress = progress
        self.store = Store(Path(config.paths.store))
        self._data = data

    @cached_property
    def data(self) -> ImageDataModule:
        """The real images, decoded and split."""
        if self._data is not None:
            return self._data
        data: ImageDataModule = instantiate(self.config.data)
        data.prepare_data()
        data.setup()
        return data

    @property
    def generator_name(self) -> str:
        """The generator's name, or the samples' folder's."""
        if self.config.samples.path is not None:
            return Path(self.config.samples.path).name
        return str(self.config.generator.name)

    @cached_property
    def generator_key(self) -> str:
        """Key of the trained generator."""
        part = {k: v for k, v in plain(self.config.generator).items() if k != "name"}
        return content_hash({"format": FORMAT, "generator": part, "data": self.data.fingerprint})

    @cached_property
    def generator(self) -> Path:
        """Folder of the generator trained on the real training images."""

        def train(folder: Path) -> None:
            rows = self.data.rows("train")
            images = LabelledImages(self.data.stack, rows, self.data.labels("train"))
            settings = plain(self.config.generator)
            fit_generator(
                self.new_generator(),
                images,
                directory=folder,
                accelerator=self.config.trainer.accelerator,
                progress=self.progress,
                **settings["training"],
            )

        return self.store.make("generators", self.generator_key, train)

    def new_generator(self) -> Generator:
        """The configured generator, untrained."""
        settings = {k: v for k, v in plain(self.config.generator).items() if k != "training"}
        settings.pop("name")
        generator: Generator = instantiate(
            settings,
            num_classes=len(self.data.classes),
            channels=self.data.channels,
            image_size=self.data.image_size,
        )
        return generator

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
        return hash_images(found)

    @cached_property
    def samples_key(self) -> str:
        """Key of the synthetic images; nothing is trained to know it."""
        user = self._user_samples
        if user is None:
            origin: dict[str, Any] = {
                "generator": self.generator_key,
                "sampling": plain(self.config.samples),
            }
        else:
            table = user.table[["image", "label", "hash"]]
            origin = {"files": table.to_numpy().tolist()}
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
    def samples(self) -> Samples:
        """The synthetic images, made by the generator or read from the user's folder."""
        user = self._user_samples

        def make(folder: Path) -> None:
            decoding = Decoding(
                self.data.channels,
                self.data.image_size,
                options=ReadOptions(self.config.data.pixel_limit),
                **self._sample_decoding(),
            )
            _, kept, skipped = build_stack(
                user or self.generate(folder / "images"),
                folder / STACK_FILE,
                decoding,
                on_error=self.config.data.on_error,
                progress=self.progress,
            )
            if self.config.data.on_error == "raise":
                refuse_skipped(skipped, len(skipped) + len(kept))
            kept.write(folder / "manifest.parquet")
            if skipped:
                log.warning(
                    "%d unreadable samples left out: %s",
                    len(skipped),
                    ", ".join(item.image for item in skipped[:3]),
                )

        folder = self.store.make("samples", self.samples_key, make)
        root = folder / "images" if user is None else user.root
        card = {"source": self.generator_name}
        if user is None:
            card = json.loads((self.generator / "card.json").read_text())
        return Samples(
            key=self.samples_key,
            manifest=Manifest.read(folder / "manifest.parquet", root=root),
            stack=ImageStack.open(folder / STACK_FILE),
            card=card,
        )

    def generate(self, folder: Path) -> Manifest:
        """Write labelled PNG files by the trained generator, and read them like any samples."""
        classes = self.data.classes
        counts = np.bincount(self.data.labels("train"), minlength=len(classes)).tolist()
        settings = self.config.samples
        write_samples(
            type(self.new_generator()).load(self.generator),
            balanced_counts(dict(zip(classes, counts, strict=True)), settings.ratio),
            classes,
            folder,
            seed=settings.seed,
            progress=self.progress,
        )
        return load_samples(folder, classes=classes)

    def check_samples(self) -> list[str]:
        """Decode the user's samples, and say where they differ from the real images in kind.

        Returns:
            One-line warnings: size, colour mode or file format that leave a trace of their own.

        Raises:
            DataError: For an unreadable sample, before any training begins.
        """
        if self._user_samples is None:
            return []
        copies = self._copies_of_real_images(self._user_samples)
        _ = self.samples
        return copies + check_against_real(self._user_samples, self.data.manifest)

    def _copies_of_real_images(self, samples: Manifest) -> list[str]:
        """Refuse samples that are files of the validation or test split; warn of training ones."""
        real = self.data.manifest.table
        split_of = dict(zip(real["hash"], real["split"], strict=True))
        splits = [split_of.get(digest, "") for digest in samples.table["hash"]]
        for name, digest in zip(samples.table["image"], samples.table["hash"], strict=True):
            if split_of.get(digest, "") in ("val", "test"):
                raise DataError(
                    f"{samples.root / name}: is a real {split_of[digest]} image; samples.path has "
                    "to hold a generator's images, not the real ones"
                )
        copies = splits.count("train")
        return [f"{copies} samples are files of the training split"] if copies else []

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
            calibrator.fit(
                self.data.stack.select(rows),
                self.data.manifest.groups()[rows].tolist(),
                synthetic=self.samples.stack if calibrator.uses_synthetic else None,
                directory=folder,
                progress=self.progress,
            )
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
