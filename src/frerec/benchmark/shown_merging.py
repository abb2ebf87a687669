"""What several calls found for the showcase of one run, put together: no arm loses its numbers."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

FILE = "showcase.json"
PICTURES = ("generator", "sets", "fidelity", "embedding", "pictures")  # of the cell that is shown
OF_ENTRIES = ("arm_fidelity of ", "inference of ", "quality of ")  # how their parts' names begin
_NAMES = ("arm", "method", "calibrates")


def read_before(folder: Path, settings: str) -> Entry:
    """The showcase of an earlier call with equal settings; empty without one, or a damaged one."""
    try:
        found = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("settings") == settings else {}


def merge_entries(before: Sequence[Entry], now: Sequence[Entry]) -> list[Entry]:
    """An entry a treatment: what was measured now, then what an earlier call alone has.

    A treatment that both have is measured anew, and has the arms of both: it is named after the
    arm that calibrates most, as if one call had had them all.
    """
    known = {entry["key"]: entry for entry in before}
    merged = [_both(known[e["key"]], e) if e["key"] in known else e for e in now]
    fresh = {entry["key"] for entry in now}
    return merged + [entry for entry in before if entry["key"] not in fresh]


def merge_quality(before: Sequence[Entry], now: Sequence[Entry]) -> list[Entry]:
    """An entry a set of samples, measured now or, where this call has no such samples, before."""
    fresh = {entry["samples"] for entry in now}
    return [*now, *(entry for entry in before if entry["samples"] not in fresh)]


def merge_missing(
    before: Mapping[str, str], now: Mapping[str, str], tried: Collection[str], *, pictures: bool
) -> dict[str, str]:
    """The parts that are missing now.

    Args:
        before: Part -> why it was missing.
        now: The same of this call.
        tried: The parts of this call.
        pictures: Whether the pictures of before are kept, and so what they lack.
    """
    kept = {
        name: reason
        for name, reason in before.items()
        if name not in tried and (pictures or name.startswith(OF_ENTRIES))
    }
    return kept | dict(now)


def _both(before: Entry, now: Entry) -> Entry:
    extra = {k: v for k, v in now["extra"].items() if before["extra"].get(k) == v}
    arms = list(dict.fromkeys([*before["arms"], *now["arms"]]))
    merged = now | {"arms": arms, "extra": extra}
    if _extent(before) > _extent(now):
        merged |= {name: before[name] for name in _NAMES if name in before}
    return merged


def _extent(entry: Entry) -> tuple[bool, int]:
    parts = entry["calibrates"]
    return "synthetic" in parts, len(parts)
