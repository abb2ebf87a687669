"""A table that can be read and computed with: Markdown, CSV, JSON; input of LaTeX and HTML."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frerec.evaluation.statistics import Estimate

EMPTY = "–"
MINUS = "−"
NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class Row:
    """One row as text.

    Attributes:
        group: the block that it is in.
        cells: the first one names the row.
        strong: positions of the cells that are printed bold.
    """

    group: str
    cells: tuple[str, ...]
    strong: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Attributes:
        key: file stem of its CSV.
        title: heading.
        caption: what the rows and numbers are.
        group_title: column title of the groups, "" where the rows have none.
        columns: titles of the cells' columns.
        rows: what a reader sees.
        frame: the same facts as plain numbers, what the CSV holds.
        notes: sentences under the table.
        warnings: what makes the table doubtful; printed in capitals as WARNING.
        wordy: positions of the columns that hold words and not numbers.
        section: key of the page's section that it stands in; see `frerec.report.sections`.
    """

    key: str
    title: str
    caption: str
    group_title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    wordy: tuple[int, ...] = (0,)
    section: str = "results"

    def groups(self) -> list[tuple[str, list[Row]]]:
        """The rows by group, both in their order."""
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.group, []).append(row)
        return list(groups.items())

    def markdown(self) -> str:
        """The table with its heading, caption, warnings and notes."""
        head = [self.group_title] if self.group_title else []
        lead = len(head)
        titles = [*head, *self.columns]
        rule = ["---" if i < lead or i - lead in self.wordy else "---:" for i in range(len(titles))]
        body = [[escape(row.group)] * lead + _cells(row) for row in self.rows]
        lines = [f"## {self.title}", "", escape(self.caption), ""]
        lines += [f"**WARNING: {escape(text)}**\n" for text in self.warnings]
        if body:
            lines += [_line(map(escape, titles)), _line(rule), *map(_line, body)]
        else:
            lines += ["Nothing to show yet."]
        if self.notes:
            lines += ["", *(f"- {escape(text)}" for text in self.notes)]
        return "\n".join(lines) + "\n"

    def write_csv(self, folder: Path) -> None:
        """Write `frame` as folder/KEY.csv; empty where a value is missing."""
        write_csv(self.frame, folder / f"{self.key}.csv")

    def records(self) -> list[dict[str, Any]]:
        """The rows of `frame` as plain JSON values, None where one is missing."""
        columns = [str(name) for name in self.frame.columns]
        return [
            dict(zip(columns, map(_plain, values), strict=True))
            for values in self.frame.itertuples(index=False, name=None)
        ]


def write_csv(frame: pd.DataFrame, file: Path) -> None:
    """Write a frame with ten significant digits and the same line ends on every system."""
    frame.to_csv(file, index=False, float_format="%.10g", lineterminator="\n", encoding="utf-8")


def escape(text: str) -> str:
    """Text as one line of Markdown that cannot break a table or carry HTML."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("|", "\\|").replace("*", "\\*")


def _cells(row: Row) -> list[str]:
    texts = map(escape, row.cells)
    return [f"**{text}**" if i in row.strong else text for i, text in enumerate(texts)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with a true minus sign, a dash where it is missing."""
    if value is None:
        return EMPTY
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A difference: always with its sign, but for 0."""
    text = fixed(value, digits)
    return f"+{text}" if value is not None and float(f"{value:.{digits}f}") > 0 else text


def estimate(value: Estimate | None, digits: int = 3, *, difference: bool = False) -> str:
    """Mean [low, high]; a dash for the interval of one seed."""
    if value is None:
        return EMPTY
    form = signed if difference else fixed
    return f"{form(value.mean, digits)} {interval(value, digits, difference=difference)}"


def interval(value: Estimate, digits: int = 3, *, difference: bool = False) -> str:
    """[low, high], or a dash in the brackets where one seed allows no interval."""
    if value.low is None or value.high is None:
        return f"[{EMPTY}]"
    form = signed if difference else fixed
    return f"[{form(value.low, digits)}, {form(value.high, digits)}]"


def p_text(p: float | None) -> str:
    """A p value with two digits that count."""
    if p is None:
        return EMPTY
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def thousands(value: float | None) -> str:
    """A count with a narrow no-break space between the thousands."""
    return EMPTY if value is None else f"{round(value):,}".replace(",", "\u202f")
