"""The cells of a run on the page: a table of all of them, their settings and their logs."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import yaml

from frerec.errors import DataError
from frerec.report.blocks import axis_titles
from frerec.report.run import Cell, Run
from frerec.report.tabular import EMPTY, Row, Table, fixed, thousands

FILES = ("config.yaml", "log.jsonl", "metrics.json", "environment.json", "error.txt")
LOG_LINES = 12
TEXT_LIMIT = 20_000  # characters of one cell's settings or log, and of the common settings
TOTAL_LIMIT = 2_000_000  # characters of all of them: the page must stay quick to open
# A link says how the folders between page and cell are called: no more than "runs/NAME".
_NAMES_SHOWN = 2
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class CellRecord:
    """A cell's settings that are not common to all, and its log's last lines, as text."""

    cell: Cell
    title: str
    anchor: str
    links: tuple[tuple[str, str], ...]
    settings: str
    log: str


@dataclass(frozen=True)
class Records:
    """`common` are the settings that all cells share; `left_out` cells have only links."""

    common: str
    cells: tuple[CellRecord, ...]
    left_out: int


def distinct_cells(run: Run) -> list[Cell]:
    """Every cell once; one that does not depend on an axis stands in the run once a value."""
    return list({cell.folder: cell for cell in reversed(run.cells)}.values())[::-1]


def cells_table(run: Run) -> Table:
    """All cells, in any state: axes, state, AUC and time, in the order of `distinct_cells`."""
    cells = distinct_cells(run)
    axes = _axes(run)
    records: list[dict[str, Any]] = []
    for cell in cells:
        values: dict[str, Any] = {"id": cell.id} | {
            name: texts[cell.folder] for name, texts in axes.items()
        }
        values |= {"state": cell.state, "test_auc": cell.test.get("auc")}
        values |= {"val_auc": cell.val.get("auc"), "seconds": cell.seconds}
        records.append(values)
    titles = {"data": "Data set", "generator": "Generator", "arm": "Arm"}
    titles |= {"classifier": "Classifier", "seed": "Seed"}
    words = [i for i, name in enumerate(axes, start=1) if name in titles and name != "seed"]
    return Table(
        key="cells",
        title="Cells",
        caption="Every cell of the run: one training of one classifier.",
        group_title="",
        columns=(
            "Cell",
            *(titles.get(name, name) for name in axes),
            "State",
            "Test AUC",
            "Validation AUC",
            "Seconds",
        ),
        rows=tuple(
            Row(
                "",
                (
                    cell.id,
                    *(values[name] or EMPTY for name in axes),
                    cell.state,
                    fixed(values["test_auc"]),
                    fixed(values["val_auc"]),
                    thousands(cell.seconds),
                ),
            )
            for cell, values in zip(cells, records, strict=True)
        ),
        frame=pd.DataFrame(records),
        wordy=(0, *words, len(axes) + 1),
        section="cells",
    )


def _axes(run: Run) -> dict[str, dict[Path, str]]:
    """Axis -> cell's folder -> value; data set and generator only where there are several."""
    found: dict[str, dict[Path, dict[str, None]]] = {}
    for cell in run.cells:
        own = {"data": cell.data, "arm": cell.arm, "generator": cell.generator}
        own |= {"classifier": cell.classifier, "seed": str(cell.seed), **dict(cell.extra)}
        for axis, value in own.items():
            found.setdefault(axis, {}).setdefault(cell.folder, {})[value] = None
    texts = {
        axis: {cell.folder: ", ".join(by_cell.get(cell.folder, {})) for cell in run.cells}
        for axis, by_cell in found.items()
    }
    several = {axis for axis in texts if len(set(texts[axis].values()) - {""}) > 1}
    return {a: texts[a] for a in texts if a not in ("data", "generator") or a in several}


