"""What sources share: names of splits, and what is said where a layout is not the published one."""

from collections.abc import Mapping, Sequence

from frerec.data.tree import IMAGE_SUFFIXES, Tree, entries
from frerec.errors import ConfigError, DataError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of splits as data sets write them (any case), and ours."""


def unexpected(tree: Tree, absent: str, expected: str, url: str) -> DataError:
    """The error for a data set that does not lie as it was published."""
    return DataError(
        f"data.root={tree.name}: no {absent}; expected {expected}, found {entries(tree)}; get the "
        f"set from {url}"
    )


def require_some(tree: Tree, names: Sequence[str], expected: str, url: str) -> None:
    """Raise `unexpected` where not one of these files is there."""
    if names and not any(name in tree for name in names):
        raise unexpected(tree, f"{names[0]} (nor any other listed image)", expected, url)


def locate(tree: Tree, filename: str, expected: str, url: str) -> str:
    """The name of the one file that is called so, at the top or else anywhere below.

    Raises:
        DataError: there is none, or there are several and none at the top.
    """
    if filename in tree:
        return filename
    found = [n for n in tree.files(suffixes=None) if n.rpartition("/")[2] == filename]
    if not found:
        raise unexpected(tree, filename, expected, url)
    if len(found) > 1:
        raise DataError(
            f"data.root={tree.name}: {len(found)} files {filename}, {found[0]} and {found[1]}; "
            f"give the folder that holds the one you mean"
        )
    return found[0]


def by_filename(tree: Tree, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> dict[str, str]:
    """Full names by base name, for images that are spread over folders; the first of a name."""
    found: dict[str, str] = {}
    for name in tree.files(suffixes=suffixes):
        found.setdefault(name.rpartition("/")[2], name)
    return found


def one_of(key: str, value: object, choices: Sequence[object] | Mapping[str, object]) -> None:
    """Raise ConfigError where a setting is not one of its choices."""
    if value not in choices:
        expected = ", ".join(str(choice) for choice in choices)
        raise ConfigError(f"data.{key}={value}: expected one of {expected}")
