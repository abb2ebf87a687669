"""Tables as the page shows them: each cell with the number that it is sorted by."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frerec.report.page_facets import Facets
from frerec.report.tabular import MINUS, Table

# A number as `frerec.report.tabular` writes it, at the beginning of a cell.
_NUMBER = re.compile(
    r"\[?(?P<below><\s*)?[≈~>]?\s*(?P<sign>[+\-−]?)(?P<digits>\d+(?:[\u202f,]\d{3})*(?:\.\d+)?"
    r"(?:[eE][+\-−]?\d+)?)(?![\w.])"
)
TALL = 40  # rows


@dataclass(frozen=True)
class PageCell:
    """A cell: `value` is what it is sorted by, "" where it is text; `words` stand left."""

    text: str
    value: str
    words: bool
    strong: bool


@dataclass(frozen=True)
class PageRow:
    """A row: `attributes` say what it names, its name leads to `anchor`, `links` are its files."""

    cells: tuple[PageCell, ...]
    attributes: Mapping[str, str]
    anchor: str = ""
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PageTable:
    """A table and its rows by group; `heading` is False where the section's heading says it."""

    table: Table
    blocks: tuple[tuple[str, tuple[PageRow, ...]], ...]
    heading: bool
    narrow: bool
    linked: bool

    @property
    def tall(self) -> bool:
        """True where it scrolls in itself, because it would push what follows far away."""
        return len(self.table.rows) > TALL


def sort_value(text: str) -> float | None:
    """The number at the beginning of a cell.

    Args:
        text: such as "0.871 [0.851, 0.891]", "−0.012", "1 200" with a narrow space, "< 0.001";
            of an interval in brackets alone, its lower end.

    Returns:
        The number, half of it after "<", None where the text does not begin with one.
    """
    found = _NUMBER.match(text.strip())
    if found is None:
        return None
    digits = re.sub(r"[\u202f,]", "", found["digits"]).replace(MINUS, "-")
    value = float(digits) * (-1 if found["sign"] in ("-", MINUS) else 1)
    return value / 2 if found["below"] else value


def page_table(
    table: Table,
    facets: Facets,
    *,
    heading: bool = True,
    narrow: bool = False,
    anchors: Sequence[str] | None = None,
    links: Sequence[tuple[tuple[str, str], ...]] | None = None,
) -> PageTable:
    """Prepare a table for the template.

    Args:
        table: the table.
        facets: what its rows may name.
        heading: whether it gets a heading of its own.
        narrow: whether it is only as wide as it must be.
        anchors: a row's place on the page to which its name leads, one a row.
        links: name and address of each file of a row, one tuple a row; a last column then.
    """
    attributes = facets.of_table(table)
    blocks: dict[str, list[PageRow]] = {}
    for i, row in enumerate(table.rows):
        cells = tuple(
            PageCell(text, _value(text, j in table.wordy), j in table.wordy, j in row.strong)
            for j, text in enumerate(row.cells)
        )
        found = PageRow(
            cells,
            attributes[i],
            anchors[i] if anchors else "",
            links[i] if links else (),
        )
        blocks.setdefault(row.group, []).append(found)
    grouped = tuple((group, tuple(rows)) for group, rows in blocks.items())
    linked = links is not None and any(links)
    return PageTable(table, grouped, heading, narrow, linked)


def _value(text: str, words: bool) -> str:
    value = None if words else sort_value(text)
    return "" if value is None else f"{value:.10g}"
