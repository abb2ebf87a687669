"""The different calibrated treatments among cells: a fitted calibrator in one way of use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frerec.benchmark.cell import STANDARD_AXES, Cell
from frerec.benchmark.hashing import content_hash


@dataclass(frozen=True)
class Treatment:
    """A calibrator of one fit, used in one way, and the cells whose images go through it."""

    key: str
    cells: tuple[Cell, ...]

    @property
    def shown(self) -> Cell:
        """The cell that it is named after: one that calibrates everything, if there is one."""
        return max(self.cells, key=_calibrated_parts)  # the first of several

    @property
    def arms(self) -> list[str]:
        """The arms that share it, in the order of the plan."""
        return list(dict.fromkeys(str(cell.config.arm.name) for cell in self.cells))

    @property
    def extra(self) -> dict[str, str]:
        """The values of the further axes that all its cells have in common.

        An axis that does not change the treatment, such as the number of samples, has several.
        """
        first, *others = (cell.axes for cell in self.cells)
        return {
            key: str(value)
            for key, value in first.items()
            if key not in STANDARD_AXES and all(axes.get(key) == value for axes in others)
        }

    @property
    def axes(self) -> dict[str, Any]:
        """What names it in ``showcase.json``.

        key, data, arm, arms that share it, extra, and what the arm calibrates: some of real,
        synthetic, evaluation.
        """
        shown = self.shown
        return {
            "key": self.key,
            "data": str(shown.axes["data"]),
            "arm": str(shown.config.arm.name),
            "arms": self.arms,
            "extra": self.extra,
            "calibrates": _calibrated(shown),
        }


def treatments(cells: Sequence[Cell], *, of_real: bool = False) -> list[Treatment]:
    """The treatments among these cells, each once, in the order of the plan.

    Args:
        cells: Any; those that calibrate nothing are left out.
        of_real: Only treatments of real images; most baselines leave those as they are.
    """
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        arm = cell.config.arm
        samples = () if of_real else (arm.synthetic,)
        if "calibrated" in (arm.real, arm.evaluation, *samples):
            found.setdefault(treatment_key(cell), []).append(cell)
    return [Treatment(key, tuple(members)) for key, members in found.items()]


def treatment_key(cell: Cell) -> str:
    """Equal for cells whose images go through the same fit in the same way."""
    stages = cell.stages
    return content_hash(
        {
            "data": stages.data.fingerprint,
            "calibrator": stages.calibrator_key,
            "use": stages.calibrator_use,
        }
    )


def _calibrated(cell: Cell) -> list[str]:
    parts = ("real", "synthetic", "evaluation")
    return [part for part in parts if cell.config.arm[part] == "calibrated"]


def _calibrated_parts(cell: Cell) -> tuple[bool, int]:
    parts = _calibrated(cell)
    return "synthetic" in parts, len(parts)
