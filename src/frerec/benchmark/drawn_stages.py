"""The stages up to all synthetic images: drawn from the generator, or read and checked."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from frerec.benchmark.calibrated import STACK_FILE
from frerec.benchmark.checkpoint import read_record
from frerec.benchmark.generator_stages import GeneratorStages
from frerec.benchmark.hashing import content_hash
from frerec.config import plain
from frerec.data.decode import build_stack
from frerec.data.decoding import refuse_skipped
from frerec.data.hashing import hash_images
from frerec.data.manifest import Manifest
from frerec.data.stack import ImageStack
from frerec.errors import ConfigError
from frerec.generators.base import CARD
from frerec.generators.command import CommandGenerator
from frerec.samples import files_of_real_images, load_samples, take_ratio
from frerec.samples.guards import check_class_names
from frerec.samples.own_outputs import real_data_of
from frerec.samples.real_files import with_content

log = logging.getLogger(__name__)

SAMPLES_FORMAT = 3  # of `samples`: raise when drawing, writing or decoding gives other pixels


@dataclass(frozen=True)
class Samples:
    """Synthetic images at the size of the real ones; row i of the stack is row i of the table."""

    key: str
    manifest: Manifest
    stack: ImageStack
    card: dict[str, Any]


class DrawnStages(GeneratorStages):
    """What :class:`GeneratorStages` makes, and all synthetic images: drawn, or the user's."""

    def check_generation(self) -> None:
        """As of :class:`GeneratorStages`, and names of classes that no folder can have."""
        if not self.is_command:
            check_class_names(self.data.classes)
        super().check_generation()

    @property
    def samples_are_real(self) -> bool:
        """As of :class:`GeneratorStages`; of the user's samples, what their folder says."""
        path = self.config.samples.path
        return super().samples_are_real if path is None else real_data_of(Path(path)) is not None

    @cached_property
    def _user_samples(self) -> Manifest | None:
        """The samples of the user's folder, or None where the generator makes them."""
        settings = self.config.samples
        if settings.path is None:
            return None
        self._refuse_other_real(Path(settings.path))
        found = load_samples(
            Path(settings.path),
            classes=self.data.classes,
            labels=Path(settings.labels) if settings.labels else None,
            label_map=plain(settings)["label_map"],
        )
        if settings.ratio is not None:
            found = take_ratio(found, self.real_counts, settings.ratio, seed=settings.seed)
        return hash_images(found)

    def _refuse_other_real(self, path: Path) -> None:
        """Real images may be samples only of exactly the data that they were withheld from.

        Damaged, they are found by no comparison with the validation and test images.
        """
        data = real_data_of(path)
        if data not in (None, self.data.fingerprint):
            raise ConfigError(
                f"samples.path={path}: its samples are real images, of other data than these or of"
                " another split; make them anew by frerec generate with these data"
            )

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
                made["bits"] = self.sample_bits
                origin = {"generator": self.generator_key, "sampling": made | self._sampling}
        if user is not None or self.is_command:  # files that may be unreadable
            origin["on_error"] = self.config.data.on_error
        shape = list(self.data.stack.shape[1:])
        classes = list(self.data.classes)  # their order is the labels' numbers
        decoding = {"fit": self.sample_decoding.fit, "upsample": self.sample_decoding.upsample}
        return content_hash(
            {
                "format": SAMPLES_FORMAT,
                "size": shape,
                "classes": classes,
                "decoding": decoding,
                **origin,
            }
        )

    @cached_property
    def drawn(self) -> Samples:
        """All synthetic images, made by the generator or read from the user's files."""
        user = self._user_samples
        card = {"source": self.generator_name}
        if user is None and not self.is_command:
            card = read_record(self.generator / CARD) or card  # a checkpoint may lack it

        def make(folder: Path) -> None:
            found = self.generate(folder / "images") if user is None else user
            _, kept = self.decode(found, folder / STACK_FILE)
            kept.write(folder / "manifest.parquet")

        folder = self.store.make("samples", self.drawn_key, make)
        root = folder / "images" if user is None else user.root
        manifest = Manifest.read(folder / "manifest.parquet", root=root)
        if self.is_command:  # another cell's split may have other test images
            self.refuse_real_images(manifest)
        return Samples(
            key=self.drawn_key,
            manifest=manifest,
            stack=ImageStack.open(folder / STACK_FILE),
            card=card,
        )

    def refuse_real_images(self, samples: Manifest) -> list[str]:
        """Refuse validation and test images among samples, encoded anew or not.

        Returns:
            A one-line warning where there are training images.

        Raises:
            DataError: Names the first such image.
        """
        found = with_content(samples, self.data.decoding, progress=self.progress)
        return files_of_real_images(found, self.data.manifest)

    def decode(self, manifest: Manifest, path: Path) -> tuple[ImageStack, Manifest]:
        """Decode samples at the size of the real images into a stack at ``path``.

        Returns:
            The stack and the manifest of its rows.

        Raises:
            DataError: If a sample cannot be read, unless ``data.on_error=skip``.
        """
        on_error = self.config.data.on_error
        stack, kept, skipped = build_stack(
            manifest, path, self.sample_decoding, on_error=on_error, progress=self.progress
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
