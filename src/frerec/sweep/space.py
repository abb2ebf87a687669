"""The search space: Hydra's sweep grammar as Optuna's distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from frerec.benchmark.plan import SHARED
from frerec.errors import ConfigError
from frerec.sweep.grammar import MOST, Numbers, discrete, is_sweep, key_of, numbers_of, parse

# What a trial shares with all others, or what is no part of it.
FIXED = (
    "seed", "seeds", *SHARED, "sweep", "space", "trials", "objective", "direction", "sampler",
    "sampler_seed", "pruner", "failures", "study", "storage", "trial",
)  # fmt: skip
MACHINE = ("paths", "logger", "executor", "trainer")


@dataclass(frozen=True)
class Parameter:
    """One key of the space.

    Attributes:
        key: of the benchmark's configuration, or a config group.
        text: what it may be, in Hydra's grammar.
        distribution: the same for Optuna.
        texts: of a choice or range, what stands in an override for each value, in order.
        values: the values themselves; none of an interval, nor of a range with more than MOST.
    """

    key: str
    text: str
    distribution: BaseDistribution
    values: tuple[Any, ...] = ()
    texts: tuple[str, ...] = ()

    def override(self, value: Any) -> str:
        """The override that sets the key to a value."""
        value = self.exact(value)
        for known, text in zip(self.values, self.texts, strict=True):
            if type(known) is type(value) and known == value:
                return f"{self.key}={text}"
        return f"{self.key}={value!r}"

    def suggest(self, trial: Trial) -> Any:
        """The trial's value: what it has already, or else what the sampler draws.

        Optuna keeps 0.30000000000000004 where a range has 0.3: see :meth:`exact`.
        """
        d = self.distribution
        if isinstance(d, CategoricalDistribution):
            return trial.suggest_categorical(self.key, d.choices)
        if isinstance(d, IntDistribution):
            return trial.suggest_int(self.key, d.low, d.high, step=d.step, log=d.log)
        assert isinstance(d, FloatDistribution)
        return self.exact(trial.suggest_float(self.key, d.low, d.high, step=d.step, log=d.log))

    def exact(self, value: Any) -> Any:
        """A value as a range of decimals has it: 0.3, not 0.30000000000000004."""
        d = self.distribution
        if not (isinstance(d, FloatDistribution) and d.step and isinstance(value, float)):
            return value
        low, step = Decimal(repr(d.low)), Decimal(repr(d.step))
        return float(low + round((Decimal(value) - low) / step) * step)

    def ends(self) -> list[Any]:
        """Values to try out in advance: all of a choice, the ends of what has an order."""
        d = self.distribution
        if isinstance(d, IntDistribution | FloatDistribution):
            return [d.low, d.high]
        return list(self.values)

    def value_of(self, text: str) -> Any:
        """A value given as an override's text, as in ``key=text``.

        Raises:
            ConfigError: If it does not lie in the space.
        """
        given = parse(f"{self.key}={text}").value()
        d = self.distribution
        if isinstance(d, CategoricalDistribution):
            for value, known in zip(self.values, self.texts, strict=True):
                same = type(value) is type(given) and value == given
                if same or known == text:
                    return value
        elif isinstance(given, int | float) and not isinstance(given, bool):
            whole = isinstance(d, IntDistribution) and float(given).is_integer()
            number = int(given) if whole else float(given)
            internal = d.to_internal_repr(number)
            if (whole or isinstance(d, FloatDistribution)) and d._contains(internal):
                return self.exact(number)
        raise ConfigError(f"{self.key}={text}: not in the space, which has {self.text}")


def parse_space(entries: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters of a space, in its order.

    Args:
        entries: key -> text in Hydra's sweep grammar.

    Raises:
        ConfigError: For a key that a trial cannot have, or a text that is no sweep.
    """
    if not entries:
        raise ConfigError(
            "space is empty: give sweep=NAME, or a key its values, as"
            " 'calibrator.shr.ratio=interval(0.1,0.9)'"
        )
    return tuple(_parameter(str(key), text) for key, text in entries.items())


