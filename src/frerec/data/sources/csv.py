"""A folder with a table of labels."""

import posixpath
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from frerec.data.address import SEPARATOR
from frerec.data.manifest import Manifest
from frerec.data.sources.label_table import GROUP, SPLIT, LabelTable
from frerec.data.tree import Tree, open_tree


class CsvSource:
    """Images listed in a CSV file, one row each.

    Args:
        root: the folder, or the zip archive, to which the image paths are relative. A path may go
            on into a file of many images, as `volume.nii.gz::077` or `set.npz::images/000017`.
        labels: the CSV file, relative to root.
        image_column, label_column, split_column, group_column, label_map: see
            `label_table.LabelTable`.
        dataset: name in the manifest; the folder's by default.
    """

    def __init__(
        self,
        root: str | Path,
        labels: str = "labels.csv",
        image_column: str = "image",
        label_column: str = "label",
        split_column: str | None = SPLIT,
        group_column: str | None = GROUP,
        label_map: Mapping[str, str | None] | None = None,
        dataset: str | None = None,
    ) -> None:
        self.root = root
        self.table = LabelTable(
            labels, image_column, label_column, split_column, group_column, label_map
        )
        self.dataset = dataset

    def read(self) -> Manifest:
        """Read the table.

        Raises:
            DataError: no such folder; whatever is wrong with the table, see `LabelTable.read`.
        """
        tree = open_tree(self.root)
        rows = self.table.read(tree)
        return Manifest.build(
            tree.root,
            images=[_address(tree, image) for image in rows["image"]],
            labels=rows["label"].tolist(),
            splits=rows["split"].tolist(),
            groups=rows["group"].tolist(),
            dataset=PurePosixPath(tree.name).stem if self.dataset is None else self.dataset,
        )


def _address(tree: Tree, image: str) -> str:
    """A path of the table as an address; what follows `::` is kept."""
    path, separator, index = image.partition(SEPARATOR)
    return tree.address(posixpath.normpath(path)) + separator + index
