"""The quality with which a JPEG was saved, read off its quantisation tables.

The Independent JPEG Group's encoder (and Pillow's) scales the standard's tables T (ITU-T T.81,
annex K) by a quality q from 1 to 100: t = floor((T s + 50) / 100), clamped to [1, 255], with
s = 5000 / q below 50 and 200 - 2 q from there on (jcparam.c, jpeg_quality_scaling).
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

_LUMINANCE = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 "
    "14 17 22 29 51 87 80 62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 "
    "49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"
)


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int:
    """The quality whose luminance table is nearest to the file's, 1 to 100.

    Exact for encoders that scale the standard's table; for others (Photoshop, cameras) the nearest
    such table by the sum of absolute differences.

    Args:
        tables: as Pillow gives them, 64 numbers each; the first is luminance. Their order does not
            matter: entries are compared sorted, since Pillow's has been zigzag and is not now.
    """
    found = np.sort(np.asarray(tables[min(tables)], dtype=np.int64))
    return int(np.abs(_scaled_tables() - found).sum(axis=1).argmin()) + 1


@cache
def _scaled_tables() -> np.ndarray:
    """The sorted luminance table of every quality, int64 [100, 64]."""
    standard = np.array(_LUMINANCE.split(), dtype=np.int64)
    quality = np.arange(1, 101)[:, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables: np.ndarray = np.sort(np.clip((standard * scale + 50) // 100, 1, 255), axis=1)
    return tables
