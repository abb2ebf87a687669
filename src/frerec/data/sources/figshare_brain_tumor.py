"""Cheng's brain tumour set on figshare: 3,064 T1 contrast slices of 233 patients, MATLAB files."""

import io
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from frerec.data.address import SEPARATOR, Blob
from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers.matlab import SIGNATURE as HDF5
from frerec.data.readers.matlab import read_numbers, read_scalar, read_text
from frerec.data.sources.layout import one_of, unexpected
from frerec.data.sources.tasks import choose_task
from frerec.data.tree import Tree, ZipTree, open_tree
from frerec.errors import DataError

URL = "https://doi.org/10.6084/m9.figshare.1512427"
LABELS = ("meningioma", "glioma", "pituitary")
"""In the order of the published integers, from 1."""

_EXPECTED = "1.mat, 2.mat, ... or brainTumorDataPublic_1-766.zip, ..., and cvind.mat"
_ARCHIVE = re.compile(r"brainTumorDataPublic.*\.zip", re.IGNORECASE)
_FOLDS = "cvind.mat"


class FigshareBrainTumorSource:
    """`N.mat` for N = 1 ... 3064, loose or still in the four zips, and `cvind.mat`; CC BY 4.0.

    Each file is MATLAB v7.3 with `cjdata/{label,PID,image,tumorBorder,tumorMask}`: label 1
    meningioma (708), 2 glioma (1,426), 3 pituitary (930); int16, normally 512 x 512. The only set
    of its kind with patient ids. `cvind.mat` (MATLAB v7.3 or v5) has the published five folds, a
    number of 1 to 5 for each image in order of N, which become folds 0 to 4; it may be absent.
    There is no published train and test split.

    Archives named `brainTumorDataPublic...zip` are read without being unpacked; an image that also
    lies loose is read there. [ours]

    Args:
        root: the folder with the files or archives, or one zip of loose files.
        keep, positive: which labels are told apart, see `tasks.choose_task`.
        on_error: `raise` at a file whose label cannot be read, or `skip` and list it.
    """

    def __init__(
        self,
        root: str | Path,
        keep: str | Sequence[str] | None = None,
        positive: str | Sequence[str] | None = None,
        on_error: str = "raise",
    ) -> None:
        one_of("on_error", on_error, ("raise", "skip"))
        self.root = root
        self.task = choose_task(LABELS, keep=keep, positive=positive)
        self.on_error = on_error

    def read(self) -> Manifest:
        """Read every file's label and patient.

        Raises:
            DataError: no such files; one is there twice; a file that is damaged, or without label
                or patient; folds that are not one number of 1 to 5 for each image.
        """
        tree = open_tree(self.root)
        files = _numbered(tree)
        if not files:
            raise unexpected(tree, "N.mat files", _EXPECTED, URL)
        folds = _folds(tree, files)
        facts = in_threads(self._facts, files.values(), total=len(files), what="reading labels")
        read: dict[int, tuple[str, str]] = {}
        left_out: list[tuple[str, str]] = []
        for number, fact in zip(files, facts, strict=True):
            if isinstance(fact, DataError):
                left_out.append((files[number][0], str(fact)))
            else:
                read[number] = fact
        rows = [n for n, (label, _) in read.items() if label in self.task.of]
        return Manifest.build(
            tree.root,
            images=[files[n][0] for n in rows],
            labels=[self.task.of[read[n][0]] for n in rows],
            groups=[read[n][1] for n in rows],
            folds=None if folds is None else [folds[n] for n in rows],
            dataset="figshare_brain_tumor",
            classes=self.task.classes,
            left_out=left_out,
        )

    def _facts(self, file: tuple[str, Blob]) -> tuple[str, str] | DataError:
        """Label and patient of one file; the error where it is to be skipped."""
        _, blob = file
        try:
            number = read_scalar(blob, "cjdata/label")
            if number not in (1, 2, 3):
                raise DataError(f"{blob.name}: cjdata/label is {number:g}, expected 1, 2 or 3")
            patient = read_text(blob, "cjdata/PID").strip()
            if not patient:
                raise DataError(
                    f"{blob.name}: cjdata/PID is blank, expected the patient; get the file from "
                    f"{URL}, or leave it out with data.on_error=skip"
                )
            return LABELS[int(number) - 1], patient
        except DataError as error:
            if self.on_error == "raise":
                raise
            return error


def _numbered(tree: Tree) -> dict[int, tuple[str, Blob]]:
    """Address and bytes of every N.mat, in order of N."""
    found: dict[int, tuple[str, Blob]] = {}
    for name in tree.files(suffixes=(".mat",)):
        _add(tree, found, tree.address(name), tree.blob(name))
    archived: dict[int, tuple[str, Blob]] = {}
    for archive in tree.files(suffixes=(".zip",)):
        if not _ARCHIVE.fullmatch(PurePosixPath(archive).name):
            continue
        if isinstance(tree, ZipTree):
            raise DataError(
                f"data.root={tree.name}: {archive} is an archive in an archive; unpack the outer "
                f"one (only that), and give the folder"
            )
        inner = ZipTree(tree.root / archive)
        for name in inner.files(suffixes=(".mat",)):
            blob = inner.blob(name)
            _add(tree, archived, f"{archive}{SEPARATOR}{blob.member}", blob)
    merged = {**archived, **found}
    return {number: merged[number] for number in sorted(merged)}


def _add(tree: Tree, found: dict[int, tuple[str, Blob]], address: str, blob: Blob) -> None:
    stem = PurePosixPath(blob.filename).stem
    if not stem.isdecimal():
        return
    if int(stem) in found:
        raise DataError(
            f"data.root={tree.name}: image {stem} is there twice, {found[int(stem)][0]} and "
            f"{address}; give the folder that holds the one you mean"
        )
    found[int(stem)] = (address, blob)


def _folds(tree: Tree, files: dict[int, tuple[str, Blob]]) -> dict[int, str] | None:
    """Each image's fold, None where there is no list of them."""
    names = [n for n in tree.files(suffixes=(".mat",)) if PurePosixPath(n).name.lower() == _FOLDS]
    if not names:
        return None
    blob = tree.blob(names[0])
    numbers = _fold_numbers(blob)
    if list(files) != list(range(1, len(numbers) + 1)):
        raise DataError(
            f"{blob.name}: {len(numbers)} folds for {len(files)} images; expected one each for "
            f"1.mat to {len(numbers)}.mat: complete the set from {URL}, or take this file away to "
            f"do without published folds"
        )
    if not np.isin(numbers, (1, 2, 3, 4, 5)).all():
        bad = numbers[~np.isin(numbers, (1, 2, 3, 4, 5))][0]
        raise DataError(f"{blob.name}: fold {bad:g}, expected 1 to 5; get the file from {URL}")
    return {n: str(int(fold) - 1) for n, fold in zip(files, numbers, strict=True)}


def _fold_numbers(blob: Blob) -> np.ndarray:
    """The variable `cvind`, flat; MATLAB v5 goes to SciPy, v7.3 to our reader."""
    data = blob.read()
    file: Any = io.BytesIO(data)
    if HDF5 in (data[:8], data[512:520]):
        return np.asarray(read_numbers(blob, "cvind")).ravel()
    from scipy.io import loadmat

    try:
        found = loadmat(file, variable_names=["cvind"])
        return np.asarray(found["cvind"], dtype=np.float64).ravel()
    except Exception as error:  # SciPy raises all sorts of errors on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{blob.name}: cannot be read as a MATLAB file with cvind ({reason}); get it from "
            f"{URL}, or take it away to do without published folds"
        ) from None
