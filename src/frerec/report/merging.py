"""Several run directories read as one, so that a table may cover several data sets."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from frerec.errors import DataError
from frerec.evaluation.predictions import check_same_images
from frerec.report.run import Cell, Run, check_seeds, read_run


def read_runs(paths: Sequence[Path]) -> Run:
    """Read one run directory, or several to be reported as one.

    A cell that several runs have (the same id) counts once, the finished one first.

    Args:
        paths: folders that `frerec benchmark` wrote, at least one, each once.

    Returns:
        The run; of several, `parts` has each.

    Raises:
        DataError: where a folder is given twice, is no run directory or damaged; where two cells
            have the same axes and are not the same; or where a data set is not the same in two.
    """
    resolved = [path.resolve() for path in paths]
    twice = [path for i, path in enumerate(resolved) if path in resolved[:i]]
    if twice:
        raise DataError(f"{twice[0]}: given twice; give each run once")
    runs = [read_run(path) for path in paths]
    return runs[0] if len(runs) == 1 else _merged(runs)


def _merged(runs: Sequence[Run]) -> Run:
    _check_data(runs)
    cells = _cells(runs)
    check_seeds(cells)
    references: dict[str, str] = {}
    for run in runs:
        references |= run.references
    of_all = {run.published for run in runs}
    classes, sizes = {run.classes for run in runs}, {run.image_size for run in runs}
    return Run(
        path=runs[0].path,
        name=_joined(run.name for run in runs),
        created=_joined(run.created for run in runs),
        command="\n".join(dict.fromkeys(run.command for run in runs if run.command)),
        dataset=_joined(run.dataset for run in runs),
        modality=_joined(run.modality for run in runs),
        published=runs[0].published if len(of_all) == 1 else None,
        classes=runs[0].classes if len(classes) == 1 else (),
        image_size=runs[0].image_size if len(sizes) == 1 else None,
        counts={
            f"{run.name}: {split}": classes for run in runs for split, classes in run.counts.items()
        },
        cells=cells,
        versions=_texts(run.versions for run in runs),
        hardware=_texts(run.hardware for run in runs),
        showcase=None,
        references=references,
        parts=tuple(runs),
        doubts=tuple(f"{run.name}: {doubt}" for run in runs for doubt in run.doubts),
    )


def _check_data(runs: Sequence[Run]) -> None:
    """A data set of the same name must be the same, or its cells cannot stand together."""
    facts: dict[tuple[str, str], tuple[object, Run]] = {}
    tested: dict[tuple[object, ...], tuple[Cell, Run]] = {}
    for run in runs:
        for name in dict.fromkeys(cell.data for cell in run.cells):
            for what, found in _facts(run, name).items():
                before, other = facts.setdefault((name, what), (found, run))
                if found != before:
                    raise DataError(
                        f"{other.path} and {run.path}: both have data {name}, but {what} {before} "
                        f"and {found}; report them apart"
                    )
        for cell in run.finished:
            # A further axis may cut the data set in another way.
            known, other = tested.setdefault((cell.data, cell.extra), (cell, run))
            if other is run:
                continue
            try:
                check_same_images([known.predictions["test"], cell.predictions["test"]])
            except DataError as error:
                raise DataError(
                    f"{other.path} and {run.path}: both have data {cell.data}, but cells "
                    f"{known.id} and {cell.id} were not tested alike: {error}"
                ) from error


def _facts(run: Run, name: str) -> dict[str, object]:
    """What a run says of a data set: of several, a plan has classes and size of the first alone."""
    found: dict[str, object] = {"published": run.references.get(name)}
    if name == run.dataset or len({cell.data for cell in run.cells}) == 1:
        found |= {"classes": run.classes, "image_size": run.image_size}
    return found


def _cells(runs: Sequence[Run]) -> tuple[Cell, ...]:
    found: dict[tuple[object, ...], tuple[Cell, Run]] = {}
    for run in runs:
        for cell in run.cells:
            key = (*cell.axes.items(), cell.seed)
            known = found.get(key)
            if known is None:
                found[key] = cell, run
            elif known[0].id != cell.id:
                raise DataError(
                    f"{known[1].path} and {run.path}: cells {known[0].id} and {cell.id} have the "
                    f"same axes ({cell.data}, {cell.arm}, {cell.classifier}, seed {cell.seed}) but "
                    "other settings; report them apart, or make the difference an axis of the grid"
                )
            elif cell.finished and not known[0].finished:
                found[key] = cell, run
    return tuple(cell for cell, _ in found.values())


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, texts)))


def _texts(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Each key with its different values."""
    found: dict[str, list[str]] = {}
    for part in parts:
        for key, value in part.items():
            if value not in found.setdefault(key, []):
                found[key].append(value)
    return {key: " and ".join(values) for key, values in found.items()}
