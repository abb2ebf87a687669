"""From the names or numbers of a set of samples to the real data's classes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from frerec.errors import ConfigError, DataError

_SHOWN = 12


def map_labels(
    labels: Sequence[str],
    label_map: Mapping[Any, Any],
    classes: Sequence[str],
    name: str,
    *,
    key: str = "samples.label_map",
) -> list[str | None]:
    """The real data's class of each label, None for those that are left out.

    Args:
        labels: The samples' own.
        label_map: From their names to the real ones, or to None; keys may be numbers.
        classes: The real data's, in order.
        name: The set, as messages write it.
        key: Of ``label_map``, for messages.

    Raises:
        DataError: If a label is neither a real class nor mapped; says what to pass.
        ConfigError: If the map leads to no real class, or from no label.
    """
    found = set(labels)
    chosen: dict[str, str | None] = {}
    for theirs, target in label_map.items():
        label = _text(theirs, found)
        if target is not None and _text(target, set(classes)) not in classes:
            raise ConfigError(
                f"{key}: maps {label} to {target}, which is none of the real classes"
                f" {', '.join(classes)}"
            )
        if label not in found:
            raise ConfigError(
                f"{key}: {label} is no class of the samples in {name}, which has {_listed(found)}"
            )
        chosen[label] = None if target is None else _text(target, set(classes))
    unknown = sorted(found - set(chosen) - set(classes), key=_natural)
    if unknown:
        proposed = propose(unknown, [c for c in classes if c not in found], classes)
        given = {label: str(target or "null") for label, target in chosen.items()}
        shown = list((given | proposed).items())[:_SHOWN]
        pairs = ", ".join(f"{_key(a)}: {_value(b)}" for a, b in shown)
        more = ", ..." if len(given | proposed) > _SHOWN else ""
        raise DataError(
            f"{name}: the samples have the class {_listed(unknown)}, the real data only"
            f" {', '.join(classes)}; say which is which, for example {key}="
            f"{{{pairs}{more}}}, with null for those to leave out"
        )
    return [chosen.get(label, label) for label in labels]


def propose(unknown: Sequence[str], free: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """A guess at the real class of each unknown label, for a message.

    The class of nearly the same name, else the class at a number's position, else a free one.
    """
    plain = {_letters(name): name for name in classes}
    numbers = [int(label) for label in unknown if label.isdecimal()]
    start = 0
    if numbers and max(numbers) >= len(classes) and len(numbers) == len(classes):
        start = min(numbers)  # they count from 1
    left = list(free) or list(classes)
    proposed: dict[str, str] = {}
    for label in unknown:
        target = plain.get(_letters(label))
        if target is None and label.isdecimal() and 0 <= int(label) - start < len(classes):
            target = classes[int(label) - start]
        target = target or next((c for c in left if c not in proposed.values()), left[0])
        proposed[label] = target
    return proposed


def _text(key: Any, known: set[str]) -> str:
    """A key of the map as a label; the command line makes values of ``true`` and ``null``."""
    text = "null" if key is None else str(key)
    if isinstance(key, bool) and text not in known:
        text = text.lower()
    return text


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _natural(label: str) -> tuple[bool, int, str]:
    return (not label.isdecimal(), int(label) if label.isdecimal() else 0, label)


def _listed(labels: set[str] | Sequence[str]) -> str:
    shown = sorted(labels, key=_natural)
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")


def _key(text: str) -> str:
    """As the command line takes a key, which may not be quoted."""
    return re.sub(r"([\\()\[\]{}:=, \t])", r"\\\1", text)


def _value(text: str) -> str:
    """As the command line takes a value."""
    return (
        text if re.fullmatch(r"[A-Za-z0-9_.\-/]+", text) else "'" + text.replace("'", "\\'") + "'"
    )