def cell_records(run: Run, folder: Path) -> Records:
    """Settings, logs and links of every cell.

    Args:
        run: the run.
        folder: where the page will lie; links are relative to it.

    Raises:
        DataError: where a cell's config.yaml is no YAML mapping.
    """
    cells = distinct_cells(run)
    settings = [_settings(cell) for cell in cells]
    common = _common([found for found in settings if found])
    records, used, left_out = [], 0, 0
    for i, cell in enumerate(cells):
        own = {key: v for key, v in settings[i].items() if key not in common}
        text = _cut("\n".join(f"{'.'.join(key)}: {_plain(v)}" for key, v in own.items()))
        log = _cut(_log(cell))
        size = len(text) + len(log)
        if used + size > TOTAL_LIMIT:
            text, log, size, left_out = "", "", 0, left_out + 1
        used += size
        axes = [cell.data, cell.generator, cell.arm, cell.classifier, f"seed {cell.seed}"]
        axes += axis_titles(cell.extra)
        title = ", ".join(filter(None, axes))
        records.append(CellRecord(cell, title, f"cell-{i}", links_of(cell, folder), text, log))
    shown = yaml.safe_dump(_nested(common), sort_keys=False, allow_unicode=True) if common else ""
    return Records(_cut(shown), tuple(records), left_out)


def links_of(cell: Cell, folder: Path) -> tuple[tuple[str, str], ...]:
    """Name and relative address of those FILES of a cell that are there.

    None where the page lies so far from the run that a link would tell more of the machine's
    folders than the names of the run and of the folder that it is in.
    """
    if cell.folder.name != cell.id:
        return ()  # an id that leads elsewhere
    try:
        way = Path(os.path.relpath(cell.folder.resolve(), folder.resolve()))
    except ValueError:
        return ()  # another drive
    names = [part for part in way.parts if part != os.pardir]
    if len(names) > _NAMES_SHOWN + len(("cells", cell.id)):
        return ()
    return tuple((name, quote((way / name).as_posix())) for name in FILES if _there(cell, name))


def _there(cell: Cell, name: str) -> bool:
    file = cell.folder / name
    return cell.folder.name == cell.id and file.is_file() and not file.is_symlink()


def _settings(cell: Cell) -> dict[tuple[str, ...], Any]:
    """Path of a key -> value, without what says where things lie on the machine."""
    from frerec.tracking.private import without_paths  # Lightning's loggers take a second to load

    if not _there(cell, FILES[0]):
        return {}
    file = cell.folder / FILES[0]
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{file}: not readable as YAML ({reason}); delete {file.parent}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: must hold a mapping; delete {file.parent} and run it again")
    return dict(_flat(without_paths(content)))


def _flat(
    content: Mapping[Any, Any], lead: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, (*lead, str(key)))
        else:
            yield (*lead, str(key)), value


def _common(settings: Sequence[Mapping[tuple[str, ...], Any]]) -> dict[tuple[str, ...], Any]:
    """What every cell has with the same value."""
    if not settings:
        return {}
    first, *others = settings
    missing = object()
    return {
        key: value
        for key, value in first.items()
        if all(_plain(other.get(key, missing)) == _plain(value) for other in others)
    }


def _nested(settings: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (*lead, last), value in settings.items():
        place = found
        for key in lead:
            place = place.setdefault(key, {})
        place[last] = value
    return found


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _log(cell: Cell) -> str:
    """The last lines of the log, a line a record; what a kill cut off is left out."""
    from frerec.tracking.private import without_paths

    if not _there(cell, FILES[1]):
        return ""
    with (cell.folder / FILES[1]).open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TEXT_LIMIT))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    found = []
    for line in lines[-LOG_LINES - 1 :]:
        try:
            record = without_paths(json.loads(line))
        except ValueError:
            continue
        if isinstance(record, dict):
            found.append("  ".join(f"{k} {_short(v)}" for k, v in record.items() if k != "time"))
    return "\n".join(found[-LOG_LINES:])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "\n… (the file has the rest)"
