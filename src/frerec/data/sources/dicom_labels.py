"""Labels of DICOM files: by the folders they lie in, or by a table that may know them by UID."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from frerec.data.pseudonyms import pseudonym
from frerec.data.sources.label_table import LabelTable
from frerec.data.sources.layout import SPLIT_NAMES
from frerec.data.tree import Tree
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

    A line names a file by its path, by its name without folders, either with or without its suffix,
    or by its SOPInstanceUID. A name that matches no file is kept as it is, so that it is found
    missing later.

    Args:
        tree: where the files lie.
        files: names of all DICOM files.
        columns: where the labels stand.
        uids: gives the pseudonyms of files' SOPInstanceUIDs; asked only about files that no line
            has matched, and only where lines are left.

    Raises:
        DataError: whatever is wrong with the table, see `LabelTable.read`; a name that matches
            several files; names of which none matches.
    """
    table, where = columns.read(tree), tree.blob(columns.table).name
    cells = zip(table["image"], table["label"], table["split"], strict=True)
    rows = [Labelled(image, label, split) for image, label, split in cells]
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
        matched = {key: names or by_uid.get(pseudonym(key), []) for key, names in matched.items()}
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


def _bare(name: str) -> str:
    """Without the suffix, if it is one of DICOM's; a UID's last number is none."""
    return name.rpartition(".")[0] if name.lower().endswith(DICOM_SUFFIXES) else name
