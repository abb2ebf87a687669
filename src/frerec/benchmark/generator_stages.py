"""The stages up to a trained generator: data, training or the user's checkpoint, its samples."""

import json
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_class
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

from frerec.benchmark.hashing import content_hash
from frerec.benchmark.store import Store
from frerec.config import instantiate, plain
from frerec.data.datamodules import ImageDataModule
from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError
from frerec.generators import Generator, load_generator
from frerec.generators.command import CommandGenerator
from frerec.samples import balanced_counts, load_samples, write_samples
from frerec.samples.commanded import run_into
from frerec.training_tools import training_device, write_json

log = logging.getLogger(__name__)

FORMAT = 3  # raise when an artifact's content changes for equal inputs
TRAINED_ON = "data.json"  # beside a generator's weights: which data it learned from
NO_ARGUMENTS = ("name", "training", "checkpoint")  # keys that the generator's class does not take


class GeneratorStages:
    """Data and generator of one cell's configuration.

    Everything is made on first use, and taken from the store where it was made before. The key of
    an artifact is a hash of its part of the configuration and of its inputs' keys.

    Args:
        config: A cell's composed configuration.
        progress: Show progress bars.
        data: The prepared data, where another cell prepared the same.
        loggers: Of the generator's training, besides the local log.
    """

    def __init__(
        self,
        config: DictConfig,
        *,
        progress: bool = False,
        data: ImageDataModule | None = None,
        loggers: Sequence[Logger] = (),
    ) -> None:
        self.config = config
        self.progress = progress
        self.loggers = list(loggers)
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
            return Path(self.config.samples.path).stem
        return str(self.config.generator.name)

    @property
    def checkpoint(self) -> Path | None:
        """The folder of a trained generator that the user has, or None."""
        given = self.config.generator.get("checkpoint")
        return None if given is None else Path(given).expanduser()

    @cached_property
    def generator_key(self) -> str:
        """Key of the trained generator."""
        if self.checkpoint is not None:
            return content_hash({"checkpoint": load_generator(self.checkpoint).fingerprint()})
        settings = plain(self.config.generator)
        without = (*NO_ARGUMENTS, *self._generator_class.sampling_arguments)
        part = {k: v for k, v in settings.items() if k not in without}
        content = {"format": FORMAT, "generator": part, "data": self.data.fingerprint}
        if self._generator_class.uses_withheld:
            content["withheld"] = self.data.withheld.fingerprint
        else:
            content["training"] = settings["training"]
        return content_hash(content)

    @cached_property
    def generator(self) -> Path:
        """Folder of the generator: the user's, or one trained on the real training images."""
        if self.checkpoint is not None:
            self._check_checkpoint(self.checkpoint)
            return self.checkpoint

        def train(folder: Path) -> None:
            generator = self.new_generator()
            if isinstance(generator, CommandGenerator):
                raise ConfigError("generator=command: a command is run, not trained")
            training = plain(self.config.generator)["training"]
            generator.fit(
                self.data,
                directory=folder,
                accelerator=self.config.trainer.accelerator,
                progress=self.progress,
                loggers=self.loggers,
                **({} if generator.uses_withheld else training),  # such a one is not trained
            )
            write_json(folder / TRAINED_ON, self._trained_on())

        return self.store.make("generators", self.generator_key, train)

    @property
    def _sampling(self) -> dict[str, Any]:
        """The configuration's settings of sampling: they hold for a checkpoint too."""
        settings = plain(self.config.generator)
        return {k: settings[k] for k in self._generator_class.sampling_arguments if k in settings}

    @cached_property
    def sampler(self) -> Generator:
        """The trained generator as the configuration samples it, where the trainer runs."""
        generator = load_generator(self.generator)
        generator.set_sampling(**self._sampling)
        return generator.to(training_device(self.config.trainer.accelerator))

    def _trained_on(self) -> dict[str, Any]:
        data = self.data
        counts = np.bincount(data.labels("train"), minlength=len(data.classes)).tolist()
        return {
            "data": data.name,
            "modality": data.modality,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "training_images": dict(zip(data.classes, counts, strict=True)),
        }

    def _check_checkpoint(self, folder: Path) -> None:
        """Refuse a generator of other classes or images; warn where it may have seen test images.

        Raises:
            ConfigError: Names what differs.
        """
        generator, data = load_generator(folder), self.data
        path = folder / TRAINED_ON
        try:
            known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:
            raise DataError(f"{path}: damaged; restore it, or remove it") from None
        wanted = self._generator_class.__name__
        if type(generator).__name__ != wanted:
            raise ConfigError(
                f"generator.checkpoint={folder}: holds a {type(generator).__name__}, not the"
                f" {wanted} of generator={self.config.generator.name}; give the generator= that it"
                " was trained by"
            )
        for what, theirs, ours in (
            ("classes", known.get("classes"), list(data.classes)),
            ("classes", generator.num_classes, len(data.classes)),
            ("channels", generator.channels, data.channels),
            ("pixels a side", generator.image_size, data.image_size),
        ):
            if theirs is not None and theirs != ours:
                raise ConfigError(
                    f"generator.checkpoint={folder}: made for {what} {theirs}, the data have"
                    f" {ours}; take another checkpoint, or set the data accordingly"
                )
        if known.get("fingerprint") != data.fingerprint:
            log.warning(
                "generator.checkpoint=%s was not trained on exactly this training split; make sure"
                " that it saw no validation or test image",
                folder,
            )

    def new_generator(self) -> Generator | CommandGenerator:
        """The configured generator, untrained."""
        settings = plain(self.config.generator)
        settings = {k: v for k, v in settings.items() if k not in NO_ARGUMENTS}
        if self.is_command:
            made: CommandGenerator = instantiate(settings)
            return made
        generator: Generator = instantiate(
            settings,
            num_classes=len(self.data.classes),
            channels=self.data.channels,
            image_size=self.data.image_size,
        )
        return generator

    def check_generation(self) -> None:
        """Find what would stop the samples after hours: settings, counts, a wrong checkpoint.

        Raises:
            ConfigError, DataError: One line that names the key or the file.
        """
        counts = self.sample_counts
        if self.checkpoint is not None:
            self._check_checkpoint(self.checkpoint)
            return
        generator = self.new_generator()
        if isinstance(generator, Generator) and generator.uses_withheld:
            labels = self.data.withheld.labels
            there = np.bincount(labels, minlength=len(self.data.classes)).tolist()
            for (name, wanted), count in zip(counts.items(), there, strict=True):
                if wanted > count:
                    raise DataError(
                        f"generator={self.generator_name}: {wanted} samples of class {name} were"
                        f" asked, {count} training images of it are withheld; set a smaller"
                        " samples.ratio or data.train_size"
                    )

    @property
    def _generator_class(self) -> Any:
        return get_class(self.config.generator["_target_"])

    @property
    def is_command(self) -> bool:
        """Whether the samples come from a command of the user's."""
        return self._generator_class is CommandGenerator

    @property
    def real_counts(self) -> dict[str, int]:
        """Real training images by class."""
        classes = self.data.classes
        counts = np.bincount(self.data.labels("train"), minlength=len(classes)).tolist()
        return dict(zip(classes, counts, strict=True))

    @property
    def sample_counts(self) -> dict[str, int]:
        """Samples by class that are asked of the generator.

        Raises:
            ConfigError: If ``samples.counts`` names what is no class, or no positive number.
        """
        settings = plain(self.config.samples)
        if settings["counts"] is None:
            return balanced_counts(self.real_counts, settings["ratio"])
        counts: dict[str, Any] = {str(k): v for k, v in settings["counts"].items()}
        for name, count in counts.items():
            if name not in self.data.classes:
                raise ConfigError(
                    f"samples.counts: {name} is no class; the data have"
                    f" {', '.join(self.data.classes)}"
                )
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ConfigError(f"samples.counts.{name}={count}: expected a whole number")
        if sum(counts.values()) == 0:
            raise ConfigError(f"samples.counts={counts}: expected at least one image")
        return {name: counts.get(name, 0) for name in self.data.classes}

    def generate(self, folder: Path) -> Manifest:
        """Write labelled samples by the generator, and read them like any samples.

        A generator of this package leaves PNG files in a folder a class; a command leaves what it
        likes below ``folder/output``.
        """
        if not self.is_command:
            write_samples(
                self.sampler,
                self.sample_counts,
                self.data.classes,
                folder,
                seed=self.config.samples.seed,
                dataset=self.generator_name,
                progress=self.progress,
            )
            return load_samples(folder, classes=self.data.classes, allow_missing=True)
        return self._run_command(folder)

    def _run_command(self, folder: Path) -> Manifest:
        """Run the user's command once; what it left is taken again by a later call."""
        command = self.new_generator()
        assert isinstance(command, CommandGenerator)
        made = {"command": command.identity(), "counts": self.sample_counts}
        origin = made | {"seed": self.config.samples.seed, "classes": list(self.data.classes)}
        return run_into(
            folder,
            command,
            origin,
            counts=self.sample_counts,
            size=(self.data.image_size, self.data.channels),
        )
