"""A folder with a table of labels."""

import posixpath
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from frerec.data.manifest import Manifest, check_paths
from frerec.data.sources.folder import SPLIT_NAMES, resolve_root
from frerec.errors import DataError

_SPLIT, _GROUP = "split", "patient_id"


class CsvSource:
    """Images listed in a CSV file, one row each.

    Args:
        root: the folder to which the image paths are relative.
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
                a label that the map lacks; a file that is missing or outside the root.
        """
        root = resolve_root(self.root)
        table = self._table(root / self.labels)
        images = self._column(table, self.image_column, "image_column")
        labels = self._column(table, self.label_column, "label_column")
        splits = self._optional(table, self.split_column, "split_column", _SPLIT)
        groups = self._optional(table, self.group_column, "group_column", _GROUP)
        for column, values in ((self.image_column, images), (self.label_column, labels)):
            if "" in values:
                raise DataError(
                    f"{root / self.labels}: line {values.index('') + 2} has no {column}; fill it "
                    f"in, or remove the line"
                )
        splits = [self._split(root, split, row) for row, split in enumerate(splits)]
        keep = list(range(len(images)))
        if self.label_map is not None:
            labels, keep = self._mapped(root, labels)
        if not keep:
            raise DataError(f"{root / self.labels}: no images; the table or the label map is empty")
        manifest = Manifest.build(
            root,
            images=[posixpath.normpath(images[i]) for i in keep],
            labels=[labels[i] for i in keep],
            splits=[splits[i] for i in keep],
            groups=[groups[i] for i in keep],
            dataset=root.name if self.dataset is None else self.dataset,
        )
        check_paths(manifest)
        return manifest

    def _table(self, path: Path) -> pd.DataFrame:
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except FileNotFoundError:
            raise DataError(
                f"{path}: no such file; give the table's name with data.labels=..."
            ) from None
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: cannot be read as a CSV table ({reason})") from None
        table.columns = [str(name) for name in table.columns]
        return table

    def _column(self, table: pd.DataFrame, column: str, key: str) -> list[str]:
        if column not in table:
            raise DataError(
                f"{Path(self.root) / self.labels}: no column {column}; it has "
                f"{', '.join(table.columns)}; choose with data.{key}=..."
            )
        return [str(value).strip() for value in table[column]]

    def _optional(
        self, table: pd.DataFrame, column: str | None, key: str, default: str
    ) -> list[str]:
        if column is None or (column == default and column not in table):
            return [""] * len(table)
        return self._column(table, column, key)

    def _split(self, root: Path, name: str, row: int) -> str:
        if name == "" or name.casefold() in SPLIT_NAMES:
            return SPLIT_NAMES.get(name.casefold(), "")
        raise DataError(
            f"{root / self.labels}: line {row + 2} has {self.split_column} {name!r}; expected "
            f"train, val, test or blank"
        )

    def _mapped(self, root: Path, labels: list[str]) -> tuple[list[str], list[int]]:
        """Class names, and the rows whose label is not mapped to None."""
        to_class = {str(label): name for label, name in (self.label_map or {}).items()}
        unknown = sorted(set(labels) - set(to_class))
        if unknown:
            raise DataError(
                f"{root / self.labels}: data.label_map lacks the labels {', '.join(unknown)}; map "
                f"them to a class, or to null to leave them out"
            )
        names = [to_class[label] for label in labels]
        keep = [i for i, name in enumerate(names) if name is not None]
        return [str(name) for name in names], keep
