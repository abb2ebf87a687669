"""Hydra's sweep grammar: an override that stands for several values."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep
from hydra.errors import HydraException

from frerec.config import config_directory, quote_override
from frerec.errors import ConfigError


def parse(override: str) -> Override:
    """One override, read by Hydra's parser.

    Raises:
        ConfigError: If it is none.
    """
    try:
        return OverridesParser.create().parse_override(quote_override(override))
    except HydraException as error:
        raise ConfigError(f"{override!r}: {str(error).splitlines()[0]}") from error


def key_of(override: str) -> str:
    """The key of an override, without the signs that add or delete."""
    return override.partition("=")[0].lstrip("+~")


def is_sweep(override: str) -> bool:
    """Whether an override stands for several values: ``a,b``, ``choice``, ``range``, ..."""
    return bool(parse(override).is_sweep_override())


def discrete(parsed: Override) -> list[tuple[Any, str]]:
    """The values of a ``choice``, ``range`` or ``glob``, and each as an override's text.

    Values that are no number, truth value or text are given as their text.

    Raises:
        ConfigError: For an ``interval``, for no value, and for one that stands twice.
    """
    value: Any = parsed.value()
    if isinstance(value, Glob):
        names = value.filter(list(_options(parsed)))
        pairs: list[tuple[Any, str]] = [(name, name) for name in names]
    elif isinstance(value, ChoiceSweep | RangeSweep):
        value.shuffle = False  # the order is ours to keep; the sampler draws
        texts = list(parsed.sweep_string_iterator())
        plain = list(parsed.sweep_iterator())
        pairs = [_pair(one, text) for one, text in zip(plain, texts, strict=True)]
    else:
        raise ConfigError(
            f"{parsed.input_line}: expected choice(a,b), range(start,stop) or a,b; an interval"
            " has no end of values"
        )
    if not pairs:
        raise ConfigError(f"{parsed.input_line}: stands for no value at all")
    if len({text for _, text in pairs}) != len(pairs):
        raise ConfigError(f"{parsed.input_line}: a value stands twice")
    return pairs


def _pair(value: Any, text: str) -> tuple[Any, str]:
    if isinstance(value, float):
        value = round(value, 12)  # range(0.1,0.5,0.1) has 0.3, not 0.30000000000000004
        return value, repr(value)
    return (value if isinstance(value, bool | int | str) else text), text


def _options(parsed: Override) -> Sequence[str]:
    folder = config_directory() / parsed.key_or_group
    if not folder.is_dir():
        raise ConfigError(f"{parsed.input_line}: glob is for config groups, as classifier=glob(*)")
    return sorted(p.stem for p in folder.glob("*.yaml") if not p.name.startswith("_"))
