"""What a set of samples lists, in whatever form it comes: addresses, and the set's own labels."""

import logging
import posixpath
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from frerec.data.address import SEPARATOR, check_relative, parse_address
from frerec.data.image_arrays import open_image_array
from frerec.data.side_labels import STYLEGAN, TABLE, stylegan_rows
from frerec.data.suffixes import READ_SUFFIXES, count_not_read
from frerec.data.tree import FolderTree, Tree, read_table
from frerec.errors import ConfigError, DataError

log = logging.getLogger(__name__)

HOW_TO_LABEL = (
    "put the images of each class into a folder of its name, or label each in a table with the"
    " columns image, label (samples.labels=FILE.csv)"
)


@dataclass(frozen=True)
class Keys:
    """The keys that brought a set, for messages: those of ``samples``, or a command's.

    Attributes:
        path: key of the set itself.
        labels: key of its table.
        label_map: key of the map from its labels.
        base: the folder that ``path`` is relative to; None for a path that stands by itself.
    """

    path: str = "samples.path"
    labels: str = "samples.labels"
    label_map: str = "samples.label_map"
    base: Path | None = None

    def inner(self, name: str, folder: str) -> str:
        """``KEY=VALUE`` for a folder right below the set ``name``."""
        base = None if self.base is None else self.base.absolute()
        if base is not None and Path(name) == base:
            return f"{self.path}={folder}"
        shown = name if base is None else Path(name).relative_to(base).as_posix()
        return f"{self.path}={shown}{SEPARATOR if shown.lower().endswith('.zip') else '/'}{folder}"


SAMPLE_KEYS = Keys()


@dataclass(frozen=True)
class Listing:
    """The images of a set, none of them read yet.

    Attributes:
        name: The set, as messages write it.
        root: What the addresses are relative to.
        images: An address for each image, see :mod:`frerec.data.address`.
        labels: The set's own label of each, or None where it has none.
        groups: The patient of each ("" for none), or None where the set knows of none.
        unlabelled: What to do where there are no labels, for messages.
    """

    name: str
    root: Path
    images: list[str]
    labels: list[str] | None
    groups: list[str] | None = None
    unlabelled: str = HOW_TO_LABEL


def from_folders(tree: Tree, known: Collection[str], keys: Keys = SAMPLE_KEYS) -> Listing:
    """A folder a class, with images at any depth; images right at the top have no label.

    Args:
        tree: The set.
        known: Names that folders of classes may have.
        keys: For messages.

    Raises:
        DataError: If there are no images, a folder has none, or a name is not UTF-8.
    """
    every = tree.files(suffixes=None)
    names = [name for name in every if name.lower().endswith(READ_SUFFIXES)]
    _refuse_undecoded(tree, names)
    _warn(count_not_read(every), tree)
    placed = [name for name in names if "/" in name]
    filled = {name.partition("/")[0] for name in placed}
    for folder in tree.folders():
        if folder not in filled:
            raise DataError(
                f"{tree.blob(folder).name}: no images ({', '.join(READ_SUFFIXES)}); add samples,"
                " or remove the folder"
            )
    if not names:
        raise DataError(
            f"{tree.name}: no samples; expected a folder for every class with images in it, or a"
            f" table {TABLE} with the columns image, label"
        )
    if not placed:
        return Listing(tree.name, tree.root, [tree.address(name) for name in names], None)
    if len(placed) < len(names):
        _warn(f"{len(names) - len(placed)} images lie in no folder of a class, left out", tree)
    _refuse_wrapped(tree, placed, filled, known, keys)
    return Listing(
        tree.name,
        tree.root,
        [tree.address(name) for name in placed],
        [name.partition("/")[0] for name in placed],
    )


