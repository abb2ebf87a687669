"""How much a class shows in something that is not anatomy: two measures, and when they warn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

STRONG_V = 0.2
"""Cramer's V from which a category is said to go with the class [ours]; between what Cohen (1988)
calls a small (0.1) and a medium (0.3) effect."""

STRONG_AUC = 0.7
"""Area under the curve from which a number is said to tell a class [ours]; Hosmer and Lemeshow
call less than that poor discrimination."""

_SIGNIFICANT = 0.01


@dataclass(frozen=True)
class Association:
    """Of two categories: Cramer's V, 0 to 1, and the p value of the chi-square test."""

    v: float
    p: float

    @property
    def strong(self) -> bool:
        """Large enough to matter, and hardly by chance (p < 0.01) [ours]."""
        return self.v >= STRONG_V and self.p < _SIGNIFICANT


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve of a number for a class against the rest, and its 95 % interval.

    0.5 tells nothing; above it, the class has the larger numbers.
    """

    value: float
    low: float
    high: float

    @property
    def strong(self) -> bool:
        """0.7 or more, or 0.3 or less, and an interval that excludes 0.5 [ours]."""
        far = max(self.value, 1 - self.value) >= STRONG_AUC
        return far and not self.low <= 0.5 <= self.high

    def __str__(self) -> str:
        return f"AUC {self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def as_dict(area: Auc | None) -> dict[str, Any] | None:
    """As it stands in summary.json; None where there is none."""
    if area is None:
        return None
    numbers = {k: round(getattr(area, k), 4) for k in ("value", "low", "high")}
    return numbers | {"strong": area.strong}


def cramers_v(table: np.ndarray) -> Association:
    """Cramer's V of a contingency table, with Bergsma's correction for its bias.

    V = sqrt(max(0, chi2 / n - (r-1)(c-1) / (n-1)) / min(r' - 1, c' - 1)) with
    k' = k - (k-1)^2 / (n-1) for k = r, c; Bergsma (2013), J. Korean Stat. Soc. 42, 323.

    Args:
        table: counts [r, c]; empty rows and columns are left out.
    """
    table = np.asarray(table, dtype=np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, (r, c) = table.sum(), table.shape
    if min(r, c) < 2:
        return Association(0.0, 1.0)
    chi2, p, _, _ = stats.chi2_contingency(table, correction=False)
    phi = max(0.0, chi2 / n - (r - 1) * (c - 1) / (n - 1))
    least = min(k - (k - 1) ** 2 / (n - 1) - 1 for k in (r, c))
    v = math.sqrt(phi / least) if least > 0 else 0.0
    return Association(min(1.0, v), float(p))


def auc(values: np.ndarray, member: np.ndarray) -> Auc | None:
    """How well a number tells members from the rest.

    The area is the Mann-Whitney statistic, ties counting half; the interval is that of Hanley and
    McNeil (1982), Radiology 143, 29, for the side of 0.5 on which the area lies.

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
    upper = max(area, 1 - area)
    first, second = upper / (2 - upper), 2 * upper**2 / (1 + upper)
    if area < 0.5:
        a, b = b, a
    variance = upper * (1 - upper) + (a - 1) * (first - upper**2) + (b - 1) * (second - upper**2)
    half = float(stats.norm.ppf(0.975)) * math.sqrt(max(0.0, variance) / (a * b))
    return Auc(area, max(0.0, area - half), min(1.0, area + half))


def class_aucs(
    values: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> dict[str, Auc | None]:
    """`auc` of each class against all others; `labels` [N] are positions in `classes`."""
    return {name: auc(values, labels == i) for i, name in enumerate(classes)}


def telling(aucs: dict[str, Auc | None]) -> list[tuple[str, Auc]]:
    """The classes that a number tells, the one it tells best first."""
    strong = [(name, area) for name, area in aucs.items() if area is not None and area.strong]
    return sorted(strong, key=lambda item: -abs(item[1].value - 0.5))
