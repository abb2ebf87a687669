"""What a tracker is not told: where things lie on the user's machine, and who the patients are."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pandas as pd

HIDDEN = "(path)"
# Keys whose values say where things lie on the user's machine, or how to get at a server.
PRIVATE = (
    "paths",
    "root",
    "path",
    "labels",
    "manifest",
    "cache_dir",
    "directory",
    "folder",
    "checkpoint_path",
    "checkpoint",
    "weights",
    "command",
    "cwd",
    "out",
    "output",
    "input",
    "model",
    "run",
    "from",
    "storage",
    "staging",
    "address",
    "tracking_uri",
)
# Columns of tables that name files or patients (an error names its file), how the names of others
# begin that do, and those of the report's tables that begin so and are numbers over all patients.
PRIVATE_COLUMNS = ("image", "file", "path", "folder", "group", "patient", "hash", "link", "error")
_PERSONAL = ("patient", "subject", "group")
_STATISTICS = ("patients_low", "patients_high")
# The name of an experiment, as paper/cpu/cardiomegaly: an option of the configurations.
_EXPERIMENT = re.compile(r"[a-z]\w*(/[a-z]\w*)*")
# One of these keys within a value, as in grid={samples.path:[a,b]}.
_PRIVATE_INSIDE = re.compile(rf"(?<!\w)({'|'.join(PRIVATE)})['\"]?\s*:")
# Where a path begins in a text: the root, a home, a drive, a share, or a folder relative to here.
_PATH = re.compile(
    r"(?<![\w.)\]}/])/[\w.]"  # /home, --data=/home; not 1/2, not https://
    r"|file:/"
    r"|(?<!\w)~[\w./\\]"
    r"|(?<!\w)[A-Za-z]:[\\/](?!/)"
    r"|\\\\\w"
    r"|(?<![\w.])\.{1,2}[\\/]"
)


def without_paths(config: Any) -> Any:
    """The configuration without what says where things lie on the user's machine."""
    if isinstance(config, Mapping):
        return {k: without_paths(v) for k, v in config.items() if not is_private(k)}
    if isinstance(config, list | tuple):
        return [without_paths(value) for value in config]
    if isinstance(config, PurePath) or (isinstance(config, str) and names_a_path(config)):
        return HIDDEN
    return config


def public_axes(axes: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's axes: every one stays, and one that is a place says so in place of its value."""
    return {k: HIDDEN if is_private(k) else without_paths(v) for k, v in axes.items()}


def public_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table without columns that name files or patients, and without paths in its texts."""
    kept = [column for column in table.columns if not is_private_column(column)]
    return table[kept].map(without_paths)


def is_private_column(column: Any) -> bool:
    """Whether a table's column, dotted or not, names files, places or patients."""
    last = str(column).lower().rpartition(".")[2]
    if last in _STATISTICS:
        return False
    return last in PRIVATE_COLUMNS or is_private(last) or last.startswith(_PERSONAL)


def public_command(verb: str, overrides: Sequence[str]) -> str:
    """The command line as people may share it: DIR where a place on this machine stood."""
    return shlex.join(["frerec", verb, *map(public_override, overrides)])


def public_override(override: str) -> str:
    """An override ``key=value``, the value DIR where it is a place or names one.

    Any slash counts: a relative path looks like the name of a model on a hub. Only an experiment is
    named like that, paper/cpu/cardiomegaly, and lies in the configurations.
    """
    key, equals, value = override.partition("=")
    if not equals:
        return HIDDEN if names_a_path(override) else override
    if key == "experiment" and _EXPERIMENT.fullmatch(value):
        return override
    place = is_private(key.lstrip("+~").partition("@")[0]) or names_a_path(value)
    place = place or "/" in value or "\\" in value or _PRIVATE_INSIDE.search(value) is not None
    return f"{key}=DIR" if place else override


def is_private(key: Any) -> bool:
    """Whether a key holds a place; of a dotted one, whether it or what it lies in does."""
    return any(part in PRIVATE for part in str(key).split("."))


def names_a_path(text: str) -> bool:
    """Whether there is a path of this machine in a text; rather too often than once too rarely."""
    if text.startswith("~") or _PATH.search(text) is not None:
        return True
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
