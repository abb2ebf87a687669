"""What the diabetic-retinopathy sets share: a table of grades 0 to 4, and the task made of it.

The grades are those of the International Clinical Diabetic Retinopathy scale: 0 none, 1 mild,
2 moderate, 3 severe non-proliferative, 4 proliferative. The open sets overlap (Messidor images are
in several collections, EyePACS images in many copies): where two are combined, look for duplicates
among all their images first.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import by_filename
from frerec.data.tree import IMAGE_SUFFIXES, Tree, open_tree, read_table
from frerec.errors import ConfigError, DataError

TASKS: dict[int | None, tuple[str, ...]] = {
    1: ("no_dr", "dr"),
    2: ("not_referable", "referable"),
    3: ("not_severe", "severe"),
    4: ("not_proliferative", "proliferative"),
    None: ("0", "1", "2", "3", "4"),
}
"""Classes by threshold, in the order of their integers. The paper says only "diabetic retinopathy",
which we read as any, threshold 1. [ours]"""

_GRADE, _GRADABLE, _SOMETHING = r"[0-4](\.0*)?", r"[01](\.0*)?", r".+"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Graded:
    """Rows of a table: what it calls its images, and their grades."""

    names: tuple[str, ...]
    grades: tuple[int, ...]


def classes_of(threshold: int | None) -> tuple[str, ...]:
    """The task's classes, in the order of their integers.

    Args:
        threshold: the least grade that counts as positive, 1 to 4; None keeps five classes.

    Raises:
        ConfigError: another threshold.
    """
    if threshold not in list(TASKS) or isinstance(threshold, bool):
        raise ConfigError(
            f"data.threshold={threshold}: expected 1 (any retinopathy), 2 (referable), 3 (severe), "
            f"4 (proliferative) or null (the five grades as classes)"
        )
    return TASKS[threshold]


def labels_of(grades: Sequence[int], threshold: int | None) -> list[str]:
    """The class of each grade; errors as `classes_of`."""
    classes = classes_of(threshold)
    return [classes[g if threshold is None else int(g >= threshold)] for g in grades]


def read_grades(
    tree: Tree,
    table: str,
    image_column: str,
    grade_column: str,
    *,
    hint: str,
    gradable_column: str | None = None,
) -> Graded:
    """Read a table's images and grades; lines without any entry are left out.

    Args:
        tree: where the table lies.
        table: its name.
        image_column: the column of images' names, with or without suffix.
        grade_column: the column of grades.
        hint: what to do where a column is missing, for the message.
        gradable_column: another, 0 or 1; lines with 0 are left out and counted in the log.

    Raises:
        DataError: no such file or column; a line without an image, with a grade other than 0 to 4,
            or with another entry for gradable; no lines.
    """
    columns = [image_column, grade_column, *([gradable_column] if gradable_column else [])]
    cells = read_table(tree, table, columns, hint=hint).fillna("")
    cells = cells[(cells != "").any(axis=1)]
    file = tree.blob(table).name
    if gradable_column:
        _check(cells, gradable_column, _GRADABLE, "0 or 1", file)
        gradable = cells[gradable_column].str.startswith("1")
        _log.info("%s: %d ungradable images left out", file, int((~gradable).sum()))
        cells = cells[gradable]
    if cells.empty:
        raise DataError(f"{file}: no images; {hint}")
    _check(cells, image_column, _SOMETHING, "an image's name", file)
    _check(cells, grade_column, _GRADE, "0 to 4", file)
    return Graded(tuple(cells[image_column]), tuple(int(grade[0]) for grade in cells[grade_column]))


def _check(cells: pd.DataFrame, column: str, pattern: str, expected: str, file: str) -> None:
    """Raise DataError at the first line whose entry does not match."""
    bad = cells.index[~cells[column].str.fullmatch(pattern)]
    if len(bad):
        raise DataError(
            f"{file}: line {bad[0] + 2} has {column} {cells.at[bad[0], column]!r}, expected "
            f"{expected}; correct the line, or remove it"
        )


def bare(name: str) -> str:
    """An image's base name without its suffix."""
    base = name.rpartition("/")[2]
    suffix = next((s for s in IMAGE_SUFFIXES if base.lower().endswith(s)), "")
    return base[: len(base) - len(suffix)]


def find(
    tree: Tree,
    names: Sequence[str],
    otherwise: str,
    *,
    folder: str = "",
    prefer: Sequence[str] = (),
) -> list[str]:
    """Each image's file, by its `bare` name in any case.

    Copies of these sets differ in folders, and in the case and kind of suffix.

    Args:
        tree: where the images lie.
        names: of images.
        otherwise: the file of an image that is not there, with {} as its name.
        folder: the one below which they are looked for.
        prefer: see `layout.by_filename`.

    Raises:
        DataError: an image is there twice, see `layout.by_filename`.
    """
    stems = [bare(name) for name in names]
    wanted = dict.fromkeys(stem.lower() for stem in stems)
    files = by_filename(tree, folder=folder, key=_stem, wanted=wanted, prefer=prefer)
    return [files.get(stem.lower()) or otherwise.replace("{}", stem) for stem in stems]


def _stem(name: str) -> str:
    return bare(name).lower()


@dataclass(frozen=True)
class Part:
    """The images of one table.

    Attributes:
        images: their files' names.
        grades: as many.
        split: train, val or test.
        patients: as many, "" for one who is not known; None where no patient is.
    """

    images: Sequence[str]
    grades: Sequence[int]
    split: str = ""
    patients: Sequence[str] | None = None


class RetinopathySource(ABC):
    """A set of graded photographs, of which the task makes two classes or five.

    Args:
        root: the folder or zip archive with the tables.
        threshold: least grade of the positive class, 1 to 4; None keeps the five grades.
    """

    dataset: ClassVar[str]

    def __init__(self, root: str | Path, threshold: int | None = 1) -> None:
        self.root = root
        self.threshold = threshold
        self.classes = classes_of(threshold)

    @abstractmethod
    def parts(self, tree: Tree) -> list[Part]:
        """Read the tables and look for their images; a single part has no split."""

    def read(self) -> Manifest:
        """Read the tables and look for the images.

        Raises:
            DataError: no such folder; a table, a column, a grade or all images of a table are
                missing; an image is there twice; whatever else the set's `parts` finds wrong.
        """
        tree = open_tree(self.root)
        parts = self.parts(tree)
        labels = [label for part in parts for label in labels_of(part.grades, self.threshold)]
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for part in parts for image in part.images],
            labels=labels,
            splits=[part.split if len(parts) > 1 else "" for part in parts for _ in part.images],
            groups=[g for part in parts for g in part.patients or [""] * len(part.images)],
            dataset=self.dataset,
            classes=self.classes,
        )
