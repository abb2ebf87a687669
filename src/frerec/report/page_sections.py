"""Which tables and figures stand in which section of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frerec.report.figures import FigureFiles
from frerec.report.page_facets import Facets
from frerec.report.page_tables import PageTable, page_table
from frerec.report.sections import SECTIONS
from frerec.report.tabular import Table


@dataclass(frozen=True)
class PageFigure:
    """A figure and what it names; `wide` ones take the whole width."""

    figure: FigureFiles
    attributes: Mapping[str, str]
    wide: bool


@dataclass(frozen=True)
class Section:
    """A section with its parts in the order of the page."""

    key: str
    heading: str
    tables: tuple[PageTable, ...]
    figures: tuple[PageFigure, ...]


def arrange(
    tables: Sequence[Table],
    figures: Sequence[FigureFiles],
    facets: Facets,
    own: Sequence[str] = (),
) -> list[Section]:
    """The sections that have something to show, in the order of SECTIONS.

    Args:
        tables: in the order within their sections.
        figures: likewise.
        facets: what rows and figures may name.
        own: sections that the page shows without a table or figure too.

    Raises:
        ValueError: where a table or figure names a section that is none; it would be lost.
    """
    named = [(table.title, table.section) for table in tables]
    for title, key in (*named, *((figure.title, figure.section) for figure in figures)):
        if key not in SECTIONS:
            raise ValueError(f"{title}: no section {key!r} in {', '.join(SECTIONS)}")
    found = []
    for key, heading in SECTIONS.items():
        here = [table for table in tables if table.section == key]
        drawn = [figure for figure in figures if figure.section == key]
        if here or drawn or key in own:
            found.append(
                Section(
                    key,
                    heading,
                    tuple(
                        page_table(t, facets, heading=i > 0 or t.title != heading)
                        for i, t in enumerate(here)
                    ),
                    tuple(
                        PageFigure(f, facets.of_figure(f), wide=f.wide or f.shown == "png")
                        for f in drawn
                    ),
                )
            )
    return found
