"""Sets of samples that frerec itself wrote: which images they hold, and whether all are there."""

import io
import json
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from frerec.data.address import ARCHIVE_SUFFIX, SEPARATOR, parse_address
from frerec.data.manifest import Manifest
from frerec.data.tree import FolderTree, Tree, open_tree, read_table
from frerec.errors import DataError
from frerec.samples.listings import Listing
from frerec.samples.set_folder import CARD, MANIFEST, UNFINISHED

_LEDGER, _SKIPPED = "frerec.parquet", "skipped.csv"


def is_generated(tree: Tree) -> bool:
    """Whether `frerec generate` wrote it; DataError where it has not finished."""
    if UNFINISHED in tree:
        raise DataError(
            f"{tree.name}: frerec generate has not finished there ({UNFINISHED}); run frerec"
            " generate again to finish it"
        )
    return CARD in tree and MANIFEST in tree


class GeneratedRows(NamedTuple):
    """The columns of an output's manifest, in its order.

    Attributes:
        names: Relative to the output.
        addresses: Relative to the tree's root.
        labels: The classes.
        groups: Pseudonyms of patients, or the samples' own.
    """

    names: list[str]
    addresses: list[str]
    labels: list[str]
    groups: list[str]


def generated_rows(tree: Tree) -> GeneratedRows:
    """An output of `frerec generate`'s own manifest, and nothing else that lies there.

    Raises:
        DataError: If the manifest is damaged, lists real images, or an image is not there.
    """
    where = tree.blob(MANIFEST).name
    try:
        columns = ["image", "label", "group", "source"]
        table = pq.read_table(io.BytesIO(tree.blob(MANIFEST).read()), columns=columns)
        images, labels, groups, sources = (table[name].to_pylist() for name in columns)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{where}: not a manifest written by frerec ({reason})") from None
    if set(sources) - {"synthetic"}:
        raise DataError(f"{where}: lists images that are not synthetic; give samples")
    addresses = [_address(tree, name) for name in images]
    blobs = [parse_address(tree.root, address).blob for address in addresses]
    there = {blob: blob.exists() for blob in set(blobs)}
    missing = [name for name, blob in zip(images, blobs, strict=True) if not there[blob]]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of the {len(images)} images that it lists are not there, for"
            f" example {missing[0]}; run frerec generate again to make them"
        )
    return GeneratedRows(images, addresses, labels, groups)


def from_generated(tree: Tree) -> Listing:
    """The same as a listing; errors as :func:`generated_rows`."""
    rows = generated_rows(tree)
    return Listing(tree.name, tree.root, rows.addresses, rows.labels, rows.groups)


def read_generated(directory: Path) -> Manifest:
    """The manifest of a folder's output, finished or not; errors as :func:`generated_rows`."""
    generated_rows(FolderTree(directory.absolute()))
    return Manifest.read(directory / MANIFEST, root=directory)


def _address(tree: Tree, name: str) -> str:
    """Of a row of the manifest, which may name an image in a file of many, ``set.npz::arr_0/3``."""
    if isinstance(tree, FolderTree):
        return name
    file, separator, index = name.partition(SEPARATOR)
    return f"{tree.address(file)}{separator}{index}"


def real_data_of(path: Path) -> str | None:
    """The fingerprint of the data whose real images a set holds; None where it holds none.

    Known of what `frerec generate` wrote of an oracle, of a folder or a table in it and of a zip
    archive of it, by ``samples.json``; "" where that does not say of which data.

    Raises:
        DataError: If that file is damaged.
    """
    outer, _, _ = str(path).partition(SEPARATOR)
    file = Path(outer).expanduser()
    if file.is_file() and file.suffix.lower() == ARCHIVE_SUFFIX:
        trees: list[Tree] = [open_tree(path, key="samples.path")]
    else:
        places = (file, file.resolve(), file.resolve().parent)
        trees = [FolderTree(place) for place in places if place.is_dir()]
    for tree in trees:
        for name in (CARD, UNFINISHED):
            if name in tree:
                found = _real_data(tree, name)
                if found is not None:
                    return found
    return None


def _real_data(tree: Tree, name: str) -> str | None:
    try:
        card = json.loads(tree.blob(name).read())
        return str(card.get("data") or "") if card.get("real") else None
    except (ValueError, AttributeError):
        raise DataError(f"{tree.blob(name).name}: damaged; make the samples anew") from None


def missing_calibrated(tree: Tree) -> int:
    """How many images an output of `frerec calibrate` lacks, beyond those that it skipped.

    0 where it is none. It may have been interrupted, or images removed on purpose.
    """
    if _LEDGER not in tree:
        return 0
    try:
        ledger = pq.read_table(io.BytesIO(tree.blob(_LEDGER).read()), columns=["target"])
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return 0
    there = set(tree.files())
    skipped = len(read_table(tree, _SKIPPED)) if _SKIPPED in tree else 0
    return max(0, sum(name not in there for name in ledger["target"].to_pylist()) - skipped)
