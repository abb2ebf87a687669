"""The Lightning datamodule: a source made into splits, a decoded stack and loaders."""

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from frerec.data.checks import validate
from frerec.data.decoding import Decoding
from frerec.data.folds import assign_fold, check_folds
from frerec.data.leaks import check_policies, warn_of_leaks, with_near_clusters
from frerec.data.manifest import Manifest
from frerec.data.prepared import PreparedImages, prepare_images
from frerec.data.readers import PIXEL_LIMIT, ReadOptions
from frerec.data.sources import Source
from frerec.data.sources.layout import one_of
from frerec.data.splits import assign_splits, check_fractions, splits_to_cut, take_train_size
from frerec.data.stack import ImageStack, LabelledImages, Transform
from frerec.data.withheld import Withheld, find_withheld
from frerec.errors import ConfigError, DataError

_log = logging.getLogger(__name__)
Loader = DataLoader[tuple[Tensor, int]]
_T = TypeVar("_T")


class ImageDataModule(pl.LightningDataModule):
    """Real images of one modality; the subclasses say which.

    `prepare_data` reads the source, checks it, and decodes it into the cache (`prepared`); `setup`
    works out splits, leaks and the training size, which are not part of the cache.

    Args:
        source: gives the manifest (`read`).
        image_size: side in pixels; None for the images' own size, which must then be the same.
        cache_dir: where decoded stacks are kept.
        name: the data set's name, for results.
        classes: all classes in the order of their integers; None for the source's order. Of two,
            the second is the positive one.
        val_fraction, test_fraction, split_seed: see `splits.assign_splits`.
        official_splits: False sets the source's own splits aside.
        folds, fold: cross-validation, see `folds.assign_fold`; None for none.
        train_size: training images a class, None for all, see `splits.take_train_size`; drawn
            with `split_seed`.
        on_error: `raise` at a missing, unreadable or too small image, or `skip`, log and list it.
        leaks, near_duplicates: see `leaks.resolve_leaks`.
        near_distance: bits of 256 in which the perceptual hashes of near-duplicates may differ.
        fit, upsample: see `decoding.Decoding`.
        crop, mri_percentile, dicom_window, pixel_limit: see `readers.policy.ReadOptions`.
        unlabelled: one class is enough.
        batch_size, num_workers: of the loaders.
        augment: whether training images are augmented (`transforms.training_augmentation`).
    """

    modality: ClassVar[str] = ""
    channels: ClassVar[int] = 1

    def __init__(
        self,
        source: Source,
        *,
        image_size: int | None,
        cache_dir: str | Path,
        name: str,
        classes: Sequence[str] | None = None,
        val_fraction: float = 0.15,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        official_splits: bool = True,
        folds: int | str | None = None,
        fold: int = 0,
        train_size: int | None = None,
        on_error: str = "raise",
        leaks: str = "error",
        near_duplicates: str = "ignore",
        near_distance: int = 24,
        fit: str = "pad",
        upsample: bool = False,
        crop: str | None = None,
        mri_percentile: float = 99.9,
        dicom_window: str = "voi",
        pixel_limit: int = PIXEL_LIMIT,
        unlabelled: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        augment: bool = True,
    ) -> None:
        super().__init__()
        self.source = source
        self.name = name
        self.cache_dir = Path(cache_dir).expanduser()
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.augment = augment
        self.near_distance = near_distance
        options = ReadOptions(pixel_limit, mri_percentile, dicom_window, crop)
        self.decoding = Decoding(self.channels, image_size, fit, upsample, options)
        self._classes = None if classes is None else tuple(str(c) for c in classes)
        self._fractions: dict[str, Any] = {
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
        }
        self._split_seed = split_seed
        self._leaks: dict[str, str] = {"leaks": leaks, "near_duplicates": near_duplicates}
        self._official_splits, self._folds, self._fold = official_splits, folds, fold
        self._train_size = train_size
        self._min_classes = 1 if unlabelled else 2
        self._prepared: PreparedImages | None = None
        self._manifest: Manifest | None = None
        self._stack: ImageStack | None = None
        self._on_error = on_error
        one_of("on_error", on_error, ("raise", "skip"))
        check_policies(leaks, near_duplicates)
        check_fractions(val_fraction, test_fraction)
        check_folds(folds, fold)
        if train_size is not None and train_size < 1:
            raise ConfigError(f"data.train_size={train_size}: expected 1 or more images a class")
        if not 0 <= near_distance <= 128:
            raise ConfigError(f"data.near_distance={near_distance}: expected 0 to 128 bits")

    def prepare_data(self) -> None:
        """Read, check and hash the files, and decode them unless that has been done.

        Raises:
            DataError: whatever is wrong with the data; the message names the file.
        """
        if self._prepared is None:
            self._prepared = prepare_images(
                self.source,
                self.decoding,
                cache_dir=self.cache_dir,
                record={"name": self.name, "modality": self.modality},
                classes=self._classes,
                min_classes=self._min_classes,
                on_error=self._on_error,
            )

    @property
    def prepared(self) -> PreparedImages:
        """All decoded images, whatever their split."""
        return self._ready(self._prepared)

    def split(self, *, leaks: str | None = None, near_duplicates: str | None = None) -> Manifest:
        """All prepared images with a split, and a column `row` that names their row of the stack.

        Args:
            leaks: another policy than the module's own.
            near_duplicates: another policy than the module's own.

        Raises:
            DataError: leaks between splits, or too few images for the splits.
        """
        policies: dict[str, Any] = {
            "leaks": leaks or self._leaks["leaks"],
            "near_duplicates": near_duplicates or self._leaks["near_duplicates"],
        }
        manifest = self.prepared.manifest
        manifest = manifest.with_columns(row=np.arange(len(manifest)))
        if not self._official_splits:
            manifest = manifest.with_columns(split=pd.array([""] * len(manifest), dtype="str"))
        across = policies["near_duplicates"] != "ignore"
        if across or self._folds is not None or splits_to_cut(manifest, **self._fractions):
            pairs = self.prepared.near(self.near_distance).pairs
            manifest = with_near_clusters(manifest, pairs, across_splits=across)
            if self._folds is not None:
                seed = self._split_seed
                manifest = assign_fold(manifest, self._folds, self._fold, seed=seed)
                manifest = with_near_clusters(manifest, pairs, across_splits=across)
        return assign_splits(manifest, **self._fractions, seed=self._split_seed, **policies)

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002
        """Open the stack, assign the splits and take the training size.

        Raises:
            DataError: leaks between splits, or too few images for the splits or the size asked.
        """
        if self._manifest is not None:
            return
        self.prepare_data()
        manifest = self.split()
        if self._train_size is not None:
            manifest = take_train_size(manifest, self._train_size, seed=self._split_seed)
        rows = manifest.table["row"].to_numpy()
        table = manifest.table.drop(columns=["row", "near"], errors="ignore")
        manifest = Manifest(table, manifest.root, manifest.classes)
        keep = self._leaks["leaks"] == "keep"
        if keep:
            warn_of_leaks(manifest)
        validate(manifest, min_classes=self._min_classes, leaks=not keep, exist=False)
        self._stack = self.prepared.stack.select(rows)
        self._manifest = manifest
        if self.skipped:
            _log.warning(
                "%d missing, unreadable or too small images left out; frerec prepare lists them",
                len(self.skipped),
            )

    @property
    def manifest(self) -> Manifest:
        """The images in use, with their splits; row i is row i of `stack`."""
        return self._ready(self._manifest)

    @property
    def stack(self) -> ImageStack:
        """The decoded images of `manifest`."""
        return self._ready(self._stack)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of their integers."""
        return self.manifest.classes

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels; DataError where they are not square."""
        _, _, H, W = self.stack.shape
        if H != W:
            raise DataError(
                f"{self.manifest.root}: images are {W}x{H} pixels, not square; give "
                f"data.image_size=..."
            )
        return H

    @property
    def cache_folder(self) -> Path:
        """The folder with the decoded images."""
        return self.prepared.folder

    @property
    def skipped(self) -> list[str]:
        """Names of missing, unreadable or too small images that were left out."""
        return [item.image for item in self.prepared.skipped]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that the images, labels and splits in use depend on."""
        table = self.manifest.table
        used = table[["image", "label", "split"]].to_json(orient="values")
        content = [self.cache_folder.name, self.classes, used, self.manifest.groups().tolist()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    @cached_property
    def withheld(self) -> Withheld:
        """Training images that `train_size` leaves out, of nobody in use; see `find_withheld`."""
        used, distance = self.manifest, self.near_distance
        return find_withheld(self.split(), used, self.prepared, near_distance=distance)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers int64 of a split, in the manifest and the stack."""
        return self.manifest.where(split=split)

    def labels(self, split: str) -> np.ndarray:
        """Labels int64 of `rows(split)`."""
        labels: np.ndarray = self.manifest.label_indices()[self.rows(split)]
        return labels

    def train_transform(self) -> Transform | None:
        """The modality's augmentation, None with `augment=False`."""
        if not self.augment:
            return None
        from frerec.data.transforms import training_augmentation

        return training_augmentation(self.modality)

    def train_dataloader(self) -> Loader:
        """Shuffled training images, augmented."""
        return self._loader("train", self.train_transform(), shuffle=True)

    def val_dataloader(self) -> Loader:
        """Validation images, in order."""
        return self._loader("val", None, shuffle=False)

    def test_dataloader(self) -> Loader:
        """Test images, in order."""
        return self._loader("test", None, shuffle=False)

    def _loader(self, split: str, transform: Transform | None, *, shuffle: bool) -> Loader:
        return DataLoader(
            LabelledImages(self.stack, self.rows(split), self.labels(split), transform),
            batch_size=self.batch_size,
            shuffle=shuffle,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def _ready(self, value: _T | None) -> _T:
        if value is None:
            raise RuntimeError("call prepare_data() and setup() before using the datamodule")
        return value
