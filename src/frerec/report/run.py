"""A run directory as plain data: read once, checked at the door, never written to."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frerec.errors import DataError
from frerec.evaluation.predictions import check_same_images
from frerec.report.cells import AXES, EXCLUDED, STATES, TRAINING, Cell, read_cell
from frerec.report.parsing import read_json, section
from frerec.report.published import DATASETS, dataset_of
from frerec.report.showcase import Showcase, read_showcase

__all__ = ["AXES", "EXCLUDED", "STATES", "TRAINING", "Cell", "Run", "check_seeds", "read_run"]


@dataclass(frozen=True, eq=False)
class Run:
    """What `frerec benchmark` left in `path`; or several such, reported as one.

    `published` is a key of the paper's data sets as the run was told; `references` has the key for
    each name of the axis "data" that the paper has. `doubts` says in words what of the plan could
    not be used. `parts` are the runs that were put together, empty for a
    run by itself; such a run has no showcase of its own.
    """

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
    references: Mapping[str, str] = field(default_factory=dict)
    parts: tuple["Run", ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple["Run", ...]:
        """The run directories: its parts, or itself."""
        return self.parts or (self,)

    def showcase_of(self, cells: Iterable[Cell]) -> Showcase | None:
        """The showcase of the run directory that one of the cells lies in."""
        folders = [cell.folder for cell in cells]
        for source in self.sources:
            if any(folder.is_relative_to(source.path / "cells") for folder in folders):
                return source.showcase
        return None

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
        DataError: in one line, where this is no run directory, a file in it is damaged, or the
            seeds of an arm were not tested on the same images.
    """
    index = path / "benchmark.json"
    if not index.is_file():
        raise DataError(
            f"{path}: not a run directory (it has no benchmark.json); "
            "give the folder that `frerec benchmark` wrote, such as runs/NAME"
        )
    plan = read_json(index)
    published = plan.get("published")
    if published is not None and not (isinstance(published, str) and published in DATASETS):
        raise DataError(
            f"{index}: published must be one of {', '.join(DATASETS)} or null; found {published!r}"
        )
    entries = plan.get("cells")
    if not isinstance(entries, list):
        raise DataError(f"{index}: cells must be a list; run the benchmark again to rewrite it")
    command = plan.get("command") or ""
    cells = _distinct(tuple(read_cell(path, entry, index) for entry in entries), index)
    check_seeds(cells)
    return Run(
        path=path,
        name=str(plan.get("name") or path.resolve().name),
        created=str(plan.get("created") or ""),
        command=shlex.join(map(str, command)) if isinstance(command, list) else str(command),
        dataset=str(plan.get("dataset") or ""),
        modality=str(plan.get("modality") or ""),
        published=published,
        classes=_classes(plan.get("classes"), index),
        image_size=_image_size(plan.get("image_size"), index),
        counts=_counts(section(plan, "counts", index), index),
        cells=cells,
        versions=_texts(section(plan, "versions", index)),
        hardware=_texts(section(plan, "hardware", index)),
        showcase=read_showcase(path / "showcase"),
        references=_references(cells, published),
        doubts=_doubts(cells, published),
    )


def _references(cells: tuple[Cell, ...], published: str | None) -> dict[str, str]:
    names = _data_names(cells)
    if len(names) == 1:
        return {} if published is None else {names[0]: published}
    return {name: key for name in names if (key := dataset_of(name)) is not None}


def _doubts(cells: tuple[Cell, ...], published: str | None) -> tuple[str, ...]:
    names = _data_names(cells)
    if published is None or len(names) < 2:
        return ()
    return (
        f"published={published} is not used: it does not say which of {', '.join(names)} it is of. "
        "Run each data set by itself with its own, and report the runs together.",
    )


def _data_names(cells: tuple[Cell, ...]) -> list[str]:
    return list(dict.fromkeys(cell.data for cell in cells))


def check_seeds(cells: Iterable[Cell]) -> None:
    """Refuse an arm whose seeds were not tested on the same images: no figure of it would hold.

    Raises:
        DataError: naming the first two such cells.
    """
    first: dict[tuple[object, ...], Cell] = {}
    for cell in cells:
        if not cell.finished:
            continue
        known = first.setdefault(tuple(cell.axes.items()), cell)
        try:
            check_same_images([known.predictions["test"], cell.predictions["test"]])
        except DataError as error:
            raise DataError(
                f"cells {known.folder} and {cell.folder} are seeds of one arm, but: {error}"
            ) from error


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


def _texts(content: Mapping[str, object]) -> dict[str, str]:
    return {str(key): str(value) for key, value in content.items() if value is not None}


def _classes(content: Any, index: Path) -> tuple[str, ...]:
    if content is not None and not isinstance(content, list):
        raise DataError(
            f"{index}: classes must be a list of names or null; found {content!r}; "
            "run the benchmark again to rewrite it"
        )
    return tuple(str(name) for name in content or ())


def _image_size(content: Any, index: Path) -> int | None:
    if content is not None and (isinstance(content, bool) or not isinstance(content, int)):
        raise DataError(
            f"{index}: image_size must be a whole number of pixels or null; found {content!r}; "
            "run the benchmark again to rewrite it"
        )
    return content


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
