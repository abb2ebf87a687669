"""``frerec sweep``: a hyperparameter search, resumable and shared between workers."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frerec.benchmark.hashing import content_hash
from frerec.config import instantiate, plain
from frerec.report.sweep_page import write_sweep_report
from frerec.report.writer import report_lock
from frerec.sweep.runner import Plan, run_sweep
from frerec.tracking import NoTracker
from frerec.tracking.report import track_report

log = logging.getLogger(__name__)


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Search, write the sweep's report; exit status 1 where every trial of this call failed."""
    result = run_sweep(config_name, overrides)
    plan = result.plan
    # Until it is sent: another worker of the sweep may be about to replace it.
    with report_lock(plan.bench.run_dir / "report"):
        page = write_sweep_report(plan.bench.run_dir, figures=plan.cell.config.report.figures)
        if not plan.bench.settings.single:  # of an agent's trials W&B has the search
            _track(plan, page.parent)
    if result.best:
        print(f"Best on validation: {result.best}")
    print(f"Report: {page}")
    if result.failed:
        log.error("%d of %d trials failed; see trials.csv", result.failed, result.ran)
    return 1 if result.ran and result.failed == result.ran else 0


def _track(plan: Plan, folder: Path) -> None:
    """Send the search's table and figures as a run of its own."""
    tracker = instantiate(plan.cell.config.logger)
    if isinstance(tracker, NoTracker):
        return
    settings = plan.bench.settings
    space = {parameter.key: parameter.text for parameter in settings.space}
    config: dict[str, Any] = {**plain(plan.cell.config), "space": space}
    key = content_hash(plan.record)
    track_report(tracker, folder, group=settings.name, config=config, key=key, job_type="sweep")
