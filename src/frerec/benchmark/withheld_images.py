"""The images of the ceiling arm: withheld real ones, as many as there would be samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from frerec.data.splits import shuffled
from frerec.data.stack import LabelledImages
from frerec.data.withheld import Withheld
from frerec.errors import DataError


def ceiling_counts(asked: Mapping[str, int], withheld: Withheld) -> dict[str, int]:
    """How many withheld images a class takes: as many as samples, or what there is.

    Where a class has too few, all classes get the same share of what was asked of them, so that
    their balance is that of the samples. [ours]

    Args:
        asked: Samples by class, of all classes in order.
        withheld: The images that may be taken.

    Raises:
        DataError: If a class that has samples has no withheld image.
    """
    there = np.bincount(withheld.labels, minlength=len(asked)).tolist()
    share = 1.0
    for (name, count), free in zip(asked.items(), there, strict=True):
        if count and not free:
            raise DataError(
                f"class {name}: no training image of it is withheld from the classifier; set a"
                " smaller data.train_size"
            )
        share = min(share, free / count if count else 1.0)
    # The smallest share is exact in floating point up to one ulp: 1e-9 keeps its whole number.
    # One image at least: a class must not be missing.
    return {n: max(int(count * share + 1e-9), 1) if count else 0 for n, count in asked.items()}


def ceiling_images(withheld: Withheld, counts: Mapping[str, int], *, seed: int) -> LabelledImages:
    """So many withheld images a class, nested: those of a smaller count are among a larger one's.

    Args:
        withheld: N images.
        counts: Images by class, of all classes in order.
        seed: Of their order.
    """
    order = shuffled(np.arange(len(withheld.labels)).astype(str), f"ceiling:{seed}")
    chosen: list[Any] = []
    for number, count in enumerate(counts.values()):
        chosen.extend(order[withheld.labels[order] == number][:count])
    rows = np.sort(np.asarray(chosen, dtype=np.int64))
    return LabelledImages(withheld.stack, rows, withheld.labels[rows])
