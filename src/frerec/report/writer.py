"""Writes the report of a run as a whole: a reader sees the old one or the new one."""

import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock

from frerec.errors import ConfigError, DataError
from frerec.report.figures import FORMATS, write_figures
from frerec.report.html import NOTES, render
from frerec.report.latex import latex
from frerec.report.machine import tables_json
from frerec.report.merging import read_runs
from frerec.report.results import results_frame
from frerec.report.run import Run
from frerec.report.tables import all_tables
from frerec.report.tabular import Table, escape, write_csv

_PAGE = "index.html"
# What a run keeps in folders of its own: no report may lie there.
_OF_A_RUN = ("cells", "showcase", "sweep")
_INDICES = ("benchmark.json", "sweep.json")
# A folder with this file in it is a report of ours, which may be replaced.
_MARK = ".frerec-report"


def write_report(
    run_dir: Path | Sequence[Path],
    output: Path | None = None,
    figures: Sequence[str] = FORMATS,
) -> Path:
    """Write the report of a run, or of several as one.

    index.html; table.md; each table as KEY.csv and latex/KEY.tex; all of them as tables.json;
    results.csv, a row a cell; figures/. The tables and results are the same bytes for the same
    run. A run without a finished cell or without a showcase is reported as far as it has come.

    Args:
        run_dir: the folder that `frerec benchmark` wrote, or several; only read, but for `output`.
        output: the report's folder, default run_dir/report; an older report there is replaced.
        figures: formats of the figures; none are drawn without one.

    Returns:
        The path of index.html.

    Raises:
        DataError: where run_dir is no run directory, a file in it is damaged, several do not go
            together, or `output` exists and is not a report, lies in a folder that a run keeps, or
            cannot be written. Nothing is made then.
        ConfigError: for several runs without `output`.
    """
    paths = [Path(run_dir)] if isinstance(run_dir, str | Path) else [Path(each) for each in run_dir]
    if len(paths) > 1 and output is None:
        raise ConfigError("output is missing: give output=FOLDER for a report of several runs")
    target = Path(output) if output is not None else paths[0] / "report"
    check_place(target)
    read_runs(paths)  # what is refused leaves nothing behind, no lock either
    with report_lock(target):  # read within it: of two writers, the last one has seen the most
        run = read_runs(paths)
        with replaced_report(target) as staging:
            _write(run, staging, target, figures)
    return target / _PAGE


def report_lock(target: Path) -> BaseFileLock:
    """Holds the report in `target`: one process writes it, or reads what has to go together.

    Whoever holds it may take it again.

    Raises:
        DataError: where no file can be made beside `target`; a lock there would be waited for
            without end.
    """
    folder = target.parent.resolve()
    probe = folder / f".{target.name}-{uuid.uuid4().hex[:8]}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise DataError(
            f"{target}: {folder} cannot be written ({error.strerror or error}); "
            "give another folder as output"
        ) from error
    return FileLock(folder / f"{target.name}.lock", is_singleton=True)


def check_place(target: Path) -> None:
    """Refuse a place that is somebody else's, before anything is made there.

    Raises:
        DataError: where `target` exists and is not a report, or is or lies in a folder that a run
            keeps.
    """
    if target.exists() and not _replaceable(target):
        raise DataError(
            f"{target}: exists and is not a report (it has no {_MARK}); "
            "give another folder as output, or move it away"
        )
    place = target.resolve()
    for folder in (place, *place.parents):
        if folder.name in _OF_A_RUN and any((folder.parent / i).is_file() for i in _INDICES):
            raise DataError(
                f"{target}: lies in {folder}, which the run keeps for itself; "
                "give another folder as output"
            )


@contextmanager
def replaced_report(target: Path) -> Iterator[Path]:
    """An empty folder that becomes the report in `target`, as a whole, where the body succeeds.

    What a killed writer left beside it is removed, the old report put back if it was on its way.

    Raises:
        DataError: where `target` is no place for a report, see `check_place`, or no file can be
            made beside it.
    """
    check_place(target)
    with report_lock(target):
        _clear(target)
        check_place(target)  # again: it may have been made meanwhile
        staging = target.parent / f".{target.name}-{uuid.uuid4().hex[:8]}"
        staging.mkdir()
        try:
            yield staging
            _write_text(staging / _MARK, "frerec report\n")
            _swap(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _clear(target: Path) -> None:
    """Remove what a kill left: half a report, or an old one whose place is taken again."""
    mine = re.compile(rf"\.{re.escape(target.name)}-[0-9a-f]{{8}}(-old)?")
    for left in sorted(target.parent.iterdir()):
        if not mine.fullmatch(left.name) or not left.is_dir() or left.is_symlink():
            continue
        if left.name.endswith("-old") and not target.exists():
            left.rename(target)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / _MARK).is_file() or not any(target.iterdir()))


def _write(run: Run, folder: Path, target: Path, formats: Sequence[str]) -> None:
    """Write everything into `folder`, as it will lie in `target`."""
    tables = all_tables(run)
    (folder / "latex").mkdir()
    for table in tables:
        table.write_csv(folder)
        _write_text(folder / "latex" / f"{table.key}.tex", latex(table))
    _write_text(folder / "tables.json", tables_json(run, tables))
    write_csv(results_frame(run), folder / "results.csv")
    _write_text(folder / "table.md", _markdown(run, tables))
    figures = folder / "figures"
    figures.mkdir()
    page = render(run, tables, write_figures(run, figures, formats), target)
    _write_text(folder / _PAGE, page)


def _write_text(file: Path, text: str) -> None:
    """The same bytes on every system."""
    file.write_text(text, encoding="utf-8", newline="\n")


def _markdown(run: Run, tables: list[Table]) -> str:
    state = f"{run.count('finished')} of {run.count()} cells finished."
    notes = "\n".join(f"- {escape(note)}" for note in NOTES)
    parts = [f"# {escape(run.name)}\n", f"{state}\n", *(table.markdown() for table in tables)]
    return "\n".join([*parts, f"## How to read it\n\n{notes}\n"])


def _swap(staging: Path, target: Path) -> None:
    """Put the new report in the place of the old one, which returns if that fails."""
    old = staging.with_name(staging.name + "-old")
    if target.exists():
        target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
