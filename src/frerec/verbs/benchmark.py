"""``frerec benchmark`` and ``frerec demo``: plan, run and report a comparison."""

import logging
from collections.abc import Sequence

from filelock import FileLock
from omegaconf import OmegaConf

from frerec.benchmark.plan import compose_base
from frerec.benchmark.runner import run_benchmark
from frerec.config import instantiate
from frerec.report import write_report
from frerec.report.figures import check_formats
from frerec.tracking import NoTracker
from frerec.tracking.report import track_report

log = logging.getLogger(__name__)


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Run the comparison and print its table; exit status 1 where a cell failed.

    ``from=CELL/config.yaml name=NEW`` runs one saved cell again.
    """
    base = compose_base(config_name, overrides)
    figures = check_formats(base.report.figures, "report.figures")
    run_dir, failed = run_benchmark(config_name, overrides)
    with FileLock(run_dir / "report.lock"):
        page = write_report(run_dir, figures=figures)
    tracker = instantiate(base.logger)
    if not isinstance(tracker, NoTracker):
        settings = OmegaConf.to_container(base, resolve=True)
        track_report(tracker, page.parent, group=str(base.name), config=settings)
    print((page.parent / "table.md").read_text())
    print(f"Report: {page}")
    if failed:
        log.error("%d cells failed; see error.txt in their folders under %s", failed, run_dir)
    return 1 if failed else 0
