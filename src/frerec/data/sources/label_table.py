"""A table of labels that a user wrote: which columns, which splits, which classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from frerec.data.sources.layout import SPLIT_NAMES
from frerec.data.tree import Tree, read_table
from frerec.errors import DataError

SPLIT, GROUP = "split", "patient_id"
"""Columns that may be absent, as long as no other one is asked for."""


@dataclass(frozen=True)
class LabelTable:
    """Where the labels stand.

    Attributes:
        table: the CSV file, relative to the root.
        image_column, label_column: columns that must exist.
        split_column: train, val or test (or training, valid, testing, ..., any case), or blank.
            The default `split` may be absent; None looks for none.
        group_column: the patient; a blank one means that the image stands alone. The default
            `patient_id` may be absent; None looks for none.
        label_map: from the table's labels to class names, for example `{"0": "healthy", "1":
            "retinopathy", "2": "retinopathy"}`; it must cover all labels, and a label mapped to
            None is left out.
    """

    table: str = "labels.csv"
    image_column: str = "image"
    label_column: str = "label"
    split_column: str | None = SPLIT
    group_column: str | None = GROUP
    label_map: Mapping[str, str | None] | None = None

    def read(self, tree: Tree) -> pd.DataFrame:
        """Columns image, label, split and group, all text, without what is mapped to None.

        Raises:
            DataError: no such table or column; a blank image or label; an unknown split; a label
                that the map lacks; no lines.
        """
        table = read_table(tree, self.table, hint="give the table's name with data.labels=...")
        file = tree.blob(self.table).name
        image = _column(table, self.image_column, "image_column", file)
        label = _column(table, self.label_column, "label_column", file)
        split = _optional(table, self.split_column, "split_column", SPLIT, file)
        group = _optional(table, self.group_column, "group_column", GROUP, file)
        for column, cells in ((self.image_column, image), (self.label_column, label)):
            if (cells == "").any():
                line = _first_line(cells == "")
                raise DataError(
                    f"{file}: line {line} has no {column}; fill it in, or remove the line"
                )
        splits = split.str.casefold().map({"": "", **SPLIT_NAMES})
        if splits.isna().any():
            line = _first_line(splits.isna())
            raise DataError(
                f"{file}: line {line} has {self.split_column} {split.iat[line - 2]!r}; expected "
                f"train, val, test or blank"
            )
        rows = pd.DataFrame(
            {"image": image, "label": self._classes(label, file), "split": splits, "group": group}
        )
        rows = rows[rows["label"].notna()]
        if rows.empty:
            raise DataError(f"{file}: no images; the table or the label map is empty")
        return rows

    def _classes(self, label: pd.Series, file: str) -> pd.Series:
        """The class of each line, missing where it is left out."""
        if self.label_map is None:
            return label
        to_class = {str(name): each for name, each in self.label_map.items()}
        unknown = sorted(set(label) - set(to_class))
        if unknown:
            raise DataError(
                f"{file}: data.label_map lacks the labels {', '.join(unknown)}; map them to a "
                f"class, or to null to leave them out"
            )
        kept = {name: str(each) for name, each in to_class.items() if each is not None}
        return label.map(kept)


def _column(table: pd.DataFrame, column: str, key: str, file: str) -> pd.Series:
    if column not in table:
        raise DataError(
            f"{file}: no column {column}; it has {', '.join(table.columns)}; choose with "
            f"data.{key}=..."
        )
    return table[column]


def _optional(
    table: pd.DataFrame, column: str | None, key: str, default: str, file: str
) -> pd.Series:
    if column is None or (column == default and column not in table):
        alike = [str(name) for name in table if _plain(str(name)) == _plain(default)]
        if column is not None and alike:
            raise DataError(
                f"{file}: a column {alike[0]}, not {default}; give data.{key}={alike[0]} to use "
                f"it, or data.{key}=null to pass it over"
            )
        return pd.Series("", index=table.index, dtype="str")
    return _column(table, column, key, file)


def _plain(name: str) -> str:
    """A column's name without what is easily written otherwise."""
    return name.casefold().replace("_", "").replace(" ", "").replace("-", "")


def _first_line(rows: pd.Series) -> int:
    """The line of the file in which the first of some rows stands; the header is line 1."""
    return int(rows.to_numpy().argmax()) + 2
