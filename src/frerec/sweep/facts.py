"""What a sweep's paths lead to, by content: other samples or weights are another search."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from frerec.benchmark.arms import calibrates, has_samples
from frerec.benchmark.cell import Cell
from frerec.sweep.space import Parameter
from frerec.sweep.trial import Bench, plan_cells

# Groups and places whose values may bring other samples or weights.
CHOOSING = ("arm", "samples", "classifier", "samples.path", "classifier.checkpoint_path")


def facts_of(bench: Bench, cells: Sequence[Cell]) -> dict[str, Any]:
    """Content hashes by name, the same on every machine.

    They are those of the space's first combination, and of every other value of a parameter in
    CHOOSING: what is searched over is the same in every call.

    Args:
        bench: the sweep.
        cells: of the first combination.
    """
    space = bench.settings.space
    facts: dict[str, Any] = {"validation images": bench.validation}
    if not any(p.key.split(".")[0] == "data" for p in space):
        facts["data"] = cells[0].stages.data.fingerprint
    found: dict[str, list[str]] = {}
    for cell in (cells[0], *_others(bench, space)):
        for name, key in _contents(cell):
            if key not in found.setdefault(name, []):
                found[name].append(key)
    return facts | {name: " ".join(keys) for name, keys in found.items()}


def first_combination(space: Sequence[Parameter]) -> dict[str, str]:
    """Key -> override of the first value of each parameter."""
    return {p.key: p.override(p.ends()[0]) for p in space}


def _others(bench: Bench, space: Sequence[Parameter]) -> Iterator[Cell]:
    first = first_combination(space)
    for parameter in space:
        for value in parameter.values[1:] if parameter.key in CHOOSING else ():
            chosen = {**first, parameter.key: parameter.override(value)}
            yield plan_cells(bench, list(chosen.values()))[0]


def _contents(cell: Cell) -> Iterator[tuple[str, str]]:
    arm, stages = cell.config.arm, cell.stages
    if has_samples(arm):
        yield "samples", stages.samples_key
    if calibrates(arm):
        yield "calibrator", stages.calibrator_key
    weights = cell.config.classifier.checkpoint_path
    if weights is not None:
        with Path(weights).open("rb") as file:
            yield "classifier's weights", hashlib.file_digest(file, "sha256").hexdigest()[:16]
