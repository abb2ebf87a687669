"""How much a category that is not anatomy goes with the class, and when that is a warning.

Two sizes of effect, since each is blind where the other sees: Cramer's V looks at the whole table,
but is small by necessity where a class is rare (all of 2.5 % positives JPEG, and half of the
others: V = 0.16); the total variation distance looks at each class for itself, but is small where
a value is rare.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from frerec.data.audit.significance import SIGNIFICANT, holm

STRONG_V = 0.2
"""Cramer's V from which a category is said to go with the class [ours]; between what Cohen (1988)
calls a small (0.1) and a medium (0.3) effect."""

STRONG_DISTANCE = 0.2
"""Total variation distance from which a class is said to differ from the rest [ours]: knowing the
category, one can tell an image of the class from another in 60 % of cases, not in 50 %."""


@dataclass(frozen=True)
class Departure:
    """How the values of one group differ from those of all others.

    Attributes:
        distance: total variation, half the sum over the values of |share in the group - share
            outside|, 0 to 1.
        p: of Fisher's exact tests of the group against the rest, one a value: the smallest, times
            the number of values.
    """

    distance: float
    p: float

    @property
    def strong(self) -> bool:
        """Large enough to matter, and hardly by chance [ours]."""
        return self.distance >= STRONG_DISTANCE and self.p < SIGNIFICANT


@dataclass(frozen=True)
class Association:
    """Of two categories.

    Attributes:
        v: Cramer's V, 0 to 1.
        groups: the departure of each row of the table.
    """

    v: float
    groups: tuple[Departure, ...]

    @property
    def p(self) -> float:
        """The smallest of the groups'."""
        return min((group.p for group in self.groups), default=1.0)

    @property
    def strong(self) -> bool:
        """Of the whole table, or for one group: large enough, and hardly by chance [ours]."""
        of_all = self.v >= STRONG_V and self.p < SIGNIFICANT
        return of_all or any(group.strong for group in self.groups)


def associations(tables: Sequence[np.ndarray]) -> list[Association]:
    """Of each table of counts [groups, values], all p values corrected together by `holm`."""
    departures = [_departures(np.asarray(table)) for table in tables]
    p = iter(holm([group.p for groups in departures for group in groups]))
    return [
        Association(cramers_v(table), tuple(Departure(g.distance, next(p)) for g in groups))
        for table, groups in zip(tables, departures, strict=True)
    ]


def cramers_v(table: np.ndarray) -> float:
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
        return 0.0
    chi2 = stats.chi2_contingency(table, correction=False).statistic
    phi = max(0.0, chi2 / n - (r - 1) * (c - 1) / (n - 1))
    least = min(k - (k - 1) ** 2 / (n - 1) - 1 for k in (r, c))
    return min(1.0, math.sqrt(phi / least)) if least > 0 else 0.0


def differences(table: np.ndarray) -> np.ndarray:
    """Share of each value in each group less that outside it, [r, c]; 0 where either is empty."""
    table = np.asarray(table, dtype=np.float64)
    outside = table.sum(axis=0) - table
    inner, outer = (t.sum(axis=1, keepdims=True) for t in (table, outside))
    found: np.ndarray = table / np.maximum(inner, 1) - outside / np.maximum(outer, 1)
    return np.where((inner > 0) & (outer > 0), found, 0.0)


def _departures(table: np.ndarray) -> list[Departure]:
    """Of each row, before any correction for their number."""
    table = table[:, table.sum(axis=0) > 0].astype(np.int64)
    values = table.shape[1]
    if values < 2:
        return [Departure(0.0, 1.0)] * len(table)
    of_group, of_value = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    margins = (table.sum(), of_value, of_group)
    # Both tails of Fisher's test: the smaller one, doubled.
    tails = stats.hypergeom.cdf(table, *margins), stats.hypergeom.sf(table - 1, *margins)
    p = (2 * np.minimum(*tails).min(axis=1) * values).clip(max=1)
    distance = np.abs(differences(table)).sum(axis=1) / 2
    return [Departure(float(d), float(q)) for d, q in zip(distance, p, strict=True)]
