"""The manifest: the one table that every data set becomes, and the checks at its door."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from frerec.errors import DataError

COLUMNS = ("image", "label", "split", "group", "source", "dataset")
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
        table: columns `COLUMNS`, all strings, on a RangeIndex, plus an optional `hash` (sha256 of
            the file's bytes, hexadecimal). `split` is "" until assigned; `group` is the patient,
            or unique to the image where none is known; `source` is real or synthetic.
        root: the folder to which the posix paths in `image` are relative.
        classes: a label's integer is its position here; of two, position 1 is the positive one.
    """

    table: pd.DataFrame
    root: Path
    classes: tuple[str, ...]

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
        source: str = "real",
        dataset: str = "",
        classes: Sequence[str] | None = None,
    ) -> "Manifest":
        """Make a manifest from its columns, in order of `image`.

        A blank or missing group becomes one of the image's own (`image:PATH`); `classes` default
        to `order_classes` of the labels.
        """
        own = [f"image:{image}" for image in images]
        given = own if groups is None else [g or o for g, o in zip(groups, own, strict=True)]
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
        table = table.sort_values("image", kind="stable")
        return cls(table, root, order_classes(labels) if classes is None else tuple(classes))

    def __len__(self) -> int:
        return len(self.table)

    def path(self, row: int) -> Path:
        """The file of one row."""
        return self.root / str(self.table["image"].iat[row])

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
            frame = table.to_pandas()[
                [*COLUMNS, *(["hash"] if "hash" in table.schema.names else [])]
            ]
            return cls(frame, Path(extra["root"]) if root is None else root, extra["classes"])
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: not a manifest written by frerec ({reason})") from None


def hash_files(manifest: Manifest, *, num_workers: int | None = None) -> Manifest:
    """Add the column `hash`: sha256 of every file's bytes, read in threads.

    Raises:
        DataError: a file cannot be read.
    """

    def digest(row: int) -> str:
        path = manifest.path(row)
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None

    with ThreadPoolExecutor(num_workers or min(8, os.cpu_count() or 1)) as pool:
        return manifest.with_columns(hash=list(pool.map(digest, range(len(manifest)))))


def crossing_pairs(table: pd.DataFrame, key: str) -> list[tuple[int, int]]:
    """One pair of row numbers for each value of `key` that occurs in two splits ("" ignored)."""
    placed = table[table["split"] != ""]
    several = placed.groupby(key)["split"].transform("nunique") > 1
    pairs = []
    for _, rows in placed[several].groupby(key, sort=True):
        other = rows.index[(rows["split"] != rows["split"].iloc[0]).to_numpy()][0]
        pairs.append((int(rows.index[0]), int(other)))
    return sorted(pairs)


def check_leaks(manifest: Manifest) -> None:
    """Raise DataError where a patient or a file is in two splits (files named, patients never)."""
    table = manifest.table
    for key, what in (("group", "patients (groups)"), ("hash", "identical files")):
        if key not in table:
            continue
        pairs = crossing_pairs(table, key)
        if pairs:
            a, b = (f"{table['image'].iat[i]} ({table['split'].iat[i]})" for i in pairs[0])
            raise DataError(
                f"{manifest.root}: {len(pairs)} {what} are in more than one split, for example "
                f"{a} and {b}; correct the splits, or drop the train and val copies with "
                f"data.leaks=drop"
            )


def check_paths(manifest: Manifest) -> None:
    """Raise DataError where an image path is absolute, leaves the root, or has no file."""
    images = manifest.table["image"]
    for image in images:
        windows = PureWindowsPath(image)
        if PurePosixPath(image).is_absolute() or windows.is_absolute() or windows.drive:
            raise DataError(f"image {image}: absolute path; paths are relative to {manifest.root}")
        if ".." in PurePosixPath(image).parts:
            raise DataError(f"image {image}: '..' may not lead out of {manifest.root}")
    missing = [image for image in images if not (manifest.root / image).is_file()]
    if missing:
        raise DataError(
            f"{manifest.root / missing[0]}: no such file; {len(missing)} of the {len(images)} "
            f"images that are listed do not exist"
        )


def validate(manifest: Manifest, *, min_classes: int = 2, leaks: bool = True) -> None:
    """Check a manifest at the door; everything behind it may trust the table.

    Args:
        manifest: the table to check.
        min_classes: how many classes must have images (1 for images without labels).
        leaks: also check that no group and no file hash is in two splits.

    Raises:
        DataError: a column is missing; no images; an unknown label, split or source; too few
            classes; some images have a split and others none; a synthetic image in val or test; a
            path twice, absolute, outside the root, or without a file; a leak between splits.
    """
    table, root = manifest.table, manifest.root
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise DataError(f"{root}: the manifest lacks the columns {', '.join(absent)}")
    if table.empty:
        raise DataError(f"{root}: no images")
    allowed = {"label": manifest.classes, "split": ("", *SPLITS), "source": SOURCES}
    for column, values in allowed.items():
        bad = table.index[~table[column].isin(list(values))]
        if len(bad):
            found, image = table[column].iat[bad[0]], table["image"].iat[bad[0]]
            expected = ", ".join(v or "(blank)" for v in values)
            raise DataError(f"{image}: {column} is {found!r}, expected one of {expected}")
    present = [name for name in manifest.classes if name in set(table["label"])]
    if len(present) < min_classes:
        raise DataError(
            f"{root}: only one class, {', '.join(present)} ({len(table)} images); a classifier "
            f"needs at least {min_classes} classes (frerec fit alone: data.unlabelled=true)"
        )
    blank = table["split"] == ""
    if blank.any() and not blank.all():
        image = table["image"].iat[int(blank.to_numpy().argmax())]
        raise DataError(
            f"{root}: {int(blank.sum())} of {len(table)} images have no split, for example "
            f"{image}; give one to every image or to none"
        )
    held_out = table.index[(table["source"] == "synthetic") & table["split"].isin(["val", "test"])]
    if len(held_out):
        image, split = table["image"].iat[held_out[0]], table["split"].iat[held_out[0]]
        raise DataError(f"{image}: a synthetic image in {split}; val and test are real images only")
    twice = table.index[table["image"].duplicated()]
    if len(twice):
        raise DataError(f"{table['image'].iat[twice[0]]}: listed more than once in {root}")
    check_paths(manifest)
    if leaks:
        check_leaks(manifest)
