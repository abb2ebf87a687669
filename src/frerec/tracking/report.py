"""The report as a run of its own: its tables, and its figures where pictures may leave."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from frerec.tracking.base import Tracker

log = logging.getLogger(__name__)

DARK = "_dark"  # of figures: a service shows the light ones


def track_report(
    tracker: Tracker,
    report: Path,
    *,
    group: str,
    config: Any,
    key: str,
    job_type: str = "report",
    manifests: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Send a written report; a file of it that cannot be read is named in the log and left out.

    Args:
        tracker: Where to.
        report: The folder that ``frerec report`` wrote.
        group: The benchmark's name.
        config: Its resolved configuration.
        key: Hash of what was compared: the report of equal settings goes on in its own run.
        job_type: ``report``, or ``sweep`` of a sweep's.
        manifests: Which images each data set has, by the data set's name.
    """
    with tracker.run(
        f"{group} {job_type}",
        group=group,
        cell_id=f"{job_type}-{key}",
        config={"config": config},
        directory=report.parent / "tracking",
        job_type=job_type,
    ) as run:
        for name, table in (manifests or {}).items():
            run.manifest(name, table)
        for file in sorted(report.glob("*.csv")):
            try:
                found = pd.read_csv(file)
            except pd.errors.EmptyDataError:
                continue  # a table without a column
            except (OSError, ValueError) as error:
                line = " ".join(str(error).split())[:200] or type(error).__name__
                log.warning("%s is not sent to the tracker (%s)", file.name, line)
                continue
            run.table(file.stem, found)
        figures = sorted((report / "figures").glob("*.png"))
        run.pictures({f.stem: f for f in figures if not f.stem.endswith(DARK)})
