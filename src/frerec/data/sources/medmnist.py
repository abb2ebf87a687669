"""MedMNIST+ (Yang et al., Scientific Data 2023): ChestMNIST and RetinaMNIST, one npz a size."""

import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from filelock import FileLock

from frerec.data.address import SEPARATOR, Blob
from frerec.data.manifest import SPLITS, Manifest
from frerec.data.readers.npz import array_shapes, read_array, row_index
from frerec.data.sources.layout import one_of, unexpected
from frerec.data.sources.retinopathy_grades import classes_of
from frerec.data.tree import Tree, open_tree
from frerec.errors import ConfigError, DataError

URL = "https://medmnist.com (files: https://zenodo.org/records/10519652), or data.download=true"
SIZES = (28, 64, 128, 224)
CHEST_FINDINGS = (
    "atelectasis",
    "cardiomegaly",
    "effusion",
    "infiltration",
    "mass",
    "nodule",
    "pneumonia",
    "pneumothorax",
    "consolidation",
    "edema",
    "emphysema",
    "fibrosis",
    "pleural",
    "hernia",
)
"""Columns of ChestMNIST's labels, in their order."""
_LABEL_LIMIT = 2**26


class MedMnistSource(ABC):
    """`FLAG_SIZE.npz` (`FLAG.npz` at 28 px) with `{train,val,test}_{images,labels}`, uint8.

    The publisher resized all images, so that their high frequencies are those of its resampling,
    not of the camera. Its splits are kept. The files name no patients: every image stands alone.

    Args:
        root: the folder or zip archive with the npz, or the npz itself.
        size: side in pixels, one of `SIZES`.
        download: fetch the npz into `root` where it is not there (needs the package `medmnist`,
            which knows addresses and checksums). Nothing is ever fetched otherwise.
    """

    flag: ClassVar[str]
    label_columns: ClassVar[int]
    colour: ClassVar[bool]
    largest_label: ClassVar[int]
    classes: tuple[str, ...]

    def __init__(self, root: str | Path, size: int = 128, download: bool = False) -> None:
        one_of("size", size, SIZES)
        self.root = root
        self.size = size
        self.download = download

    @abstractmethod
    def choose(self, labels: np.ndarray) -> np.ndarray:
        """Positions in `classes`, int [N], -1 to leave out, by labels [N, label_columns]."""

    def read(self) -> Manifest:
        """Read the labels and the arrays' shapes; no image is decoded.

        Raises:
            DataError: no such file; an array that is missing, or has another shape or type; labels
                that do not exist.
            ConfigError: a download that is not possible.
        """
        tree, name = self._file()
        address = tree.address(name)
        images, labels, splits = [], [], []
        for split in SPLITS:
            chosen = self.choose(self._labels(tree.blob(name), split))
            rows = np.flatnonzero(chosen >= 0)
            images += [f"{address}{SEPARATOR}{row_index(f'{split}_images', int(r))}" for r in rows]
            labels += [self.classes[c] for c in chosen[rows]]
            splits += [split] * len(rows)
        return Manifest.build(
            tree.root,
            images=images,
            labels=labels,
            splits=splits,
            dataset=self.flag,
            classes=self.classes,
        )

    @property
    def filename(self) -> str:
        """As published."""
        return f"{self.flag}.npz" if self.size == 28 else f"{self.flag}_{self.size}.npz"

    def _file(self) -> tuple[Tree, str]:
        """The npz: the root itself, or in it, or downloaded to there."""
        path = Path(self.root).expanduser()
        is_npz = path.suffix.lower() == ".npz" and not path.is_dir()
        folder, name = (path.parent, path.name) if is_npz else (path, self.filename)
        archive = folder.is_file()
        if self.download and name == self.filename and not archive:
            fetch(self.flag, name, folder)
        tree = open_tree(folder)
        if name not in tree:
            raise unexpected(tree, name, f"{self.filename} for data.size={self.size}", URL)
        return tree, name

    def _labels(self, blob: Blob, split: str) -> np.ndarray:
        """The labels [N, label_columns] of a split, once its arrays have the right shapes."""
        shapes = array_shapes(blob)
        images, labels = f"{split}_images", f"{split}_labels"
        absent = next((array for array in (images, labels) if array not in shapes), None)
        if absent is not None:
            have = ", ".join(sorted(shapes)[:8]) or "nothing"
            raise DataError(f"{blob.name}: no array {absent}; it has {have}; get it from {URL}")
        pixels = (self.size, self.size, 3) if self.colour else (self.size, self.size)
        for array, expected, why in (
            (images, (shapes[images][0], *pixels), f"for data.size={self.size}"),
            (labels, (shapes[images][0], self.label_columns), "one line for each image"),
        ):
            if shapes[array] != expected:
                raise DataError(
                    f"{blob.name}: {array} has the shape {shapes[array]}, expected {expected}, "
                    f"{why}; get it from {URL}"
                )
        values = read_array(blob, labels, _LABEL_LIMIT)
        integers = np.issubdtype(values.dtype, np.integer)
        if not integers or not np.isin(values, range(self.largest_label + 1)).all():
            found = f"{values.min()} to {values.max()}" if integers else f"{values.dtype} numbers"
            raise DataError(
                f"{blob.name}: {labels} has {found}, expected integers from 0 to "
                f"{self.largest_label}; get it from {URL}"
            )
        return values


