"""What an audit has to say, one sentence a finding."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

WARNING = "warning"
NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that a reader of results should know.

    Attributes:
        code: the same in every report, for programs.
        level: `warning`, or `note` for what need not be wrong.
        message: what, how many, and what to do with which key; no patient is named.
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


def listed(counts: Mapping[str, object] | Iterable[tuple[str, object]]) -> str:
    """`glioma 2, notumor 277`; a number above 999 with its comma."""
    items = counts.items() if isinstance(counts, Mapping) else counts
    return ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in items)


def percent(share: float) -> str:
    """A share as text: 0 % and 100 % only where that is exact."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"
