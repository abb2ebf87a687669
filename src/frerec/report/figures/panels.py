"""Which arms are drawn together: few lines a panel, many panels rather than a tangle."""

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from frerec.evaluation.predictions import Predictions
from frerec.report.comparisons import Group, arm_order, groups
from frerec.report.run import Run
from frerec.report.style import Look, Theme, look

TOGETHER = 5  # [ours] curves in one panel at most
ACROSS = 3  # panels in a row at most


@dataclass(frozen=True)
class Panel:
    """Some arms of one block of the comparison."""

    title: str
    group: Group
    arms: tuple[str, ...]

    def predictions(self, arm: str) -> dict[int, Predictions]:
        """Seed -> predictions on the test images."""
        return {cell.seed: cell.predictions["test"] for cell in self.group.finished(arm)}


def arm_panels(run: Run) -> list[Panel]:
    """The finished arms of every block; where they are many, in parts that begin with the first.

    A block whose finished cells all stand in an earlier one is left out.
    """
    found, seen = [], set()
    for group in groups(run):
        arms = tuple(arm for arm in group.arms if group.finished(arm))
        cells = frozenset(cell.id for arm in arms for cell in group.finished(arm))
        if not arms or cells in seen:
            continue
        seen.add(cells)
        parts = [arms]
        if len(arms) > TOGETHER:
            step = TOGETHER - 1
            rest = arms[1:]
            count = -(-len(rest) // step)
            even = -(-len(rest) // count)
            parts = [(arms[0], *rest[i : i + even]) for i in range(0, len(rest), even)]
        for number, part in enumerate(parts, 1):
            suffix = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            found.append(Panel(f"{group.title}{suffix}", group, part))
    return found


def arm_looks(run: Run, theme: Theme) -> Mapping[str, Look]:
    """Every arm looks the same in all figures of a run."""
    return {arm: look(theme, number) for number, arm in enumerate(arm_order(run))}


def grid_size(count: int) -> tuple[int, int]:
    """Rows and columns for so many panels, filled as evenly as may be: four are two and two."""
    rows = -(-count // ACROSS)
    return rows, -(-count // rows)


def panel_grid(count: int, width: float, height: float) -> tuple[Figure, tuple[int, int]]:
    """An empty figure for so many panels of a width and height in inches, and its grid."""
    rows, columns = grid_size(count)
    return Figure(figsize=(width * columns, height * rows), layout="constrained"), (rows, columns)
