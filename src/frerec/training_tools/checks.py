"""What can be known of a training's settings before it begins: numbers, precision, device."""

import torch

from frerec.errors import ConfigError

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda")  # names of Lightning's that all stages know


def check_machine(precision: str, accelerator: str) -> None:
    """Refuse a precision or a place to run that is not to be had.

    Raises:
        ConfigError: Names the key.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision}: expected one of {', '.join(PRECISIONS)}")
    if accelerator not in ACCELERATORS:
        raise ConfigError(
            f"trainer.accelerator={accelerator}: expected one of {', '.join(ACCELERATORS)}"
        )
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ConfigError(f"trainer.accelerator={accelerator}: no GPU here; give auto or cpu")


def training_device(accelerator: str) -> torch.device:
    """The device of Lightning's ``accelerator``: a GPU where one is asked for or found."""
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


def check_positive(**numbers: int) -> None:
    """Raise ConfigError, naming the key, where a number is below 1."""
    for key, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{key}={value}: expected an integer of at least 1")


def check_seeds(**seeds: int) -> None:
    """Raise ConfigError, naming the key, where a seed is no whole number of at least 0."""
    for key, value in seeds.items():
        if type(value) is not int or value < 0:
            raise ConfigError(f"{key}={value}: expected a whole number of at least 0")
