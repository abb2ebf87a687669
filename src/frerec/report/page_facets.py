"""What the page can be filtered by, and which rows and figures name it."""

from collections.abc import Iterable, Mapping
from typing import Any

from frerec.report.comparisons import arm_order
from frerec.report.figures import FigureFiles
from frerec.report.run import Run
from frerec.report.tabular import MINUS, Table

FACETS: Mapping[str, str] = {"data": "Data set", "classifier": "Classifier", "arm": "Arm"}
"""Key -> title, in the order of the page."""

# The columns of a table's frame that name a facet's values.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "data": ("data", "dataset"),
    "classifier": ("classifier",),
    "arm": ("arm", "first", "second"),
}


class Facets:
    """The data sets, classifiers and arms of a run; none where there is no run.

    Attributes:
        values: facet -> its values in the order of the report.
    """

    def __init__(self, run: Run | None) -> None:
        self.values: dict[str, tuple[str, ...]] = dict.fromkeys(FACETS, ())
        if run is None:
            return
        self.values = {
            "data": tuple(dict.fromkeys(cell.data for cell in run.cells)),
            "classifier": tuple(dict.fromkeys(cell.classifier for cell in run.cells)),
            "arm": tuple(arm_order(run)),
        }

    @property
    def offered(self) -> dict[str, tuple[str, ...]]:
        """Those that leave a choice."""
        return {facet: values for facet, values in self.values.items() if len(values) > 1}

    def attributes(self, names: Mapping[str, Iterable[str]]) -> dict[str, str]:
        """HTML attributes that say which values something names.

        Args:
            names: facet -> values; one that the run does not have names nothing.

        Returns:
            Such as {"data-arm": "0 2"}: positions in `values`, because a name may have spaces.
        """
        found = {}
        for facet, values in self.offered.items():
            wanted = set(names.get(facet, ()))
            positions = [str(i) for i, value in enumerate(values) if value in wanted]
            if positions:
                found[f"data-{facet}"] = " ".join(positions)
        return found

    def of_table(self, table: Table) -> list[dict[str, str]]:
        """The attributes of each row of a table.

        The frame says what a row names where it has one record a row that agrees with the row's
        text; else the words of the row do.
        """
        records: list[dict[Any, Any]] = [{} for _ in table.rows]
        if len(table.frame) == len(table.rows):
            records = table.frame.to_dict("records")
        found = []
        for row, record in zip(table.rows, records, strict=True):
            texts = (row.group, *row.cells)
            words = _words(texts)
            names = {}
            for facet, columns in _COLUMNS.items():
                named = {str(record[column]) for column in columns if column in record}
                agreed = {name for name in named if name and any(name in text for text in texts)}
                names[facet] = agreed or words & set(self.values[facet])
            found.append(self.attributes(names))
        return found

    def of_figure(self, figure: FigureFiles) -> dict[str, str]:
        """The attributes of a figure whose title names values, as in "ROC, resnet50"."""
        words = _words((figure.title,))
        return self.attributes({key: words & set(names) for key, names in self.values.items()})


def _words(texts: Iterable[str]) -> set[str]:
    """Each text, and its parts between commas, colons and minus signs."""
    found = set()
    for text in texts:
        parts = text.replace(f" {MINUS} ", ", ").replace(": ", ", ").split(", ")
        found |= {text, *(part.strip() for part in parts)}
    return found
