"""The report of a run: tables, figures and one HTML page, the paper's numbers beside ours."""

from frerec.report.writer import write_report

__all__ = ["write_report"]
