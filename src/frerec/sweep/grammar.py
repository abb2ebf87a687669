"""Hydra's sweep grammar: an override that stands for several values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep
from hydra.errors import HydraException

from frerec.config import config_directory, quote_override
from frerec.errors import ConfigError

MOST = 10_000  # values of one key that are listed


@dataclass(frozen=True)
class Numbers:
    """The numbers of a range, in decimals: as many as they may be, none is listed.

    Attributes:
        start: the first number.
        step: from one to the next; negative where they fall.
        count: how many there are, at least 1; the stop is none of them.
        whole: whether they are whole numbers to Hydra.
    """

    start: Decimal
    step: Decimal
    count: int
    whole: bool

    def __getitem__(self, index: int) -> int | float:
        number = self.start + index * self.step
        return int(number) if self.whole else float(number)


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
        ConfigError: For an ``interval``, for no value, for more than MOST of a range, and for
            one that stands twice.
    """
    value: Any = parsed.value()
    if isinstance(value, Glob):
        names = value.filter(list(_options(parsed)))
        pairs: list[tuple[Any, str]] = [(name, name) for name in names]
    elif isinstance(value, RangeSweep):
        numbers = numbers_of(parsed)
        if numbers.count > MOST:
            raise ConfigError(
                f"{parsed.input_line}: {numbers.count} values, at most {MOST} can be listed; give a"
                " larger step"
            )
        pairs = [
            (number, repr(number)) for number in map(numbers.__getitem__, range(numbers.count))
        ]
    elif isinstance(value, ChoiceSweep):
        value.shuffle = False  # the order is ours to keep; the sampler draws
        try:
            texts = list(parsed.sweep_string_iterator())
            plain = list(parsed.sweep_iterator())
        except HydraException as error:
            raise ConfigError(f"{parsed.input_line}: {str(error).splitlines()[0]}") from error
        pairs = [_pair(one, text) for one, text in zip(plain, texts, strict=True)]
    else:
        raise ConfigError(
            f"{parsed.input_line}: expected choice(a,b), range(start,stop) or a,b; an interval"
            " has no end of values"
        )
    if not pairs:
        raise ConfigError(f"{parsed.input_line}: stands for no value at all")
    # 1, 1.0 and true are equal, and a study could not tell their trials apart.
    if len({text for _, text in pairs}) != len(pairs) or len({v for v, _ in pairs}) != len(pairs):
        raise ConfigError(f"{parsed.input_line}: a value stands twice")
    return pairs


def numbers_of(parsed: Override) -> Numbers:
    """The numbers of a ``range``; in decimals, so that no rounding lets the stop in.

    Raises:
        ConfigError: For a step of 0, an end that is no finite number, and for no number at all.
    """
    value: Any = parsed.value()
    given = (value.start, value.stop, value.step)
    start, stop, step = (Decimal(repr(one)) for one in given)
    if step == 0:
        raise ConfigError(f"{parsed.input_line}: expected a step other than 0")
    if not all(one.is_finite() for one in (start, stop, step)):
        raise ConfigError(f"{parsed.input_line}: expected finite numbers")
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise ConfigError(f"{parsed.input_line}: stands for no value at all")
    return Numbers(start, step, count, all(type(one) is int for one in given))


def _pair(value: Any, text: str) -> tuple[Any, str]:
    if isinstance(value, float):
        return value, repr(value)
    return (value if isinstance(value, bool | int | str) else text), text


def _options(parsed: Override) -> Sequence[str]:
    folder = config_directory() / parsed.key_or_group
    if not folder.is_dir():
        raise ConfigError(f"{parsed.input_line}: glob is for config groups, as classifier=glob(*)")
    return sorted(p.stem for p in folder.glob("*.yaml") if not p.name.startswith("_"))
