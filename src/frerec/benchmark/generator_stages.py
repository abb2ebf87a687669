"""The stages up to a trained generator: data, training or the user's checkpoint, its samples."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_class
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

from frerec.benchmark.checkpoint import TRAINED_ON, check_checkpoint, trained_on
from frerec.benchmark.generator_checks import check_training_settings, check_withheld
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.stage_tracking import StageTracking, tracked_stage
from frerec.benchmark.store import Store
from frerec.config import instantiate, plain
from frerec.data.datamodules import ImageDataModule
from frerec.data.decoding import Decoding
from frerec.data.manifest import Manifest
from frerec.data.readers import ReadOptions
from frerec.errors import ConfigError
from frerec.generators import Generator, load_generator
from frerec.generators.base import read_config
from frerec.generators.command import CommandGenerator
from frerec.samples import balanced_counts, write_samples
from frerec.samples.commanded import run_into
from frerec.samples.own_outputs import read_generated
from frerec.training_tools import check_seeds, training_device, write_json

FORMAT = 3  # of `generators`: raise when training gives other weights for equal inputs
NO_ARGUMENTS = ("name", "training", "checkpoint")  # keys that the generator's class does not take
OF_THE_DATA = ("num_classes", "channels", "image_size")  # arguments that the data decide
NO_WEIGHTS = ("checkpoint_every", "grid_every")  # settings of training that change no weight


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
        self.track: StageTracking | None = None  # of the benchmark, for a stage that is trained
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
        without = (*NO_ARGUMENTS, *self.generator_class.sampling_arguments)
        part = {k: v for k, v in settings.items() if k not in without}
        content = {"format": FORMAT, "generator": part, "data": self.data.fingerprint}
        if self.generator_class.uses_withheld:
            content["withheld"] = self.data.withheld.fingerprint
        else:
            training = settings["training"].items()
            content["training"] = {k: v for k, v in training if k not in NO_WEIGHTS}
        return content_hash(content)

    @cached_property
    def generator(self) -> Path:
        """Folder of the generator: the user's, or one trained on the real training images."""
        if self.checkpoint is not None:
            check_checkpoint(self.checkpoint, self.data, self.generator_class)
            return self.checkpoint

        def train(folder: Path) -> None:
            generator = self.new_generator()
            if isinstance(generator, CommandGenerator):
                raise ConfigError("generator=command: a command is run, not trained")
            training = plain(self.config.generator)["training"]
            settings = {} if generator.uses_withheld else training  # such a one is not trained
            track = self.track if settings else None
            part = self.config.generator
            with tracked_stage(track, "generator", self.generator_key, part) as run:
                generator.fit(
                    self.data,
                    directory=folder,
                    accelerator=self.config.trainer.accelerator,
                    progress=self.progress,
                    loggers=[*self.loggers, *run.loggers],
                    **settings,
                )
            write_json(folder / TRAINED_ON, trained_on(self.data))

        return self.store.make("generators", self.generator_key, train)

    @property
    def _sampling(self) -> dict[str, Any]:
        """The configuration's settings of sampling: they hold for a checkpoint too."""
        settings = plain(self.config.generator)
        return {k: settings[k] for k in self.generator_class.sampling_arguments if k in settings}

    @property
    def generator_settings(self) -> dict[str, Any]:
        """What the samples depend on: the arguments of a trained generator or of a checkpoint.

        Of a command only what names no file of this machine.
        """
        if self.is_command:
            settings = plain(self.config.generator)
            hidden = (*NO_ARGUMENTS, "_target_", "command", "cwd")
            return {key: value for key, value in settings.items() if key not in hidden}
        _, arguments = read_config(self.generator)
        return {k: v for k, v in arguments.items() if k not in OF_THE_DATA} | self._sampling

    def load_sampler(self) -> Generator:
        """The trained generator as the configuration samples it, where the trainer runs.

        It is not kept: the memory that it takes on a GPU is free when the caller lets it go.
        """
        generator = load_generator(self.generator)
        generator.set_sampling(**self._sampling)
        return generator.to(training_device(self.config.trainer.accelerator))

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
        check_seeds(**{"samples.seed": self.config.samples.seed})
        if self.checkpoint is not None:
            check_checkpoint(self.checkpoint, self.data, self.generator_class)
            return
        settings = plain(self.config.generator)
        if not self.is_command:
            check_seeds(**{"generator.seed": settings.get("seed", 0)})
        generator = self.new_generator()
        if not isinstance(generator, Generator):
            return
        if generator.uses_withheld:
            check_withheld(self.generator_name, counts, self.data)
        else:
            check_training_settings(settings["training"])

    @property
    def generator_class(self) -> Any:
        """The configured generator's class."""
        return get_class(self.config.generator["_target_"])

    @property
    def samples_are_real(self) -> bool:
        """Whether the samples are real images, damaged or not: they must not leave the machine."""
        if self.config.samples.path is not None or self.is_command:
            return False
        return bool(self.generator_class.uses_withheld)

    @property
    def is_command(self) -> bool:
        """Whether the samples come from a command of the user's."""
        return self.generator_class is CommandGenerator

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

    @property
    def sample_decoding(self) -> Decoding:
        """How samples are read: resized as the real images, neither cropped nor windowed again."""
        data, options = self.config.data, ReadOptions(self.config.data.pixel_limit)
        return Decoding(
            self.data.channels, self.data.image_size, data.fit, data.upsample, options=options
        )

    @property
    def sample_bits(self) -> int:
        """Bits a value of the samples' files."""
        asked = self.config.samples.bits
        held = 16 if self.data.stack.dtype == "uint16" else 8
        return held if asked is None else int(asked)

    def generate(self, folder: Path, *, finished: bool = True) -> Manifest:
        """Write labelled samples by the generator, and read them like any samples.

        A generator of this package leaves PNG files in a folder a class; a command leaves what it
        likes below ``folder/output``. For ``finished`` see :func:`frerec.samples.write_samples`.
        """
        if not self.is_command:
            real = {"real": True, "data": self.data.fingerprint} if self.samples_are_real else {}
            write_samples(
                self.load_sampler(),
                self.sample_counts,
                self.data.classes,
                folder,
                seed=self.config.samples.seed,
                bits=self.sample_bits,
                dataset=self.generator_name,
                progress=self.progress,
                finished=finished,
                extra=real,
            )
            return read_generated(folder)
        return self._run_command(folder, finished=finished)

    def _run_command(self, folder: Path, *, finished: bool) -> Manifest:
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
            real=self.data.manifest,
            decoding=self.data.decoding,
            progress=self.progress,
            finished=finished,
        )
