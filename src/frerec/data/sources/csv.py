"""A folder with a table of labels."""

import posixpath
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from frerec.data.address import SEPARATOR
from frerec.data.manifest import Manifest
from frerec.data.sources.layout import SPLIT_NAMES
from frerec.data.tree import Tree, open_tree, read_table
from frerec.errors import DataError

_SPLIT, _GROUP = "split", "patient_id"


class CsvSource:
    """Images listed in a CSV file, one row each.

    Args:
        root: the folder, or the zip archive, to which the image paths are relative. A path may go
            on into a file of many images, as `volume.nii.gz::077` or `set.npz::images/000017`.
        labels: the CSV file, relative to root.
        image_column, label_column: columns that must exist.
        split_column: train, val or test (or training, valid, testing, ..., any case), or blank.
            The default `split` may be absent; None looks for none.
        group_column: the patient; a blank one means that the image stands alone. The default
            `patient_id` may be absent; None looks for none.
        label_map: from the table's labels to class names, for example `{"0": "healthy", "1":
            "retinopathy", "2": "retinopathy"}`; it must cover all labels, and a label mapped to
            None is left out.
        dataset: name in the manifest; the folder's by default.
    """

    def __init__(
        self,
        root: str | Path,
        labels: str = "labels.csv",
        image_column: str = "image",
        label_column: str = "label",
        split_column: str | None = _SPLIT,
        group_column: str | None = _GROUP,
        label_map: Mapping[str, str | None] | None = None,
        dataset: str | None = None,
    ) -> None:
        self.root = root
        self.labels = labels
        self.image_column = image_column
        self.label_column = label_column
        self.split_column = split_column
        self.group_column = group_column
        self.label_map = label_map
        self.dataset = dataset

    def read(self) -> Manifest:
        """Read the table and look for its files.

        Raises:
            DataError: no such folder, table or column; a blank image or label; an unknown split;
                a label that the map lacks.
        """
        tree = open_tree(self.root)
        table = read_table(tree, self.labels, hint="give the table's name with data.labels=...")
        file = tree.blob(self.labels).name
        images = self._column(file, table, self.image_column, "image_column")
        labels = self._column(file, table, self.label_column, "label_column")
        splits = self._optional(file, table, self.split_column, "split_column", _SPLIT)
        groups = self._optional(file, table, self.group_column, "group_column", _GROUP)
        for column, values in ((self.image_column, images), (self.label_column, labels)):
            if "" in values:
                raise DataError(
                    f"{file}: line {values.index('') + 2} has no {column}; fill it "
                    f"in, or remove the line"
                )
        splits = [self._split(file, split, row) for row, split in enumerate(splits)]
        keep = list(range(len(images)))
        if self.label_map is not None:
            labels, keep = self._mapped(file, labels)
        if not keep:
            raise DataError(f"{file}: no images; the table or the label map is empty")
        return Manifest.build(
            tree.root,
            images=[_address(tree, images[i]) for i in keep],
            labels=[labels[i] for i in keep],
            splits=[splits[i] for i in keep],
            groups=[groups[i] for i in keep],
            dataset=PurePosixPath(tree.name).stem if self.dataset is None else self.dataset,
        )

    def _column(self, file: str, table: pd.DataFrame, column: str, key: str) -> list[str]:
        if column not in table:
            raise DataError(
                f"{file}: no column {column}; it has "
                f"{', '.join(table.columns)}; choose with data.{key}=..."
            )
        return [str(value) for value in table[column]]

    def _optional(
        self, file: str, table: pd.DataFrame, column: str | None, key: str, default: str
    ) -> list[str]:
        if column is None or (column == default and column not in table):
            return [""] * len(table)
        return self._column(file, table, column, key)

    def _split(self, file: str, name: str, row: int) -> str:
        if name == "" or name.casefold() in SPLIT_NAMES:
            return SPLIT_NAMES.get(name.casefold(), "")
        raise DataError(
            f"{file}: line {row + 2} has {self.split_column} {name!r}; expected "
            f"train, val, test or blank"
        )

    def _mapped(self, file: str, labels: list[str]) -> tuple[list[str], list[int]]:
        """Class names, and the rows whose label is not mapped to None."""
        to_class = {str(label): name for label, name in (self.label_map or {}).items()}
        unknown = sorted(set(labels) - set(to_class))
        if unknown:
            raise DataError(
                f"{file}: data.label_map lacks the labels {', '.join(unknown)}; map "
                f"them to a class, or to null to leave them out"
            )
        names = [to_class[label] for label in labels]
        keep = [i for i, name in enumerate(names) if name is not None]
        return [str(name) for name in names], keep


def _address(tree: Tree, image: str) -> str:
    """A path of the table as an address; what follows `::` is kept."""
    path, separator, index = image.partition(SEPARATOR)
    return tree.address(posixpath.normpath(path)) + separator + index
