"""``frerec benchmark`` and ``frerec demo``: plan, run and report a comparison."""

import logging
from collections.abc import Sequence

from filelock import FileLock

from frerec.benchmark.runner import run_benchmark
from frerec.report import write_report

log = logging.getLogger(__name__)


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Run the comparison and print its table; exit status 1 where a cell failed."""
    run_dir, failed = run_benchmark(config_name, overrides)
    with FileLock(run_dir / "report.lock"):
        page = write_report(run_dir)
    print((page.parent / "table.md").read_text())
    print(f"Report: {page}")
    if failed:
        log.error("%d cells failed; see error.txt in their folders under %s", failed, run_dir)
    return 1 if failed else 0
