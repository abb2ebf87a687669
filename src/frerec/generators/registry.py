"""Which generators there are, and how a saved one is read without knowing its kind."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from frerec.errors import DataError
from frerec.generators.base import CONFIG, Generator, read_config

# Class names to modules; imported when they are asked for, because MONAI is slow to import.
MODULES = {
    "ConditionalVAE": "frerec.generators.vae",
    "ConditionalFastGAN": "frerec.generators.fastgan",
    "ConditionalDDPM": "frerec.generators.ddpm",
    "Oracle": "frerec.generators.oracle",
}


def load_generator(directory: Path) -> Generator:
    """Read any generator that was saved into a folder.

    Raises:
        DataError: If there is none, it is damaged, or its kind is unknown.
    """
    kind, _ = read_config(directory)
    if kind not in MODULES:
        raise DataError(
            f"{directory / CONFIG}: generator {kind} is unknown; expected one of"
            f" {', '.join(MODULES)}"
        )
    generator: type[Generator] = getattr(import_module(MODULES[kind]), kind)
    return generator.load(directory)
