"""What sources share: names of splits, and what is said where a layout is not the published one."""

import logging
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from frerec.data.tree import IMAGE_SUFFIXES, Tree, entries
from frerec.errors import ConfigError, DataError

_log = logging.getLogger(__name__)

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


def locate_if_any(tree: Tree, filename: str, expected: str, url: str) -> str | None:
    """As `locate`, but None where there is no file that is called so."""
    there = filename in tree or any(
        posixpath.basename(name) == filename for name in tree.files(suffixes=None)
    )
    return locate(tree, filename, expected, url) if there else None


def published(table: str, *folders: str) -> tuple[str, ...]:
    """Patterns for `by_filename`: folders beside a table, or else at the top."""
    above = posixpath.dirname(table)
    beside = [re.escape(f"{above}/") + folder for folder in folders] if above else []
    return (*beside, *folders)


def by_filename(
    tree: Tree,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    *,
    folder: str = "",
    key: Callable[[str], str] = posixpath.basename,
    wanted: Collection[str] | None = None,
    prefer: Sequence[str] = (),
) -> dict[str, str]:
    """Full names by base name, for images that are spread over folders.

    Where images are there twice, such as the published ones and resized copies, all are taken from
    one of the preferred places, never some from here and some from there. [ours]

    Args:
        tree: where the images lie.
        suffixes: of the files that count.
        folder: the one below which they are looked for.
        key: what a full name is known by.
        wanted: the keys that matter; None for all.
        prefer: patterns of whole folders, best first; the first one in which an image lies that is
            there twice becomes the only place of all.

    Raises:
        DataError: an image is there twice, in none of these places or in one of them.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for name in tree.files(folder, suffixes):
        found[key(name)].append(name)
    if wanted is not None:
        found = {each: found[each] for each in wanted if each in found}
    twice = [names for names in found.values() if len(names) > 1]
    for pattern in prefer if twice else ():
        place = re.compile(pattern, re.IGNORECASE)
        first = next((n for names in twice for n in names if _lies_in(place, n)), None)
        if first is not None:
            _log.warning(
                "data.root=%s: %d images are there twice or more; only those in folders such as %s "
                "are read",
                tree.name,
                len(twice),
                posixpath.dirname(first) or "the top one",
            )
            inside = {k: [n for n in names if _lies_in(place, n)] for k, names in found.items()}
            found = {k: names for k, names in inside.items() if names}
            break
    for names in found.values():
        if len(names) > 1:
            raise DataError(
                f"data.root={tree.name}: an image is there twice, {names[0]} and {names[1]}; give "
                f"the folder that holds the one you mean, or take the other away"
            )
    return {k: names[0] for k, names in found.items()}


def _lies_in(place: re.Pattern[str], name: str) -> bool:
    return place.fullmatch(posixpath.dirname(name)) is not None


def one_of(key: str, value: object, choices: Sequence[object] | Mapping[str, object]) -> None:
    """Raise ConfigError where a setting is not one of its choices."""
    if value not in choices:
        expected = ", ".join(str(choice) for choice in choices)
        raise ConfigError(f"data.{key}={value}: expected one of {expected}")
