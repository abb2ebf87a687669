"""A cell's saved configuration, read back to run exactly that cell again: ``from=FILE``."""

import difflib
import logging
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frerec.benchmark.arms import has_samples
from frerec.benchmark.cell_record import CELL_BLOCK, FORMAT
from frerec.config import compose_config, config_directory, first_line, quote_override
from frerec.errors import ConfigError

log = logging.getLogger(__name__)

FROM = "from"
# What may differ from the saved cell, because no result depends on it.
FREE = ("name", "paths", "trainer", "logger", "report", "data.root")
_TARGET = re.compile(r"^\s*_target_:\s*(frerec\.[\w.]+)", re.MULTILINE)
# Parts that shape no result; a key that a newer frerec added to them takes its default.
_SETTINGS = ("paths", "trainer", "showcase", "report", "executor")


def read_saved_cell(
    config_name: str, overrides: Sequence[str]
) -> tuple[DictConfig, dict[str, Any], str]:
    """The saved configuration with the overrides that it allows.

    Args:
        config_name: Of the benchmark's configuration, whose keys the file may have.
        overrides: ``from=FILE``, ``name=NEW``, and any of `FREE`.

    Returns:
        The configuration, its values of the grid's axes, and the id that the cell had.

    Raises:
        ConfigError: For another override, and for a file that is no cell's configuration, is of
            another format, or has a key or a `_target_` that there is not.
    """
    allowed = [o for o in overrides if _key(o) != FROM]
    if len(overrides) - len(allowed) > 1:
        raise ConfigError("from: given twice; one saved cell is run again at a time")
    for override in allowed:
        if not any(_key(override) == key or _key(override).startswith(f"{key}.") for key in FREE):
            raise ConfigError(
                f"{override}: a saved cell is run as it was; beside from= give only"
                f" {', '.join(FREE)}"
            )
    if not any(_key(o) == "name" for o in allowed):
        raise ConfigError("name is missing: give name=..., the run that gets the repeated cell")
    file = Path(next(o.partition("=")[2] for o in overrides if _key(o) == FROM))
    content, about = _read(file)
    composed = [o for o in allowed if _key(o) != "data.root"]
    fresh: Any = OmegaConf.to_container(compose_config(config_name, composed), resolve=False)
    _check_keys(content, fresh, file)
    _check_targets(content, file)
    config = _with_defaults(content, fresh)
    for key, reference in about["links"].items():
        OmegaConf.update(config, key, reference, force_add=True)
    former = Path(config.paths.runs, str(config.name))
    _override(config, fresh, allowed)
    if Path(config.paths.runs, str(config.name)).resolve() == former.resolve():
        raise ConfigError(f"name={config.name}: is the saved cell's own run; give another name")
    _name_command(config, file)
    return config, dict(about["values"]), str(about["id"])


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration in a file, and its block about the cell."""
    if not file.is_file():
        raise ConfigError(f"from={file}: no such file; give runs/NAME/cells/ID/config.yaml")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"from={file}: not readable as YAML ({first_line(error)})") from error
    about = content.pop(CELL_BLOCK, None) if isinstance(content, dict) else None
    kinds = {"id": str, "format": int, "values": dict, "links": dict}
    if not isinstance(about, dict) or not all(
        isinstance(about.get(k), t) for k, t in kinds.items()
    ):
        raise ConfigError(
            f"from={file}: not the configuration of a cell of this frerec or a newer one (it has no"
            f" block {CELL_BLOCK}); give runs/NAME/cells/ID/config.yaml"
        )
    if about["format"] != FORMAT:
        age = "a newer" if about["format"] > FORMAT else "an older"
        raise ConfigError(
            f"from={file}: format {about['format']} of {age} frerec ({about.get('frerec')}), this"
            f" one makes format {FORMAT} and other results; install that version to repeat it"
        )
    return content, about


def _check_keys(content: dict[str, Any], fresh: dict[str, Any], file: Path) -> None:
    """Refuse a key that no configuration has, at the top or inside of a config group."""
    for key, node in content.items():
        if key not in fresh:
            raise ConfigError(f"from={file}: {key}: no such key{_nearest(str(key), fresh)}")
        folder = config_directory() / str(key)
        if not folder.is_dir() or not isinstance(node, dict):
            continue
        known = _keys_of_group(folder)
        for inner in node:
            if inner not in known:
                near = _nearest(str(inner), known)
                raise ConfigError(f"from={file}: {key}.{inner}: no such key{near}")


def _check_targets(content: dict[str, Any], file: Path) -> None:
    """Refuse to make anything but what the shipped configurations make: the file may be anyone's.

    That a name begins with ``frerec.`` is not enough: a module of ours may hold another's.
    """
    shipped: set[str] = set()
    for option in config_directory().rglob("*.yaml"):
        shipped |= set(_TARGET.findall(option.read_text(encoding="utf-8")))
    for target in _targets(content):
        if target not in shipped:
            raise ConfigError(
                f"from={file}: _target_: {target}: not one of frerec's configurations; what a saved"
                " cell makes has to be, for another class compose the cell anew"
            )


def _targets(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _targets(inner)


def _name_command(config: DictConfig, file: Path) -> None:
    """Say which program a file of somebody's is about to run."""
    command = config.generator.get("command")
    if command and has_samples(config.arm) and config.samples.path is None:
        line = shlex.join(map(str, command))
        log.warning("from=%s runs a program for its samples: %s", file, line)


def _keys_of_group(folder: Path) -> set[str]:
    """The keys that any option of a group has."""
    known: set[str] = set()
    for option in folder.rglob("*.yaml"):
        known |= set(yaml.safe_load(option.read_text(encoding="utf-8")) or {})
    return known - {"defaults"}


def _nearest(key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _with_defaults(content: dict[str, Any], fresh: dict[str, Any]) -> DictConfig:
    """The saved values; of settings that shape no result also the keys that are new since."""
    whole = {key: content.get(key, default) for key, default in fresh.items()}
    for part in _SETTINGS:
        if isinstance(fresh.get(part), dict) and isinstance(content.get(part), dict):
            whole[part] = {**fresh[part], **content[part]}
    config = OmegaConf.create(whole)
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    return config


def _override(config: DictConfig, fresh: dict[str, Any], allowed: Sequence[str]) -> None:
    for override in allowed:
        key = _key(override)
        try:
            if key == "data.root":
                if "root" not in config.data:
                    raise ConfigError("data.root: the saved cell's data have no folder")
                config.data.root = _value(override)
            elif key.startswith("logger"):
                config.logger = fresh["logger"]  # an option of the group brings all its keys
            else:
                chosen = OmegaConf.select(OmegaConf.create(fresh), key)
                OmegaConf.update(config, key, chosen)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{override}: {first_line(error)}") from error


def _value(override: str) -> Any:
    """What Hydra reads: without quotes, ``null`` as None."""
    return OverridesParser.create().parse_override(quote_override(override)).value()


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]
