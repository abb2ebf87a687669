"""The report as a run of its own: its tables, and its figures where pictures may leave."""

from pathlib import Path
from typing import Any

import pandas as pd

from frerec.tracking.base import Tracker

DARK = "_dark"  # of figures: a service shows the light ones


def track_report(tracker: Tracker, report: Path, *, group: str, config: Any) -> None:
    """Send a written report.

    Args:
        tracker: Where to.
        report: The folder that ``frerec report`` wrote.
        group: The benchmark's name.
        config: Its resolved configuration.
    """
    with tracker.run(
        f"{group} report",
        group=group,
        cell_id="report",
        config={"config": config},
        directory=report.parent / "tracking",
        job_type="report",
    ) as run:
        for file in sorted(report.glob("*.csv")):
            if file.read_bytes().strip():
                run.table(file.stem, pd.read_csv(file))
        figures = sorted((report / "figures").glob("*.png"))
        run.pictures({f.stem: f for f in figures if not f.stem.endswith(DARK)})
