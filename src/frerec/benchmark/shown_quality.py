"""The quality of every set of samples in a comparison, for the report beside its results."""

from collections.abc import Sequence
from typing import Any

from frerec.benchmark.cell import STANDARD_AXES, Cell
from frerec.benchmark.shown_calibrators import Attempt

OF_SAMPLES = ("data.", "generator.", "samples.")  # axes whose values name a set of samples


def quality_of_samples(cells: Sequence[Cell], attempt: Attempt) -> list[dict[str, Any]]:
    """Measure the samples of these cells, each set once; from the store where that was done.

    Args:
        cells: With samples.
        attempt: Runs a measurement under a name, and gives None where it fails.

    Returns:
        A dictionary a set: ``samples`` its name, ``quality`` the plain values of
        :class:`frerec.evaluation.generative.GenerativeQuality`. A set that cannot be measured,
        such as one that is too small, is left out.
    """
    found, seen = [], set()
    for cell in cells:
        if cell.stages.quality_key in seen:
            continue
        seen.add(cell.stages.quality_key)
        title = samples_title(cell)
        quality = attempt(f"quality of {title}", lambda c=cell: c.stages.quality)  # type: ignore[misc]
        if quality is not None:
            found.append({"samples": title, "quality": quality})
    return found


def samples_title(cell: Cell) -> str:
    """The generator's name, and the values of the axes that make its samples differ."""
    further = [
        f"{key}={value}"
        for key, value in cell.axes.items()
        if key not in STANDARD_AXES and key.startswith(OF_SAMPLES)
    ]
    return " ".join([cell.stages.generator_name, *further])
