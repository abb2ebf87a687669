"""The manifest: the one table that every data set becomes."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from frerec.data.address import Address, parse_address
from frerec.data.pseudonyms import OWN_GROUP, pseudonym
from frerec.errors import DataError

COLUMNS = ("image", "label", "split", "group", "source", "dataset")
FACTS = {
    "hash": "str",  # sha256 of the file's bytes
    "pixels": "str",  # sha256 of the decoded pixels, before resizing
    "phash": "str",  # perceptual hash of the same, 256 bits
    "height": "int64",  # decoded pixels, after cropping and before resizing
    "width": "int64",
    "format": "str",
    "mode": "str",
    "bits": "int64",
    "quality": "int64",  # of a JPEG, 0 otherwise
    "scale": "float64",  # side after resizing over side before; 1 was not touched
    "resizing": "str",  # what was done between decoding and the stack, in words
}
"""What is known of an image once it was decoded; see `readers.ImageHeader`."""
OPTIONAL = ("fold", *FACTS)
SPLITS = ("train", "val", "test")
SOURCES = ("real", "synthetic")

_NEGATIVE = re.compile(
    r"(no|non|not|without)[ _-].*|no|notumou?r|normal|healthy|negative|controls?|none|absent"
    r"|false|0"
)


def order_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Put class names in the order of their integers.

    Names that say "absent" (`no_...`, `normal`, `healthy`, `negative`, `false`, `0`, ...) come
    first, so that of two classes the finding is position 1, the positive one; the rest follow in
    natural order (`2` before `10`). [ours] `data.classes=[...]` says otherwise.
    """

    def key(name: str) -> tuple[bool, list[tuple[bool, int, str]], str]:
        parts = re.findall(r"\d+|\D+", name.casefold())
        natural = [(not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts]
        return (_NEGATIVE.fullmatch(name.casefold().strip()) is None, natural, name)

    return tuple(sorted(set(names), key=key))


@dataclass(frozen=True, eq=False)
class Manifest:
    """One row per image.

    Attributes:
        table: columns `COLUMNS`, all strings, on a RangeIndex, plus the optional ones: `fold` (the
            source's own, "0", "1", ..., or "") and `FACTS`. `image` is an address (see `address`);
            `split` is "" until assigned; `group` is the patient's pseudonym, or unique to the image
            where none is known; `source` is real or synthetic.
        root: the folder to which the addresses in `image` are relative.
        classes: a label's integer is its position here; of two, position 1 is the positive one.
        left_out: images that the source could not use and was told to skip, and why; only known
            on the manifest that a source returns.
    """

    table: pd.DataFrame
    root: Path
    classes: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", self.table.reset_index(drop=True))
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "classes", tuple(self.classes))

    @classmethod
    def build(
        cls,
        root: Path,
        *,
        images: Sequence[str],
        labels: Sequence[str],
        splits: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        folds: Sequence[str] | None = None,
        source: str = "real",
        dataset: str = "",
        classes: Sequence[str] | None = None,
        left_out: Sequence[tuple[str, str]] = (),
    ) -> "Manifest":
        """Make a manifest from its columns, in order of `image`.

        Groups are given as the data set names its patients and kept as pseudonyms; a blank or
        missing one becomes one of the image's own (`image:ADDRESS`). `classes` default to
        `order_classes` of the labels.

        Raises:
            DataError: the columns differ in length.
        """
        for what, column in (("labels", labels), ("splits", splits), ("groups", groups)):
            if column is not None and len(column) != len(images):
                raise DataError(f"{root}: {len(images)} images but {len(column)} {what}")
        own = [f"{OWN_GROUP}{image}" for image in images]
        given = own
        if groups is not None:
            named = {group: pseudonym(group) for group in set(groups) if group}
            given = [named.get(g, o) for g, o in zip(groups, own, strict=True)]
        table = pd.DataFrame(
            {
                "image": list(images),
                "label": list(labels),
                "split": [""] * len(images) if splits is None else list(splits),
                "group": given,
                "source": source,
                "dataset": dataset,
            },
            columns=list(COLUMNS),
            dtype="str",
        )
        if folds is not None:
            table["fold"] = pd.array([str(fold) for fold in folds], dtype="str")
        table = table.sort_values("image", kind="stable")
        names = order_classes(labels) if classes is None else tuple(classes)
        return cls(table, root, names, tuple(left_out))

    def __len__(self) -> int:
        return len(self.table)

    def address(self, row: int) -> Address:
        """Where the image of one row lies; DataError where its address may not be used."""
        return self.addresses[row]

    @cached_property
    def addresses(self) -> list[Address]:
        """Where each image lies; DataError where an address may not be used."""
        return [parse_address(self.root, image) for image in self.table["image"].tolist()]

    def label_indices(self) -> np.ndarray:
        """The labels as positions in `classes`, int64 [N]."""
        position = {name: i for i, name in enumerate(self.classes)}
        try:
            return np.array([position[name] for name in self.table["label"]], dtype=np.int64)
        except KeyError as missing:
            raise DataError(
                f"label {missing} is not one of the classes {', '.join(self.classes)}"
            ) from None

    def groups(self) -> np.ndarray:
        """Codes int64 [N], equal exactly where the group is equal."""
        codes, _ = pd.factorize(self.table["group"], sort=True)
        return codes.astype(np.int64)

    def where(self, *, split: str | None = None, source: str | None = None) -> np.ndarray:
        """Row numbers, int64, of a split, of a source, or of both."""
        keep = np.ones(len(self), dtype=bool)
        if split is not None:
            keep &= (self.table["split"] == split).to_numpy()
        if source is not None:
            keep &= (self.table["source"] == source).to_numpy()
        return np.flatnonzero(keep).astype(np.int64)

    def take(self, rows: Any) -> "Manifest":
        """The manifest of these rows (numbers or a mask), in the order given."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return Manifest(self.table.iloc[rows], self.root, self.classes)

    def with_columns(self, **columns: Any) -> "Manifest":
        """The same rows with some columns replaced or added."""
        return Manifest(self.table.assign(**columns), self.root, self.classes)

    def counts(self) -> pd.DataFrame:
        """Images per class (index, in order) and split (train, val, test, and "" where unset)."""
        columns = [*SPLITS, ""] if (self.table["split"] == "").any() else list(SPLITS)
        counts = pd.crosstab(self.table["label"], self.table["split"])
        counts = counts.reindex(index=list(self.classes), columns=columns, fill_value=0)
        return counts.astype("int64")

    def write(self, path: Path) -> None:
        """Write as parquet, atomically; classes and root travel in the file's metadata."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(self.table, preserve_index=False)
        extra = json.dumps({"classes": list(self.classes), "root": str(self.root)})
        table = table.replace_schema_metadata({**table.schema.metadata, b"frerec": extra.encode()})
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        pq.write_table(table, unfinished)
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path, root: Path | None = None) -> "Manifest":
        """Read what `write` wrote; `root` replaces the recorded one where the images moved.

        Raises:
            DataError: the file is missing, or is no manifest.
        """
        try:
            table = pq.read_table(path)
            extra = json.loads(table.schema.metadata[b"frerec"])
            frame = table.to_pandas()
            frame = frame[[*COLUMNS, *(name for name in OPTIONAL if name in frame)]]
            return cls(frame, Path(extra["root"]) if root is None else root, extra["classes"])
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: not a manifest written by frerec ({reason})") from None
