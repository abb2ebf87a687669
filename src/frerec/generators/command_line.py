"""The arguments of a user's program: a list, no shell line, with known placeholders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from frerec.errors import ConfigError

PLACEHOLDERS = ("out", "seed", "size", "channels", "counts", "total")
EXAMPLE = """'generator.command=[python, sample.py, --out, "{out}", --counts, "{counts}"]'"""
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def checked_arguments(command: Any) -> list[str]:
    """The arguments as texts; numbers may be given as such.

    Raises:
        ConfigError: If they are no list, empty, hold other values or an unknown placeholder, or if
            none holds ``{out}``.
    """
    if isinstance(command, str | bytes) or not isinstance(command, Sequence):
        raise ConfigError(
            f"generator.command: expected a list of arguments, which no shell sees, as {EXAMPLE}"
        )
    if len(command) == 0:
        raise ConfigError(f"generator.command is empty: give a list of arguments, as {EXAMPLE}")
    for argument in command:
        if not (isinstance(argument, str) or is_number(argument)):
            raise ConfigError(
                f"generator.command: the argument {argument} is no text; put it in quotes, as"
                f" {EXAMPLE}"
            )
    arguments = [str(argument) for argument in command]
    used = {name for argument in arguments for name in _PLACEHOLDER.findall(argument)}
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for name in sorted(used.difference(PLACEHOLDERS)):
        raise ConfigError(f"generator.command: {{{name}}} is no placeholder; known are {known}")
    if "out" not in used:
        raise ConfigError(
            "generator.command: no argument holds {out}, the folder to fill; give one, as"
            f" {EXAMPLE}"
        )
    return arguments


def filled(arguments: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Arguments with their placeholders replaced, once: what a value holds stays as it is."""
    return [_PLACEHOLDER.sub(lambda m: str(values[m[1]]), argument) for argument in arguments]


def is_number(value: Any) -> bool:
    """Whether a value is an integer or a float; true and false are neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def below_output(key: str, path: str) -> str:
    """The path, which must be relative and cannot lead out of the program's folder.

    Raises:
        ConfigError: If it is another; names ``generator.KEY``.
    """
    parts = PurePosixPath(path.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or ":" in parts.parts[0][:2]:
        raise ConfigError(f"generator.{key}={path}: expected a path below {{out}}, as samples.npz")
    return path


def by_content(argument: str, base: Path) -> str:
    """An argument, with the SHA-256 of the file that it names, or that follows its first ``=``."""
    option, equals, value = argument.partition("=")
    for prefix, name in (("", argument), (option + equals, value)):
        digest = _digest_of(base, name)
        if digest is not None:
            return f"{prefix}sha256:{digest}"
    return argument


def _digest_of(base: Path, name: str) -> str | None:
    """SHA-256 of a file that an argument names, or None."""
    if not name or "\0" in name:
        return None
    try:
        path = base / name
        if not path.is_file():
            return None
        facts = path.stat()
        return _digest(path, facts.st_size, facts.st_mtime_ns)
    except OSError:  # too long for a name, or not to be read
        return None


@lru_cache(maxsize=64)
def _digest(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
