"""When a difference is hardly one by chance, also where many were looked for."""

from collections.abc import Sequence

import numpy as np

SIGNIFICANT = 0.01
"""p value, after `holm`, below which a difference is hardly by chance [ours].

The audit corrects within four families, so that in data without any difference each of them warns
wrongly in at most 1 % of data sets: the categories of `encodings` by class, the same by split, the
native sizes by class, and the numbers of `spectra` by class.
"""


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of a family of tests, corrected for their number, in the same order.

    Holm (1979), Scand. J. Stat. 6, 65: the k-th smallest of m is multiplied by m - k + 1, and is at
    least as large as those before it.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    corrected: list[float] = adjusted[np.argsort(order, kind="stable")].tolist()
    return corrected
