"""Labels of DICOM files: by the folders they lie in, or by a table that may know them by UID."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from frerec.data.sources.layout import SPLIT_NAMES
from frerec.data.tree import Tree, read_table
from frerec.errors import DataError

DICOM_SUFFIXES = (".dcm", ".dicom")
_LAYOUT = "CLASS/image.dcm or SPLIT/CLASS/image.dcm"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """A file's name in the tree, its class, and its split ("" where none is given)."""

    name: str
    label: str
    split: str


@dataclass(frozen=True)
class LabelTable:
    """Where the labels stand; as `CsvSource`, except how a file is named.

    Attributes:
        table: the CSV file, relative to the root.
        image_column: a file's path, its name without folders, either with or without its suffix, or
            its SOPInstanceUID.
        label_column: must exist.
        split_column: train, val, test or blank; the default `split` may be absent.
        label_map: from labels to classes, None to leave out; it must cover all labels.
    """

    table: str
    image_column: str = "image"
    label_column: str = "label"
    split_column: str | None = "split"
    label_map: Mapping[str, str | None] | None = None


def labels_by_folder(tree: Tree, files: Sequence[str]) -> list[Labelled]:
    """`CLASS/...` or `SPLIT/CLASS/...`, nested as deep as they like below.

    Raises:
        DataError: a file outside of class folders; split folders beside class folders.
    """
    parts = [name.split("/") for name in files]
    tops = {part[0] for part in parts if len(part) > 1}
    splits = sorted(top for top in tops if top.casefold() in SPLIT_NAMES)
    depth = 1 if splits and len(splits) == len(tops) else 0
    stray = next((part for part in parts if len(part) < depth + 2), None)
    if stray is not None:
        raise DataError(
            f"{tree.blob('/'.join(stray)).name}: this file is in no class folder (expected "
            f"{_LAYOUT}); move it into one, or give a table with data.labels=labels.csv"
        )
    if splits and not depth:
        others = ", ".join(sorted(tops - set(splits)))
        raise DataError(
            f"data.root={tree.name}: the folder {splits[0]} is named like a split, but {others} "
            f"beside it is not; keep only split folders or only class folders here"
        )
    split_of = [SPLIT_NAMES[part[0].casefold()] if depth else "" for part in parts]
    triples = zip(files, parts, split_of, strict=True)
    return [Labelled(name, part[depth], split) for name, part, split in triples]


def labels_by_table(
    tree: Tree,
    files: Sequence[str],
    columns: LabelTable,
    uids: Callable[[Sequence[str]], Sequence[str]],
) -> list[Labelled]:
    """One file a line. Files that no line names are left out and counted.

    A name that matches no file is kept as it is, so that it is found missing later.

    Args:
        tree: where the files lie.
        files: names of all DICOM files.
        columns: where the labels stand.
        uids: gives the SOPInstanceUIDs of files; asked only about files that no line has matched,
            and only where lines are left.

    Raises:
        DataError: no such table or column; a blank name or label; an unknown split; a label that
            the map lacks; a name that matches several files; names of which none matches.
    """
    rows, where = _rows(tree, columns), tree.blob(columns.table).name
    if not rows:
        raise DataError(f"{where}: no images; the table or the label map is empty")
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in files:
        base = PurePosixPath(name).name
        for key in dict.fromkeys((name, base, _bare(name), _bare(base))):
            by_key[key].append(name)
    matched = {row.name: by_key.get(row.name, []) for row in rows}
    if not all(matched.values()):
        taken = {name for names in matched.values() for name in names}
        rest = [name for name in files if name not in taken]
        by_uid: dict[str, list[str]] = defaultdict(list)
        for uid, name in zip(uids(rest), rest, strict=True):
            by_uid[uid].append(name)
        matched = {key: names or by_uid.get(key, []) for key, names in matched.items()}
    several = next((key for key, names in matched.items() if len(names) > 1), None)
    if several is not None:
        a, b = matched[several][:2]
        raise DataError(f"{where}: {several} may be {a} or {b}; write the path from data.root")
    if not any(matched.values()):
        raise DataError(
            f"{where}: none of its {len(rows)} names in the column {columns.image_column} is the "
            f"path, name or SOPInstanceUID of a DICOM file below {tree.name}, for example "
            f"{rows[0].name}"
        )
    found = [Labelled(next(iter(matched[r.name]), r.name), r.label, r.split) for r in rows]
    unnamed = len(set(files) - {row.name for row in found})
    if unnamed:
        _log.info("%s: %d of %d DICOM files are not listed, left out", where, unnamed, len(files))
    return found


def _rows(tree: Tree, columns: LabelTable) -> list[Labelled]:
    """The table's lines, images named as it names them, without those that are mapped to None."""
    split_column = columns.split_column
    needed = [columns.image_column, columns.label_column]
    if split_column not in (None, "split"):
        needed.append(str(split_column))
    hint = "choose with data.labels, data.image_column, data.label_column or data.split_column"
    table = read_table(tree, columns.table, needed, hint=hint)
    where = tree.blob(columns.table).name
    for column in needed[:2]:
        if (table[column] == "").any():
            line = int((table[column] == "").to_numpy().argmax()) + 2
            raise DataError(f"{where}: line {line} has no {column}; fill it in, or remove the line")
    splits = table[split_column].tolist() if split_column in table else [""] * len(table)
    for line, split in enumerate(splits, start=2):
        if split and split.casefold() not in SPLIT_NAMES:
            raise DataError(
                f"{where}: line {line} has {split_column} {split!r}; expected train, val, test or "
                f"blank"
            )
    labels = table[columns.label_column].tolist()
    if columns.label_map is None:
        to_class: dict[str, str | None] = {label: label for label in labels}
    else:
        to_class = {str(label): name for label, name in columns.label_map.items()}
    unknown = sorted(set(labels) - set(to_class))
    if unknown:
        raise DataError(
            f"{where}: data.label_map lacks the labels {', '.join(unknown)}; map them to a class, "
            f"or to null to leave them out"
        )
    return [
        Labelled(image, str(to_class[label]), SPLIT_NAMES.get(split.casefold(), ""))
        for image, label, split in zip(table[columns.image_column], labels, splits, strict=True)
        if to_class[label] is not None
    ]


def _bare(name: str) -> str:
    """Without the suffix, if it is one of DICOM's; a UID's last number is none."""
    return name.rpartition(".")[0] if name.lower().endswith(DICOM_SUFFIXES) else name
