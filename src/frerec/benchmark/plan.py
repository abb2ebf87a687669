"""Which cells a comparison has: the product of the grid's axes, each composed by Hydra."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from frerec.benchmark.arms import check_arm
from frerec.benchmark.cell_record import STANDARD_AXES
from frerec.benchmark.saved_cell import FROM, read_saved_cell
from frerec.config import check_complete, compose_config, compose_each, plain
from frerec.errors import ConfigError
from frerec.tracking.private import public_command

# Parts that all cells share, or that no result depends on.
SHARED = (
    "name", "grid", "experiment", "table", "published", "showcase", "debug", "from", "report",
    "paths", "logger", "executor", "trainer",
)  # fmt: skip


@dataclass(frozen=True)
class PlannedCell:
    """One combination of the axes: its values by name and its whole configuration.

    ``command`` is what asked for it, without paths; ``saved_id`` the id that it has to get, where
    it is a saved cell that is run again.
    """

    values: dict[str, Any]
    config: DictConfig
    command: str = ""
    saved_id: str | None = None


def expand(config_name: str, overrides: Sequence[str]) -> tuple[DictConfig, list[PlannedCell]]:
    """Compose the benchmark and each of its cells.

    An override of an axis (``arm=gda``) takes the place of the axis' values. ``from=FILE`` is the
    one cell whose configuration was saved there.

    Returns:
        The benchmark's configuration, and the cells in the order of the grid, the last axis
        fastest.

    Raises:
        ConfigError: For a wrong key or option, an empty axis, or an arm that does not make sense.
    """
    command = public_command(config_name, overrides)
    if any(_key(o) == FROM for o in overrides):
        config, saved_values, saved_id = read_saved_cell(config_name, overrides)
        return config, [PlannedCell(saved_values, config, command, saved_id)]
    base, kept, single = _base(config_name, overrides)
    grid: dict[str, list[Any]] = {}
    for axis, given in plain(base.grid).items():
        check_axis(axis)
        if isinstance(given, dict):
            raise ConfigError(
                f"grid.{axis}={given}: expected values; an axis with a dot in its name is written"
                f" 'grid={{{axis}.KEY:[VALUE,...]}}'"
            )
        grid[axis] = _values_of(axis, single.get(axis, given))
    combinations = [
        dict(zip(grid, combination, strict=True))
        for combination in itertools.product(*grid.values())
    ]
    chosen = ([f"{key}={written(value)}" for key, value in each.items()] for each in combinations)
    cells = []
    for values, config in zip(combinations, compose_each(config_name, kept, chosen), strict=True):
        check_complete(config)
        check_arm(config.arm)
        own = config.arm.get("calibrator")
        if own is not None:  # a baseline's arm
            config.calibrator = own
        if not isinstance(config.seed, int) or config.seed < 0:
            raise ConfigError(f"seed={config.seed}: expected a whole number of at least 0")
        cells.append(PlannedCell(values, config, command))
    return base, cells


def compose_base(config_name: str, overrides: Sequence[str]) -> DictConfig:
    """The benchmark's configuration alone, without its cells; errors as of :func:`expand`."""
    if any(_key(o) == FROM for o in overrides):
        return read_saved_cell(config_name, overrides)[0]
    return _base(config_name, overrides)[0]


def _base(
    config_name: str, overrides: Sequence[str]
) -> tuple[DictConfig, list[str], dict[str, list[Any]]]:
    """The configuration, the overrides that hold for every cell, and those that are axes."""
    # `grid={...}` may bring axes that the configuration does not have yet.
    overrides = [f"++{o}" if o.startswith("grid={") else o for o in overrides]
    # Which axes there are depends on the experiment and on the grid alone.
    shaping = [
        o for o in overrides if _key(o) in ("experiment", "table") or _key(o).startswith("grid")
    ]
    grid = compose_config(config_name, shaping).get("grid")
    if not isinstance(grid, DictConfig):
        raise ConfigError(f"grid={grid}: expected a mapping, as 'grid={{arm:[raw,gda],seed:[0]}}'")
    axes = list(grid)
    kept, single = _split(overrides, axes)
    return compose_config(config_name, kept), kept, single


def check_axis(axis: str) -> None:
    """Refuse an axis that would repeat the same cells.

    Raises:
        ConfigError: If the axis is one of `SHARED` or a key within.
    """
    if axis.split(".")[0] in SHARED:
        raise ConfigError(f"{axis}: no axis of a comparison, no result depends on it; give one")


def _values_of(axis: str, given: Any) -> list[Any]:
    """The values of an axis as a configuration has them, each once."""
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values:
        raise ConfigError(f"grid.{axis} is empty: give at least one value")
    if axis in STANDARD_AXES and any(isinstance(value, list) for value in values):
        raise ConfigError(f"grid.{axis}={given}: a list within a list; expected [VALUE,...]")
    values = [_read(value) if isinstance(value, str) else value for value in values]
    if len({axis_key(value) for value in values}) != len(values):
        raise ConfigError(f"grid.{axis}={given}: a value stands twice")
    return values


def axis_key(value: Any) -> str:
    """The same text for all spellings of a value: 1 and 1.0; null, "null" and None."""
    if value in (None, "None", "null"):
        return "null"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _split(overrides: Sequence[str], axes: Sequence[str]) -> tuple[list[str], dict[str, list[Any]]]:
    kept, single = [], {}
    for override in overrides:
        if _key(override) in axes:
            value = override.partition("=")[2]
            single[_key(override)] = [_read(part.strip()) for part in value.split(",")]
        else:
            kept.append(override)
    return kept, single


def _read(text: str) -> Any:
    """A number, a truth value or null as a configuration has it, so that 8 is 8; else the text."""
    try:
        value = OverridesParser.create().parse_override(f"value={text}").value()
    except HydraException:
        return text
    return value if value is None or isinstance(value, bool | int | float) else text


def written(value: Any) -> Any:
    """A value as Hydra's grammar writes it: None would be a text."""
    if isinstance(value, str) and "," in value and value[0] not in "'\"[{":
        return "'" + value.replace("'", "\\'") + "'"  # one value, not two
    return "null" if value is None else value


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
