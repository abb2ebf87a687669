"""What an audit has to say, one sentence a finding."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

WARNING = "warning"
NOTE = "note"
_MOST = 6


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that a reader of results should know.

    Attributes:
        code: the same in every report, for programs.
        level: `warning`, or `note` for what need not be wrong.
        message: what, how many, and what to do with which key. No image is named in it: a path may
            hold a patient's id.
    """

    code: str
    level: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """As it stands in summary.json."""
        return asdict(self)


def count(n: int, what: str) -> str:
    """A number with its noun: `1 image`, `2,000 images`."""
    return f"{n:,} {what if n == 1 else plural(what)}"


def plural(noun: str) -> str:
    """The regular plural of a noun's first word."""
    first, space, rest = noun.partition(" ")
    return f"{first}s{space}{rest}"


def listed(counts: Mapping[str, int] | Iterable[tuple[str, int]]) -> str:
    """`glioma 2, notumor 1,277`; of more than six the five largest, `..., and 9 more`."""
    items = list(counts.items() if isinstance(counts, Mapping) else counts)
    if len(items) > _MOST:
        items.sort(key=lambda item: -item[1])
    return first([f"{name} {number:,}" for name, number in items])


def first(words: Sequence[str]) -> str:
    """The words with commas; of more than six the first five, `a, b, c, d, e, and 9 more`."""
    if len(words) <= _MOST:
        return ", ".join(words)
    return f"{', '.join(words[: _MOST - 1])}, and {len(words) - _MOST + 1} more"


def percent(share: float) -> str:
    """A share as text: 0 % and 100 % only where that is exact."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"
