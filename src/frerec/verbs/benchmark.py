"""``frerec benchmark`` and ``frerec demo``: plan, run and report a comparison."""

import logging
from collections.abc import Sequence

from omegaconf import OmegaConf

from frerec.benchmark.plan import compose_base
from frerec.benchmark.runner import run_benchmark
from frerec.config import instantiate
from frerec.report import write_report
from frerec.report.figures import check_formats
from frerec.report.writer import report_lock
from frerec.tracking import NoTracker
from frerec.tracking.report import track_report

log = logging.getLogger(__name__)


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Run the comparison and print its table; exit status 1 where a cell failed.

    ``from=CELL/config.yaml name=NEW`` runs one saved cell again.
    """
    base = compose_base(config_name, overrides)
    figures = check_formats(base.report.figures, "report.figures")
    done = run_benchmark(config_name, overrides)
    # Until it is sent and printed: another process of the run may be about to replace it.
    with report_lock(done.folder / "report"):
        page = write_report(done.folder, figures=figures)
        tracker = instantiate(base.logger)
        if not isinstance(tracker, NoTracker):
            track_report(
                tracker,
                page.parent,
                group=str(base.name),
                config=OmegaConf.to_container(base, resolve=True),
                key=done.settings,
                manifests=done.manifests,
            )
        text = (page.parent / "table.md").read_text(encoding="utf-8")
    print(text)
    print(f"Report: {page}")
    if done.failed:
        where = done.folder
        log.error("%d cells failed; see error.txt in their folders under %s", done.failed, where)
    return 1 if done.failed else 0
