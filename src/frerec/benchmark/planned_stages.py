"""Planned cells with their stages: data prepared once, cells that turn out to be one, ceilings."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf

from frerec.benchmark.arms import has_withheld
from frerec.benchmark.cell import STANDARD_AXES, Cell, make_cell
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.plan import PlannedCell, written
from frerec.benchmark.stages import Stages
from frerec.errors import ConfigError

log = logging.getLogger(__name__)

SAMPLE_CHECKS = ("features", "quality", "memorisation")  # parts of the configuration


@dataclass
class Kept:
    """What later plans of one process need not make again.

    Attributes:
        data: prepared data by the hash of their configuration.
        stages: of the last plan, by the hash of theirs.
        checked: hashes of what was checked before training.
    """

    data: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, Stages] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)


def with_stages(
    planned: Sequence[PlannedCell], progress: bool, kept: Kept | None = None
) -> list[Cell]:
    """Cells with their stages; data prepared once for each data configuration.

    A cell of the ceiling for which no real image is withheld is left out with a warning, unless it
    is the only one: a comparison at the full training set has no ceiling.

    Args:
        planned: The cells.
        progress: Show progress bars.
        kept: Of earlier plans; of their stages only those that these cells have stay in it.
    """
    kept = kept or Kept()
    prepared, shared = kept.data, kept.stages
    used: set[str] = set()
    cells: dict[tuple[str, ...], Cell] = {}
    left_out: list[str] = []
    for item in planned:
        data_part = OmegaConf.to_container(item.config.data, resolve=True)
        data_key = content_hash({"data": data_part})
        parts = ("data", "samples", "generator", "calibrator", "trainer", *SAMPLE_CHECKS)
        whole = {part: OmegaConf.to_container(item.config[part], resolve=True) for part in parts}
        key = content_hash(whole)
        used.add(key)
        if key not in shared:
            shared[key] = Stages(item.config, progress=progress, data=prepared.get(data_key))
            prepared[data_key] = shared[key].data
        reason = shared[key].no_ceiling() if has_withheld(item.config.arm) else ""
        if reason and len(planned) > 1:
            left_out.append(f"{item.config.arm.name}{_of(item.values)}: {reason}")
            continue
        cell = make_cell(item, shared[key])
        # What no generator touches (raw) is one cell, however many generators the grid has.
        cells.setdefault((cell.id, *map(str, cell.axes.items())), cell)
    for reason in left_out:
        log.warning("left out: %s", reason)
    if left_out and not cells:
        raise ConfigError(left_out[0])
    kept.stages = {key: shared[key] for key in used}
    return list(cells.values())


def _of(values: Mapping[str, Any]) -> str:
    """The values of the further axes, in brackets."""
    further = [
        f"{key}={written(value)}" for key, value in values.items() if key not in STANDARD_AXES
    ]
    return f" ({', '.join(further)})" if further else ""
