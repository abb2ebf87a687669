"""A run directory as plain data: read once, checked at the door, never written to."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frerec.errors import DataError
from frerec.report.parsing import number, numbers, read_json, section
from frerec.report.published import DATASETS
from frerec.report.showcase import Showcase, read_showcase

METRICS = ("auc", "accuracy", "f1", "sensitivity", "specificity", "brier")
AXES = ("data", "generator", "arm", "classifier", "seed")
TRAINING = ("steps", "images_seen", "best_step", "train_real", "train_synthetic", "seconds")
EXCLUDED = "excluded_memorised"  # of the training: samples left out, only where that was asked
STATES = ("finished", "failed", "running", "pending")


@dataclass(frozen=True)
class Cell:
    """One cell of the benchmark: data set x generator x arm x classifier x seed.

    `test` has every name of METRICS where the state is "finished", and is empty otherwise;
    `val` and `training` have what the cell recorded. `generator` is "" where the arm has none;
    `extra` are further axes of the grid, such as ("calibrator.ratio", "0.5"). A cell that does
    not depend on such an axis stands there once a value, with the same id.
    """

    id: str
    data: str
    generator: str
    arm: str
    classifier: str
    seed: int
    extra: tuple[tuple[str, str], ...]
    state: str
    seconds: float | None
    error: str
    test: Mapping[str, float]
    val: Mapping[str, float]
    training: Mapping[str, float]

    @property
    def finished(self) -> bool:
        """True where the cell has results."""
        return self.state == "finished"


@dataclass(frozen=True)
class Run:
    """What `frerec benchmark` left in `path`. `published` is a key of the paper's data sets."""

    path: Path
    name: str
    created: str
    command: str
    dataset: str
    modality: str
    published: str | None
    classes: tuple[str, ...]
    image_size: int | None
    counts: Mapping[str, Mapping[str, int]]
    cells: tuple[Cell, ...]
    versions: Mapping[str, str]
    hardware: Mapping[str, str]
    showcase: Showcase | None

    @property
    def finished(self) -> tuple[Cell, ...]:
        """The cells with results, in the order of the plan."""
        return tuple(cell for cell in self.cells if cell.finished)

    def count(self, state: str | None = None) -> int:
        """How many different cells there are, or are in a state."""
        return len({cell.id for cell in self.cells if state in (None, cell.state)})


def read_run(path: Path) -> Run:
    """Read and check a run directory.

    Args:
        path: the folder that `frerec benchmark` wrote (it holds benchmark.json).

    Returns:
        The run; cells that have no status yet are "pending", a run without a showcase has None.

    Raises:
        DataError: in one line, where this is no run directory or a file in it is damaged.
    """
    index = path / "benchmark.json"
    if not index.is_file():
        raise DataError(
            f"{path}: not a run directory (it has no benchmark.json); "
            "give the folder that `frerec benchmark` wrote, such as runs/NAME"
        )
    plan = read_json(index)
    published = plan.get("published")
    if published is not None and published not in DATASETS:
        raise DataError(
            f"{index}: published must be one of {', '.join(DATASETS)} or null; found {published!r}"
        )
    entries = plan.get("cells")
    if not isinstance(entries, list):
        raise DataError(f"{index}: cells must be a list; run the benchmark again to rewrite it")
    command = plan.get("command") or ""
    size = plan.get("image_size")
    return Run(
        path=path,
        name=str(plan.get("name") or path.resolve().name),
        created=str(plan.get("created") or ""),
        command=shlex.join(map(str, command)) if isinstance(command, list) else str(command),
        dataset=str(plan.get("dataset") or ""),
        modality=str(plan.get("modality") or ""),
        published=published,
        classes=tuple(str(name) for name in plan.get("classes") or ()),
        image_size=None if size is None else int(size),
        counts=_counts(section(plan, "counts", index), index),
        cells=_distinct(tuple(_read_cell(path, entry, index) for entry in entries), index),
        versions=_texts(section(plan, "versions", index)),
        hardware=_texts(section(plan, "hardware", index)),
        showcase=read_showcase(path / "showcase"),
    )


def _read_cell(run: Path, entry: Any, index: Path) -> Cell:
    axes = entry.get("axes") if isinstance(entry, dict) else None
    missing = [key for key in ("arm", "classifier", "seed") if key not in (axes or {})]
    if not isinstance(entry, dict) or not isinstance(axes, dict) or missing or "id" not in entry:
        raise DataError(f"{index}: every cell needs an id and axes arm, classifier, seed: {entry}")
    folder = run / "cells" / str(entry["id"])
    status_file = folder / "status.json"
    status = read_json(status_file) if status_file.is_file() else {"state": "pending"}
    state = status.get("state")
    if state not in STATES:
        raise DataError(f"{status_file}: state must be one of {', '.join(STATES)}; found {state!r}")
    try:
        seed = int(axes["seed"])
    except (TypeError, ValueError):
        raise DataError(f"{index}: seed must be an integer; found {axes['seed']!r}") from None
    test, val, training = _metrics(folder) if state == "finished" else ({}, {}, {})
    return Cell(
        id=str(entry["id"]),
        data=str(axes.get("data") or ""),
        generator="" if axes.get("generator") in (None, "none") else str(axes["generator"]),
        arm=str(axes["arm"]),
        classifier=str(axes["classifier"]),
        seed=seed,
        extra=tuple((str(k), str(v)) for k, v in axes.items() if k not in AXES),
        state=state,
        seconds=number(status.get("seconds")),
        error=str(status.get("error") or ""),
        test=test,
        val=val,
        training=training,
    )


def _distinct(cells: tuple[Cell, ...], index: Path) -> tuple[Cell, ...]:
    seen: dict[tuple[object, ...], str] = {}
    for cell in cells:
        axes = (cell.data, cell.generator, cell.arm, cell.classifier, cell.seed, cell.extra)
        if axes in seen:
            raise DataError(
                f"{index}: cells {seen[axes]} and {cell.id} have the same axes; "
                "a mean over seeds would count one of them twice"
            )
        seen[axes] = cell.id
    return cells


def _metrics(
    folder: Path,
) -> tuple[Mapping[str, float], Mapping[str, float], Mapping[str, float]]:
    file = folder / "metrics.json"
    remedy = f"delete {folder} and run the benchmark again, it redoes this cell alone"
    if not file.is_file():
        raise DataError(f"{file}: missing though the cell is finished; {remedy}")
    content = read_json(file)
    test = numbers(section(content, "test", file))
    missing = [name for name in METRICS if name not in test]
    if missing:
        raise DataError(f"{file}: test.{missing[0]} must be a finite number; {remedy}")
    val = numbers(section(content, "val", file))
    return test, val, numbers(section(content, "training", file))


def _texts(content: Mapping[str, object]) -> dict[str, str]:
    return {str(key): str(value) for key, value in content.items() if value is not None}


def _counts(content: Any, index: Path) -> dict[str, dict[str, int]]:
    try:
        return {
            str(part): {str(name): int(n) for name, n in classes.items()}
            for part, classes in content.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise DataError(
            f"{index}: counts must map each split to its classes and their numbers of images"
        ) from None
