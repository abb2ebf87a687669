"""``frerec report``: tables and figures of a run, or of several as one; or of a sweep."""

from collections.abc import Sequence
from pathlib import Path

from frerec.config import compose_config, require
from frerec.errors import ConfigError
from frerec.report import write_report
from frerec.report.figures import check_formats
from frerec.report.sweep_page import write_sweep_report
from frerec.report.sweep_run import is_sweep
from frerec.report.writer import report_lock

_RUN = "run="


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Write the report of existing runs and print where it is."""
    given = [override for override in overrides if override.startswith(_RUN)]
    others = [override for override in overrides if not override.startswith(_RUN)]
    # Each is composed by itself: a list in Hydra's grammar would stumble over signs in a path.
    configs = [compose_config(config_name, [*others, each]) for each in given or [f"{_RUN}???"]]
    runs = [Path(require(config, "run", "the folder of a run, as runs/demo")) for config in configs]
    output = Path(configs[0].output) if configs[0].output else None
    figures = check_formats(configs[0].figures, "figures")
    sweeps = [path for path in runs if is_sweep(path)]
    if sweeps and len(runs) > 1:
        raise ConfigError(f"run={sweeps[0]}: a sweep is reported by itself; give it alone")
    if sweeps:
        page = write_sweep_report(sweeps[0], output, figures)
    else:
        page = write_report(runs, output, figures)
        with report_lock(page.parent):  # another process may be about to replace it
            text = (page.parent / "table.md").read_text(encoding="utf-8")
        print(text)
    print(f"Report: {page}")
    return 0
