"""Which PSNR and SSIM of the showcase belong to which cells."""

from collections.abc import Mapping, Sequence
from typing import Any

from frerec.report.cells import axis_text
from frerec.report.parsing import number
from frerec.report.run import Cell, Run


def fidelity_of(run: Run, cells: Sequence[Cell]) -> tuple[float | None, float | None]:
    """PSNR in dB and SSIM of real validation images after these cells' calibration.

    Args:
        run: with a showcase that measured each treatment of real images once.
        cells: of one arm, which differ in their seed alone.

    Returns:
        None for both where the arm leaves real images as they are, or nothing was measured.
    """
    show = run.showcase_of(cells)
    if show is None or not cells:
        return None, None
    fitting = [entry for entry in show.arm_fidelity if _fits(entry, cells[0])]
    if not fitting:
        return None, None
    entry = max(fitting, key=lambda found: len(_extra(found)))  # the most specific one
    return number(entry.get("psnr")), number(entry.get("ssim"))


def _fits(entry: Mapping[str, Any], cell: Cell) -> bool:
    """Whether the treatment is the cell's: its arm, and no axis on which they differ."""
    arms = entry.get("arms") or [entry.get("arm")]
    own = dict(cell.extra)
    return (
        cell.arm in arms
        and entry.get("data") in (None, cell.data)
        and all(own.get(axis) == value for axis, value in _extra(entry).items())
    )


def _extra(entry: Mapping[str, Any]) -> dict[str, str]:
    extra = entry.get("extra")
    return (
        {str(k): axis_text(str(k), v) for k, v in extra.items()} if isinstance(extra, dict) else {}
    )
