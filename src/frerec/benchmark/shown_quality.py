"""The quality of every set of samples in a comparison, for the report beside its results."""

import logging
from collections.abc import Sequence
from typing import Any

from frerec.benchmark.cell import STANDARD_AXES, Cell
from frerec.errors import DataError

log = logging.getLogger(__name__)

OF_SAMPLES = ("data.", "generator.", "samples.")  # axes whose values name a set of samples


def quality_of_samples(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Measure the samples of these cells, each set once; from the store where that was done.

    Args:
        cells: With samples.

    Returns:
        A dictionary a set: ``samples`` its name, ``quality`` the plain values of
        :class:`frerec.evaluation.generative.GenerativeQuality`. A set that is too small to be
        measured is left out, with a warning.
    """
    found, seen = [], set()
    for cell in cells:
        if cell.stages.quality_key in seen:
            continue
        seen.add(cell.stages.quality_key)
        try:
            quality = cell.stages.quality
        except DataError as error:
            log.warning("no quality of the samples of %s: %s", samples_title(cell), error)
            continue
        found.append({"samples": samples_title(cell), "quality": quality})
    return found


def samples_title(cell: Cell) -> str:
    """The generator's name, and the values of the axes that make its samples differ."""
    further = [
        f"{key}={value}"
        for key, value in cell.axes.items()
        if key not in STANDARD_AXES and key.startswith(OF_SAMPLES)
    ]
    return " ".join([cell.stages.generator_name, *further])
