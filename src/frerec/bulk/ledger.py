"""The table beside calibrated images that tells of what each was made."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frerec.errors import DataError

LEDGER = "frerec.parquet"
_SCHEMA = pa.schema(
    [("target", pa.large_string()), ("settings", pa.int64()), ("source", pa.int64())]
)


def entries(targets: Any, settings: int, stamps: Any) -> Any:
    """Rows of the table: images below the folder, and what each is made with and of.

    Args:
        targets: Arrow text, posix paths.
        settings: A number for the model and the settings.
        stamps: Of the sources, see :mod:`frerec.bulk.stamps`.
    """
    columns = [targets, pa.repeat(settings, len(targets)), stamps]
    return pa.table(dict(zip(_SCHEMA.names, columns, strict=True))).cast(_SCHEMA)


def read_ledger(folder: Path) -> Any:
    """A folder's table; an empty one where there is none, or a damaged one.

    Then nothing is known of the images there, which is how others' images are taken.
    """
    try:
        return pq.read_table(folder / LEDGER, partitioning=None).cast(_SCHEMA)
    except (OSError, pa.ArrowException, ValueError):
        return _SCHEMA.empty_table()


def write_ledger(folder: Path, table: Any) -> None:
    """Write it under a temporary name, then rename.

    Raises:
        DataError: If it cannot be written.
    """
    path = folder / LEDGER
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        pq.write_table(table, partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written ({error.strerror}); free space") from None


def among(targets: Any, names: Any) -> Any:
    """Whether each target is one of the names, Arrow booleans."""
    return pc.is_in(targets, value_set=column(names))


def column(names: Any) -> Any:
    """Names as one Arrow array of text."""
    if isinstance(names, pa.ChunkedArray):
        return names.combine_chunks()
    return pa.array(names if isinstance(names, list) else list(names), pa.large_string())


def replaced(table: Any, new: Any) -> Any:
    """A table with some rows, which take the place of those of the same target."""
    kept = table.filter(pc.invert(among(table["target"], new["target"])))
    return pa.concat_tables([kept, new]).combine_chunks()


def without(table: Any, names: Iterable[str]) -> Any:
    """A table without the rows of some targets."""
    return table.filter(pc.invert(among(table["target"], names)))


def compare(table: Any, wanted: Any) -> tuple[Any, Any]:
    """What a table says of wanted rows.

    Returns:
        Arrow booleans, whether each was made with the same settings, and whether of the same
        source.
    """
    place = pc.index_in(wanted["target"], value_set=column(table["target"]))
    found = [
        pc.fill_null(pc.equal(pc.take(table[name], place), wanted[name]), False)
        for name in ("settings", "source")
    ]
    return found[0], found[1]
