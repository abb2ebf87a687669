"""Writes the report of a run as a whole: a reader sees the old one or the new one."""

import shutil
import uuid
from pathlib import Path

from frerec.errors import DataError
from frerec.report.figures import write_figures
from frerec.report.html import NOTES, render
from frerec.report.run import Run, read_run
from frerec.report.tables import all_tables, results_frame
from frerec.report.tabular import Table, escape, write_csv

_PAGE = "index.html"
# A folder with this file in it is a report of ours, which may be replaced.
_MARK = ".frerec-report"


def write_report(run_dir: Path, output: Path | None = None) -> Path:
    """Write index.html, table.md, a CSV a table, results.csv and figures/ for a run.

    The tables and results are the same bytes for the same run. A run without a finished cell
    or without a showcase is reported as far as it has come.

    Args:
        run_dir: the folder that `frerec benchmark` wrote; it is only read, but for `output`.
        output: the report's folder, default run_dir/report; an older report there is replaced.

    Returns:
        The path of index.html.

    Raises:
        DataError: where run_dir is no run directory, a file in it is damaged, or `output`
            exists and is not a report.
    """
    run = read_run(Path(run_dir))
    target = Path(output) if output is not None else run.path / "report"
    if target.exists() and not _replaceable(target):
        raise DataError(
            f"{target}: exists and is not a report (it has no {_MARK}); "
            "give another folder as output, or move it away"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.parent / f".{target.name}-{uuid.uuid4().hex[:8]}"
    staging.mkdir()
    try:
        _write(run, staging)
        _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target / _PAGE


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / _MARK).is_file() or not any(target.iterdir()))


def _write(run: Run, folder: Path) -> None:
    tables = all_tables(run)
    for table in tables:
        table.write_csv(folder)
    write_csv(results_frame(run), folder / "results.csv")
    (folder / "table.md").write_text(_markdown(run, tables), encoding="utf-8", newline="\n")
    figures = folder / "figures"
    figures.mkdir()
    page = render(run, tables, write_figures(run, figures))
    (folder / _PAGE).write_text(page, encoding="utf-8", newline="\n")
    (folder / _MARK).write_text("frerec report\n", encoding="utf-8")


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