def _refuse_undecoded(tree: Tree, names: list[str]) -> None:
    """Raise DataError for a name that is not UTF-8: neither a table nor a log can hold it."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"{tree.name}: the name of {name!r} is not UTF-8; rename that file or folder"
            ) from None


def _refuse_wrapped(
    tree: Tree, names: list[str], tops: set[str], known: Collection[str], keys: Keys
) -> None:
    """One folder around the folders of the classes, as many archives have it."""
    if len(tops) == 1 and not tops & set(known):
        (top,) = tops
        if {name.split("/")[1] for name in names} & set(known):
            raise DataError(
                f"{tree.name}: the folders of the classes lie in {top}; give"
                f" {keys.inner(tree.name, top)}"
            )


def from_table(tree: Tree, table_path: Path | None = None, keys: Keys = SAMPLE_KEYS) -> Listing:
    """The images that a CSV table names, which may be less than there are.

    Args:
        tree: What the column ``image`` is relative to.
        table_path: The table; None for the ``labels.csv`` in the tree.
        keys: For messages.

    Raises:
        DataError: If the table cannot be read, lacks a column, has no rows or a row that is
            incomplete, leads out of the tree or names no file.
    """
    holder: Tree = tree
    if table_path is not None:
        holder = FolderTree(table_path.absolute().parent)
        if not table_path.is_file():
            raise DataError(f"{table_path}: no such file; set {keys.labels} to a CSV file")
    name = TABLE if table_path is None else table_path.name
    where = holder.blob(name).name
    hint = "expected the columns image, label; rename a column"
    table = read_table(holder, name, ["image", "label"], hint=hint)
    if table.empty:
        raise DataError(f"{where}: no rows; expected one for every sample")
    names, labels = [], table["label"].tolist()
    for line, (image, label) in enumerate(zip(table["image"], labels, strict=True), 2):
        if not image or not label:
            raise DataError(
                f"{where}, line {line}: image or label is empty; fill it in or remove the line"
            )
        names.append(_inside(tree, image, f"{where}, line {line}"))
    unlisted = {n for n in tree.files() if n.lower().endswith(READ_SUFFIXES)} - set(names)
    if unlisted:
        _warn(f"{len(unlisted)} images in it are not in {name}, left out", tree)
    images = [name if SEPARATOR in name else tree.address(name) for name in names]
    return Listing(tree.name, tree.root, images, labels)


def from_stylegan(tree: Tree) -> Listing:
    """The images of a set of StyleGAN's, labelled by its ``dataset.json``.

    Raises:
        DataError: If ``dataset.json`` is not of that form, names an image that is not there or
            leads out, or does not name one that is.
    """
    where = tree.blob(STYLEGAN).name
    names = [name for name in tree.files() if name.lower().endswith(READ_SUFFIXES)]
    _refuse_undecoded(tree, names)
    rows = stylegan_rows(tree)
    if not names:
        raise DataError(f"{tree.name}: no images ({', '.join(READ_SUFFIXES)}) beside {STYLEGAN}")
    if not rows:
        how = f"{where} has null labels; label each image in it, or remove it and {HOW_TO_LABEL}"
        images = [tree.address(name) for name in names]
        return Listing(tree.name, tree.root, images, None, unlabelled=how)
    listed = [_inside(tree, image, where) for image, _ in rows]
    unlisted = sorted(set(names) - set(listed))
    if unlisted:
        raise DataError(
            f"{where}: no label for {len(unlisted)} of {len(names)} images, for example"
            f" {unlisted[0]}; label them, or remove them"
        )
    images = [tree.address(name) for name in listed]
    return Listing(tree.name, tree.root, images, [label for _, label in rows])


def from_array(path: Path) -> Listing:
    """The rows of an npz, see :mod:`frerec.data.image_arrays`; errors as there."""
    array = open_image_array(path.absolute())
    how = f"save them as the array {array.label_name}, a whole number or a name for each image"
    images = array.addresses()
    return Listing(str(path), array.path.parent, images, array.labels, unlabelled=how)


def refuse_labels_beside(
    path: Path, labels: Path | None, own: str, keys: Keys = SAMPLE_KEYS
) -> None:
    """Raise ConfigError where a table is given for a set that has its own labels."""
    if labels is not None:
        raise ConfigError(f"{keys.labels}={labels}: {path} has its labels in {own}; leave it out")


def _inside(tree: Tree, image: str, where: str) -> str:
    """A listed image's name, normalised; DataError where it leads out or has no file."""
    file, *rest = parts = image.split(SEPARATOR)
    try:
        for part in parts:
            check_relative(part, tree.name)
    except DataError:
        raise DataError(
            f"{where}: image {image} leads out of {tree.name}; give a path relative to it"
        ) from None
    name = SEPARATOR.join([posixpath.normpath(file), *rest])
    there = parse_address(tree.root, name).blob.exists() if rest else name in tree
    if not there:
        place = parse_address(tree.root, name).name if rest else tree.blob(name).name
        raise DataError(f"{where}: no such file {place}; correct the table")
    return name


def _warn(note: str, tree: Tree) -> None:
    if note:
        log.warning("%s: %s", tree.name, note)