def split_overrides(
    overrides: Sequence[str], space: Mapping[str, Any], *, trial: bool
) -> tuple[list[str], dict[str, Any], dict[str, str]]:
    """Tell overrides of the space from those that all trials have.

    Args:
        overrides: of the command line.
        space: as the configuration has it.
        trial: whether a plain value of a key of the space is the trial's own; otherwise it takes
            the key out of the space.

    Returns:
        The others; the space with what the command line changes; the trial's own texts by key.
    """
    kept, given, own = [], dict(space), {}
    for override in overrides:
        key = key_of(override)
        if is_sweep(override) and key != "space":
            given[key] = override.partition("=")[2]
        elif key in given and trial:
            own[key] = override.partition("=")[2]
        else:
            given.pop(key, None)
            kept.append(override)
    return kept, given, own


def _parameter(key: str, text: Any) -> Parameter:
    head = key.split(".")[0]
    if head in FIXED:
        reason = "a trial averages over seeds" if head == "seed" else "it is the same in all trials"
        raise ConfigError(f"space.{key}: no key to search over ({reason})")
    if key.startswith(("+", "~")):
        raise ConfigError(f"space.{key}: give a key that the configuration has, without + and ~")
    if not isinstance(text, str):
        raise ConfigError(f"space.{key}={text}: expected a text, as interval(0.1,0.9), in quotes")
    parsed = parse(f"{key}={text}")
    if not parsed.is_sweep_override():
        raise ConfigError(
            f"space.{key}={text}: expected choice(a,b), range(1,10), interval(0.1,0.9) or"
            " tag(log,interval(1e-5,1e-2))"
        )
    value: Any = parsed.value()
    tags = set(value.tags) if hasattr(value, "tags") else set()
    allowed = {"log", "int"} if isinstance(value, IntervalSweep) else set()
    if tags - allowed:
        raise ConfigError(
            f"space.{key}={text}: tag {', '.join(sorted(tags - allowed))} means nothing here;"
            " an interval takes log and int"
        )
    if isinstance(value, IntervalSweep):
        return Parameter(key, text, _interval(key, text, value, tags))
    if isinstance(value, RangeSweep):
        return _range(key, text, numbers_of(parsed))
    pairs = discrete(parsed)
    ordered = CategoricalDistribution([one for one, _ in pairs])
    return Parameter(
        key, text, ordered, tuple(one for one, _ in pairs), tuple(shown for _, shown in pairs)
    )


def _range(key: str, text: str, numbers: Numbers) -> Parameter:
    """A range; all its values are listed only where they are few enough for a grid."""
    low, high = sorted((numbers[0], numbers[numbers.count - 1]))
    step = abs(numbers.step)
    ordered: BaseDistribution
    if numbers.whole:
        ordered = IntDistribution(int(low), int(high), step=int(step))
    else:
        ordered = FloatDistribution(low, high, step=float(step))
    listed = range(numbers.count) if numbers.count <= MOST else ()
    values = tuple(sorted(numbers[index] for index in listed))
    return Parameter(key, text, ordered, values, tuple(map(repr, values)))


def _interval(key: str, text: str, value: IntervalSweep, tags: set[str]) -> BaseDistribution:
    low, high = value.start, value.end
    if low is None or high is None or not low < high:
        raise ConfigError(f"space.{key}={text}: expected interval(low,high) with low below high")
    log = "log" in tags
    if log and low <= 0:
        raise ConfigError(f"space.{key}={text}: a logarithmic interval begins above 0")
    if "int" not in tags and not (type(low) is int and type(high) is int):
        return FloatDistribution(float(low), float(high), log=log)
    if float(low) != int(low) or float(high) != int(high):
        raise ConfigError(f"space.{key}={text}: the ends of whole numbers are whole numbers")
    return IntDistribution(int(low), int(high), log=log)
