"""What there is to calibrate: a compact table of addresses, targets and labels."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from frerec.data.address import Address, parse_address
from frerec.data.suffixes import READ_SUFFIXES
from frerec.errors import DataError

_TEXT = pa.large_string()  # offsets of 64 bits: ten million names are more than 2 GiB of text


@dataclass(frozen=True)
class Plan:
    """One row per image: where it is read and where its PNG goes.

    The rows are columns of Arrow text, some 80 bytes an image, which other processes get as they
    are; nothing is listed again there.

    Attributes:
        root: What the addresses are relative to.
        table: ``source`` (an address, see :mod:`frerec.data.address`), ``target`` (a posix path
            below the output folder) and ``label`` (null where there is none).
        notes: One-line warnings about what the input holds and is left out.
    """

    root: Path
    table: Any
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def source(self, row: int) -> str:
        """A row's address, relative to the root."""
        return str(self.table["source"][row].as_py())

    def target(self, row: int) -> str:
        """A row's file below the output folder."""
        return str(self.table["target"][row].as_py())

    def address(self, row: int) -> Address:
        """Where a row's image is read.

        Raises:
            DataError: If the address is malformed or leads out of the root.
        """
        return parse_address(self.root, self.source(row))

    def without(self, targets: Iterable[str]) -> "Plan":
        """The rows whose target is none of these."""
        there = pc.is_in(self.table["target"], value_set=pa.array(targets, _TEXT))
        return Plan(self.root, self.table.filter(pc.invert(there)), self.notes)

    def part(self, number: int, parts: int) -> "Plan":
        """One of several runs of neighbouring rows, which differ in length by one at most."""
        first, last = (len(self) * k // parts for k in (number, number + 1))
        return Plan(self.root, self.table.slice(first, last - first), self.notes)

    def has_labels(self) -> bool:
        """Whether any row has a label."""
        return int(self.table["label"].null_count) < len(self)


def make_plan(
    root: Path,
    sources: Sequence[str],
    targets: Sequence[str],
    labels: Sequence[str | None] | None = None,
    notes: Iterable[str] = (),
) -> Plan:
    """A plan of rows in this order.

    Raises:
        DataError: If two sources would become one file, or one a file and another its folder;
            both are named.
    """
    table = pa.table(
        {
            "source": pa.chunked_array([pa.array(sources, _TEXT)]),
            "target": pa.chunked_array([pa.array(targets, _TEXT)]),
            "label": pa.chunked_array(
                [pa.nulls(len(sources), _TEXT) if labels is None else pa.array(labels, _TEXT)]
            ),
        }
    )
    _check_collisions(table)
    return Plan(root, table, tuple(notes))


# The output's own files; a folder of images cannot have their names.
RESERVED = {"frerec.json", "frerec.parquet", "labels.csv", "skipped.csv"}


def png_name(name: str) -> str:
    """The output's name for an image's: the suffix of an image becomes ``.png``.

    Any other suffix stays: DICOM files are often named by a UID, ``1.2.840.113``.
    """
    stem, suffix = posixpath.splitext(name)
    return f"{stem if suffix.lower() in READ_SUFFIXES else name}.png"


def folders_of(names: Any) -> list[str]:
    """The distinct folders of posix paths in an Arrow column, "" for those in none."""
    folders = pc.replace_substring_regex(names, "/?[^/]*$", "")
    return [str(folder) for folder in pc.unique(folders).to_pylist()]


def _check_collisions(table: Any) -> None:
    order = pc.sort_indices(table["target"])
    ordered = pc.take(table["target"], order)
    same = pc.equal(ordered.slice(1), ordered.slice(0, max(0, len(ordered) - 1)))
    first = pc.index(same, True).as_py()
    if first >= 0:
        one, other = sorted(order[first + k].as_py() for k in (0, 1))
        a, b = (table["source"][k].as_py() for k in (one, other))
        if a == b:
            raise DataError(f"{a}: is listed twice (images {one + 1} and {other + 1}); remove one")
        raise DataError(
            f"{a} and {b}: both would become {table['target'][one].as_py()}; rename one"
        )
    folders: set[str] = set()
    for folder in folders_of(table["target"]):
        while folder and folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    for name in sorted(folders & RESERVED):
        raise DataError(
            f"{name}: a folder of images or a label of this name would stand where the output's own"
            f" file {name} belongs; rename it"
        )
    blocked = pc.index(
        pc.is_in(table["target"], value_set=pa.array(sorted(folders), _TEXT)), True
    ).as_py()
    if blocked >= 0:
        name = table["target"][blocked].as_py()
        raise DataError(
            f"{table['source'][blocked].as_py()}: would become {name}, which is also the folder of"
            " other images; rename one"
        )
