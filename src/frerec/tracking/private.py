"""What a tracker is not told: where things lie on the user's machine, and who the patients are."""

import re
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
    "from",
    "storage",
    "tracking_uri",
)
# Columns of tables that name files or patients.
PRIVATE_COLUMNS = ("image", "file", "path", "folder", "group", "patient", "hash", "link")
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
    kept = [column for column in table.columns if str(column).lower() not in PRIVATE_COLUMNS]
    return table[kept].map(without_paths)


def public_command(verb: str, overrides: Sequence[str]) -> str:
    """The command line as people may share it: DIR where a path of this machine stood."""
    return " ".join([f"frerec {verb}", *map(_without_path, overrides)])


def _without_path(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}=DIR" if "/" in value or "\\" in value else override


def is_private(key: Any) -> bool:
    """Whether a key, dotted or not, holds a place."""
    return str(key).rpartition(".")[2] in PRIVATE


def names_a_path(text: str) -> bool:
    """Whether there is a path of this machine in a text; rather too often than once too rarely."""
    if text.startswith("~") or _PATH.search(text) is not None:
        return True
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
