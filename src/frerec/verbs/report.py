"""``frerec report``: tables and figures of a run."""

from collections.abc import Sequence
from pathlib import Path

from frerec.config import compose_config, require
from frerec.report import write_report


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Write the report of an existing run and print where it is."""
    config = compose_config(config_name, overrides)
    run_dir = Path(require(config, "run", "the folder of a run, as runs/demo"))
    page = write_report(run_dir, Path(config.output) if config.output else None)
    print((page.parent / "table.md").read_text())
    print(f"Report: {page}")
    return 0
