"""Inputs of `frerec calibrate`: a folder, a CSV table, a NumPy archive or a zip of images."""

import os
import posixpath
from pathlib import Path

from frerec.bulk.arrays import plan_arrays
from frerec.bulk.labels import labels_beside
from frerec.bulk.plan import Plan, folders_of, make_plan, png_name
from frerec.data.address import SEPARATOR
from frerec.data.suffixes import READ_SUFFIXES, count_not_read
from frerec.data.tree import FolderTree, Tree, open_tree, read_table
from frerec.errors import ConfigError, DataError
from frerec.samples.own_outputs import generated_rows, is_generated

KINDS = "a folder, a CSV table, an .npz archive or a .zip of images"


def plan_input(source: Path, output: Path) -> Plan:
    """Everything that an input holds, with its place in the output.

    Args:
        source: A folder or zip (all images in it, at any depth; of an output of `frerec generate`
            those in its manifest), a zip's folder
            (``archive.zip::folder``), a CSV table with the column ``image`` and maybe ``label``,
            or an npz, see :mod:`frerec.bulk.arrays`.
        output: The folder that will be written.

    Raises:
        DataError: If the input is missing, of another kind, empty, damaged, or two of its images
            would get one target.
        ConfigError: If the input reads from the output through a link.
    """
    if source.is_file() and source.suffix.lower() == ".csv":
        return _from_table(source)
    if source.is_file() and source.suffix.lower() == ".npz":
        return plan_arrays(source)
    if source.is_file() and source.suffix.lower() != ".zip":
        raise DataError(f"input={source}: expected {KINDS}")
    if not source.exists() and SEPARATOR not in str(source):
        raise DataError(f"input={source}: no such folder or file; expected {KINDS}")
    tree = open_tree(source, key="input")
    plan = _from_generated(tree) if is_generated(tree) else _from_tree(tree, source)
    if isinstance(tree, FolderTree):
        _refuse_links(tree, plan, output)
    return plan


def _from_tree(tree: Tree, source: Path) -> Plan:
    every = tree.files(suffixes=None)
    names = [name for name in every if name.lower().endswith(READ_SUFFIXES)]
    note = count_not_read(every)
    if not names:
        found = f"; {note}" if note else ""
        raise DataError(f"input={source}: no images ({', '.join(READ_SUFFIXES)}) in it{found}")
    labels, notes = labels_beside(tree, names)
    return make_plan(
        tree.root,
        [tree.address(name) for name in names],
        [png_name(name) for name in names],
        labels,
        [*([note] if note else []), *notes],
    )


def _from_generated(tree: Tree) -> Plan:
    rows = generated_rows(tree)
    targets = [png_name(name.replace(SEPARATOR, "/")) for name in rows.names]
    return make_plan(tree.root, rows.addresses, targets, rows.labels)


def _from_table(path: Path) -> Plan:
    """Rows of a CSV table in its order; other addresses, as ``a.zip::1.png``, may be named too."""
    table = read_table(
        FolderTree(path.absolute().parent), path.name, ["image"], hint="name a column image"
    )
    names = table["image"].tolist()
    if not names:
        raise DataError(f"{path}: no rows; expected one for every image")
    for row, name in enumerate(names, 1):
        if not name:
            raise DataError(f"{path}, row {row}: image is empty; fill it in or remove the row")
        parts = name.replace(SEPARATOR, "/").split("/")
        if posixpath.isabs(name) or "\\" in name or ".." in parts:
            raise DataError(
                f"{path}, row {row}: image {name}: expected a path with / relative to"
                f" {path.parent}, and below it"
            )
    notes: list[str] = []
    labels = None
    if "label" in table:
        labels = [label or None for label in table["label"].tolist()]
        blank = sum(label is None for label in labels)
        if blank:
            notes.append(f"{path}: {blank} rows have no label and are left out of labels.csv")
    names = [posixpath.normpath(name) for name in names]
    targets = [png_name(name.replace(SEPARATOR, "/")) for name in names]
    return make_plan(path.absolute().parent, names, targets, labels, notes)


def _refuse_links(tree: FolderTree, plan: Plan, output: Path) -> None:
    """A link in the input that leads into the output would feed it its own results."""
    real = os.path.realpath(output)
    for folder in folders_of(plan.table["source"]):
        place = os.path.realpath(tree.root / folder)
        if place == real or place.startswith(real + os.sep):
            raise ConfigError(
                f"output={output}: input={tree.root} reads from it through {folder}; remove that"
                " link, or choose another output="
            )
