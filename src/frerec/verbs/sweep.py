"""``frerec sweep``: a hyperparameter search, resumable and shared between workers."""

import logging
from collections.abc import Sequence

from filelock import FileLock

from frerec.report.sweep_page import write_sweep_report
from frerec.sweep.runner import run_sweep

log = logging.getLogger(__name__)


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Search, write the sweep's report; exit status 1 where every trial of this call failed."""
    result = run_sweep(config_name, overrides)
    with FileLock(result.run_dir / "report.lock"):
        page = write_sweep_report(result.run_dir)
    if result.best:
        print(f"Best on validation: {result.best}")
    print(f"Report: {page}")
    if result.failed:
        log.error("%d of %d trials failed; see trials.csv", result.failed, result.ran)
    return 1 if result.ran and result.failed == result.ran else 0
