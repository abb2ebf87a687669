"""A value given on the command line has to be of the kind that its key holds."""

import math
from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from frerec.errors import ConfigError

MISSING = "???"
# Keys whose default is null and which hold a whole number when they are given.
OPTIONAL_INTEGERS = (
    "image_size",
    "train_size",
    "slices_per_patient",
    "training.crop",
    "bank_size",
    "generator.training.grid_every",
    "quality.limit",
)
# Keys whose default may be null and which hold a number when they are given.
OPTIONAL_NUMBERS = (
    "samples.ratio",
    "generator.training.gradient_clip",
    "generator.min_snr",
    "generator.timeout",
)
# Keys whose default is null and which hold text when they are given.
OPTIONAL_TEXTS = ("generator.checkpoint", "generator.output", "generator.labels", "generator.cwd")
# Keys whose default is a value and which may be null.
NULLABLE = (
    "threshold",
    "split_column",
    "group_column",
    "data.crop",
    "rhm.ema_decay",
    "shr.clip",
    "clip",
    "cross_fit",
    "generator.training.grid_every",
    "generator.training.gradient_clip",
    "generator.min_snr",
    "quality.limit",
    "features.image_size",
)
# Keys whose default is true or false and which may be the name of a mode.
MODES = ("rhm.compile",)


def check_types(config: DictConfig, defaults: DictConfig, keys: Iterable[str]) -> None:
    """Compare the values of ``keys`` with their defaults, and turn numeric names into text.

    Raises:
        ConfigError: For a value of another kind; names the key, the value and the kind expected.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    known: Any = OmegaConf.to_container(defaults, resolve=False)
    for key in keys:
        value, default = _at(plain, key), _at(known, key)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = isinstance(default, str) and "${" not in default
        if value == "" and (default == MISSING or _named(key, (*OPTIONAL_TEXTS, "samples.path"))):
            null = "" if default == MISSING else ", or null"
            raise ConfigError(f"{key} is missing: give {key}=...{null}")
        if number and (text or _named(key, OPTIONAL_TEXTS)):
            OmegaConf.update(config, key, str(value))  # a folder may be called 123
            continue
        expected = _expectation(key, value, default)
        if expected is not None:
            raise ConfigError(f"{key}={value}: expected {expected}")


def _expectation(key: str, value: Any, default: Any) -> str | None:
    """What was expected, or None where the value fits."""
    if isinstance(value, str) and "${" in value:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    if value is None and _named(key, NULLABLE):
        return None
    if _named(key, OPTIONAL_TEXTS):
        return None if isinstance(value, str | None) else "text, or null"
    if _named(key, ("samples.bits",)):
        return None if value in (8, 16, None) and not isinstance(value, float) else "8, 16 or null"
    if value is None and isinstance(default, str | int | float) and default != MISSING:
        return "a value"
    if key.endswith("label_map") and not isinstance(value, dict | type(None)):
        return "a mapping, as {theirs:ours}"
    if default == MISSING:
        return None if isinstance(value, str) else "text"
    if _named(key, OPTIONAL_INTEGERS):
        fits = value is None or (isinstance(value, int) and not isinstance(value, bool))
        return None if fits else "a whole number, or null"
    if default is None and _named(key, OPTIONAL_NUMBERS):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if value is None or number else "a number, or null"
    if _named(key, ("samples.counts",)):
        return None if value is None or _counts(value) else "whole numbers, as {ours:100}, or null"
    if value is None or default is None or (isinstance(default, str) and "${" in default):
        return None
    if isinstance(default, bool):
        fits = isinstance(value, bool) or (isinstance(value, str) and _named(key, MODES))
        return None if fits else "true or false"
    if isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool)
        if fits and key.endswith("seed") and value < 0:
            return "a whole number of at least 0"
        # `ratio: 1` may well be given as 0.5: a default of 0 or 1 does not say that it counts.
        fraction = (
            isinstance(value, float) and default in (0, 1) and not key.endswith(("seed", ".fold"))
        )
        return None if fits or fraction else "a whole number"
    if isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if number else "a number"
    if isinstance(default, list):
        # Hydra takes {out} without quotes for a mapping that it cannot read.
        bare = isinstance(value, str) and value.startswith("[") and "{" in value
        quotes = ', with each placeholder in double quotes, as [echo,"{out}"]' if bare else ""
        return None if isinstance(value, list) else f"a list{quotes or ', as [a,b]'}"
    return None


def _counts(value: Any) -> bool:
    numbers = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)


def _named(key: str, names: Iterable[str]) -> bool:
    """Whether a key ends in one of these names."""
    return any(key == name or key.endswith(f".{name}") for name in names)


def _at(node: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node
