"""The tables as one JSON file for programs, with what they rest on."""

import json
from typing import Any

from frerec.report.run import Run
from frerec.report.tabular import Table
from frerec.report.training_table import commit_of

FORMAT = 1


def tables_json(run: Run, tables: list[Table]) -> str:
    """The run, its versions and every table as JSON: the same text for the same run.

    Numbers have full precision; what is missing is null. Keys: format, run, versions, hardware,
    commits (of the code that ran the cells, where they recorded it), and tables: key -> title,
    caption, section, warnings, notes, rows.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "run": {
            "name": run.name,
            "created": run.created,
            "command": run.command,
            "dataset": run.dataset,
            "modality": run.modality,
            "published": dict(run.references),
            "classes": list(run.classes),
            "image_size": run.image_size,
            "cells": run.count(),
            "finished": run.count("finished"),
        },
        "versions": dict(run.versions),
        "hardware": dict(run.hardware),
        "commits": commits(run),
        "tables": {
            table.key: {
                "title": table.title,
                "caption": table.caption,
                "section": table.section,
                "warnings": list(table.warnings),
                "notes": list(table.notes),
                "rows": table.records(),
            }
            for table in tables
        },
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def commits(run: Run) -> list[str]:
    """Commits of frerec that ran the cells, sorted; "+ changes" where its files were changed."""
    return sorted({commit_of(cell) for cell in run.cells} - {""})
