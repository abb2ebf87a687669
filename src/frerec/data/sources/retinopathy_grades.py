"""What the diabetic-retinopathy sets share: a table of grades 0 to 4, and the task made of it.

The grades are those of the International Clinical Diabetic Retinopathy scale: 0 none, 1 mild,
2 moderate, 3 severe non-proliferative, 4 proliferative. The open sets overlap (Messidor images are
in several collections, EyePACS images in many copies): where two are combined, look for duplicates
among all their images first.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from frerec.data.sources.layout import locate
from frerec.data.tree import IMAGE_SUFFIXES, Tree, read_table
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


def locate_if_any(tree: Tree, filename: str, expected: str, url: str) -> str | None:
    """As `layout.locate`, but None where there is no file that is called so."""
    if any(name.rpartition("/")[2] == filename for name in tree.files(suffixes=None)):
        return locate(tree, filename, expected, url)
    return None


def bare(name: str) -> str:
    """An image's base name without its suffix."""
    base = name.rpartition("/")[2]
    suffix = next((s for s in IMAGE_SUFFIXES if base.lower().endswith(s)), "")
    return base[: len(base) - len(suffix)]


def by_stem(tree: Tree, folder: str = "") -> dict[str, str]:
    """Names of the images below a folder by `bare` name in lower case; the first of a name.

    Copies of these sets differ in folders, and in the case and kind of suffix.
    """
    found: dict[str, str] = {}
    for name in tree.files(folder):
        found.setdefault(bare(name).lower(), name)
    return found


def find(files: Mapping[str, str], names: Sequence[str], otherwise: str) -> list[str]:
    """Each image's file among `by_stem`; where there is none, `otherwise` with {} as its name."""
    stems = [bare(name) for name in names]
    return [files.get(stem.lower()) or otherwise.format(stem) for stem in stems]
