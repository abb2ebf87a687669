"""How well a number that is not anatomy tells a class: the area under its ROC curve."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize, stats

from frerec.data.audit.significance import SIGNIFICANT, holm

STRONG_AUC = 0.7
"""Area under the curve from which a number is said to tell a class [ours]; Hosmer and Lemeshow
call less than that poor discrimination."""

_EXACT = 10_000
"""Pairs of a member and another image up to which the test is exact [ours]; bounds the time."""

_Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve of a number for a class against the rest.

    Attributes:
        value: 0.5 tells nothing; above it, the class has the larger numbers.
        low, high: its 95 % interval, not corrected for the number of areas that are looked at.
        p: two-sided, of the Mann-Whitney test; corrected by `holm` where it comes from
            `class_aucs`.
    """

    value: float
    low: float
    high: float
    p: float

    @property
    def strong(self) -> bool:
        """0.7 or more, or 0.3 or less, and hardly by chance (p < 0.01) [ours]."""
        return max(self.value, 1 - self.value) >= STRONG_AUC and self.p < SIGNIFICANT

    def __str__(self) -> str:
        return f"AUC {self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def as_dict(area: Auc | None) -> dict[str, Any] | None:
    """As it stands in summary.json; None where there is none."""
    if area is None:
        return None
    numbers = {k: round(getattr(area, k), 4) for k in ("value", "low", "high")}
    return numbers | {"p": float(f"{area.p:.3g}"), "strong": area.strong}


def auc(values: np.ndarray, member: np.ndarray) -> Auc | None:
    """How well a number tells members from the rest.

    The area is the Mann-Whitney statistic, ties counting half. The interval is method 5 of Newcombe
    (2006), Stat. Med. 25, 559: Hanley and McNeil's variance at the limit, not at the estimate, so
    that it has a width where the area is 0 or 1. The test is exact up to 10,000 pairs and normal
    with continuity correction beyond; neither takes ties into account, which makes p larger: with
    the usual correction, few members and many ties would give far too small ones.

    Args:
        values: [N]; NaN is left out.
        member: bool [N].

    Returns:
        None where there are no members, or nobody else.
    """
    known = ~np.isnan(values)
    values, member = values[known], member[known]
    a, b = int(member.sum()), int((~member).sum())
    if not a or not b:
        return None
    area = float((stats.rankdata(values)[member].sum() - a * (a + 1) / 2) / (a * b))
    low, high = _lower(area, a, b), 1 - _lower(1 - area, a, b)
    if a * b <= _EXACT:
        p = stats.mannwhitneyu(values[member], values[~member], method="exact").pvalue
    else:
        above = max(0.0, abs(area - 0.5) * a * b - 0.5)
        p = 2 * stats.norm.sf(above / math.sqrt(a * b * (a + b + 1) / 12))
    return Auc(area, low, high, float(p))


def class_aucs(
    numbers: Mapping[str, np.ndarray], labels: np.ndarray, classes: Sequence[str]
) -> dict[str, dict[str, Auc | None]]:
    """`auc` of each class against all others by each number, p values corrected by `holm`.

    Args:
        numbers: values [N] by name.
        labels: int [N], positions in `classes`.
        classes: names.

    Returns:
        {number: {class: area}}.
    """
    areas = {
        key: {name: auc(values, labels == i) for i, name in enumerate(classes)}
        for key, values in numbers.items()
    }
    known = [(key, name, area) for key, of in areas.items() for name, area in of.items() if area]
    for (key, name, area), p in zip(known, holm([area.p for *_, area in known]), strict=True):
        areas[key][name] = replace(area, p=p)
    return areas


def telling(aucs: Mapping[str, Auc | None]) -> list[tuple[str, Auc]]:
    """The classes that a number tells, the one it tells best first."""
    strong = [(name, area) for name, area in aucs.items() if area is not None and area.strong]
    return sorted(strong, key=lambda item: -abs(item[1].value - 0.5))


def _lower(area: float, a: int, b: int) -> float:
    """The lower end: the area t < `area` from which `area` is 1.96 standard errors away."""
    if area <= 0:
        return 0.0
    others = (a + b) / 2 - 1

    def excess(t: float) -> float:
        unequal = 1 + others * ((1 - t) / (2 - t) + t / (1 + t))
        return area - t - _Z * math.sqrt(t * (1 - t) * unequal / (a * b))

    return float(optimize.brentq(excess, 0.0, area * (1 - 1e-9)))