class ChestMnistSource(MedMnistSource):
    """112,120 radiographs of NIH ChestX-ray14 with its 14 findings: 78,468 + 11,219 + 22,433.

    The publisher calls this the official split, yet NIH's own lists have 86,524 + 25,596. Whether
    it is disjoint by patient is not stated, and cannot be told from the file.

    Args:
        root, size, download: see `MedMnistSource`.
        finding: the positive class, one of `CHEST_FINDINGS`.
        negative: `rest`, all images without the finding, or `no_finding`, only those without any
            of the 14, so that images with other findings are left out. [ours]
    """

    flag = "chestmnist"
    label_columns = len(CHEST_FINDINGS)
    colour = False
    largest_label = 1

    def __init__(
        self,
        root: str | Path,
        size: int = 128,
        download: bool = False,
        finding: str = "cardiomegaly",
        negative: str = "rest",
    ) -> None:
        super().__init__(root, size, download)
        one_of("finding", finding, CHEST_FINDINGS)
        one_of("negative", negative, ("rest", "no_finding"))
        self.finding = finding
        self.negative = negative
        self.classes = ("no_finding" if negative == "no_finding" else f"no_{finding}"), finding

    def choose(self, labels: np.ndarray) -> np.ndarray:
        """See `MedMnistSource`."""
        positive = labels[:, CHEST_FINDINGS.index(self.finding)] == 1
        others = (labels == 1).any(axis=1) & ~positive
        left_out = others if self.negative == "no_finding" else np.zeros_like(others)
        return np.where(left_out, -1, positive.astype(int))


class RetinaMnistSource(MedMnistSource):
    """1,600 fundus photographs of DeepDRiD with grades 0 to 4: 1,080 + 120 + 400.

    Train and val were cut at random, 9 to 1, from DeepDRiD's training set, which has several images
    of each patient: patients are very probably in both. [ours]

    Args:
        root, size, download: see `MedMnistSource`.
        threshold: the least grade that is positive: 1 for any retinopathy, 2 for referable, ...;
            None keeps five classes.
    """

    flag = "retinamnist"
    label_columns = 1
    colour = True
    largest_label = 4

    def __init__(
        self, root: str | Path, size: int = 128, download: bool = False, threshold: int | None = 1
    ) -> None:
        super().__init__(root, size, download)
        self.threshold = threshold
        self.classes = classes_of(threshold)

    def choose(self, labels: np.ndarray) -> np.ndarray:
        """See `MedMnistSource`."""
        grades = labels[:, 0].astype(int)
        return grades if self.threshold is None else (grades >= self.threshold).astype(int)


def fetch(flag: str, filename: str, folder: Path) -> None:
    """Download an npz of MedMNIST unless it is there, and verify its checksum.

    Raises:
        ConfigError: the package `medmnist` is not installed, or the download failed.
    """
    if (folder / filename).is_file():
        return
    try:
        info = importlib.import_module("medmnist").INFO[flag]
    except ImportError:
        raise ConfigError(
            f"data.download=true: the package medmnist is not installed; pip install "
            f"'frerec[medmnist]', or download {filename} yourself from {URL}"
        ) from None
    from torchvision.datasets.utils import download_url

    suffix = filename.removeprefix(flag).removesuffix(".npz")
    unfinished = folder / f"{filename}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{filename}.lock"):
            if not (folder / filename).is_file():
                # The package's own classes would then load all images into memory.
                url, md5 = info[f"url{suffix}"], info[f"MD5{suffix}"]
                download_url(url, str(folder), unfinished.name, md5)
                unfinished.replace(folder / filename)
    except (OSError, RuntimeError) as error:
        unfinished.unlink(missing_ok=True)
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"data.download=true: {filename} could not be downloaded to {folder} ({reason}); "
            f"download it yourself from {URL}"
        ) from None
