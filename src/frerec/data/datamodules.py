"""Lightning datamodules: a source made into splits, a decoded stack and loaders of real images."""

import hashlib
import inspect
import json
import logging
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytorch_lightning as pl
from filelock import FileLock
from torch import Tensor
from torch.utils.data import DataLoader

from frerec.data.manifest import Manifest, hash_files, validate
from frerec.data.readers import PIXEL_LIMIT
from frerec.data.sources import Source
from frerec.data.splits import assign_splits, take_train_size
from frerec.data.stack import ImageStack, LabelledImages, Transform, build_stack
from frerec.errors import ConfigError, DataError

_FORMAT = 1
"""Part of every key: raise it when decoding, resizing or the files of the cache change."""

_log = logging.getLogger(__name__)
Loader = DataLoader[tuple[Tensor, int]]
_T = TypeVar("_T")


class ImageDataModule(pl.LightningDataModule):
    """Real images of one modality; the subclasses say which.

    `prepare_data` reads the source, checks it, and decodes it into `cache_dir/KEY/` (stack.npy,
    manifest.parquet, skipped.txt, meta.json), where KEY is the hash of the files' bytes, their
    labels, and all settings that decoding depends on. The same content is never decoded twice,
    whatever the splits and the training size, which are worked out afterwards; processes that want
    the same KEY wait for the one that makes it.

    Args:
        source: gives the manifest (`read`).
        image_size: side in pixels; None for the images' own size, which must then be the same.
        cache_dir: where decoded stacks are kept.
        name: the data set's name, for results.
        classes: all classes in the order of their integers; None for the source's order. Of two,
            the second is the positive one.
        val_fraction, test_fraction, split_seed: see `splits.assign_splits`.
        train_size: training images a class, None for all, see `splits.take_train_size`; drawn
            with `split_seed`.
        on_error: `raise` at an unreadable image, or `skip`, log and list it.
        leaks: `error` or `drop`, see `splits.resolve_leaks`.
        fit, upsample, pixel_limit: see `stack.build_stack`.
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
        train_size: int | None = None,
        on_error: str = "raise",
        leaks: str = "error",
        fit: str = "pad",
        upsample: bool = False,
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
        self._classes = None if classes is None else tuple(str(c) for c in classes)
        self._decoding: dict[str, Any] = {
            "image_size": image_size,
            "fit": fit,
            "upsample": upsample,
            "on_error": on_error,
            "pixel_limit": pixel_limit,
        }
        self._splitting: dict[str, Any] = {
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
            "seed": split_seed,
            "leaks": leaks,
        }
        self._train_size = train_size
        self._min_classes = 1 if unlabelled else 2
        self._folder: Path | None = None
        self._root: Path | None = None
        self._manifest: Manifest | None = None
        self._stack: ImageStack | None = None

    def prepare_data(self) -> None:
        """Read, check and hash the files, and decode them unless that has been done.

        Raises:
            DataError: whatever is wrong with the data; the message names the file.
        """
        if self._folder is not None and (self._folder / "meta.json").is_file():
            return
        manifest = self._in_order(self.source.read())
        validate(manifest, min_classes=self._min_classes, leaks=False)
        manifest = hash_files(manifest)
        key = self._key(manifest)
        folder = self.cache_dir / key
        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.cache_dir / f"{key}.lock"):
                if not (folder / "meta.json").is_file():
                    self._make(manifest, folder)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise ConfigError(
                f"data.cache_dir={self.cache_dir}: cannot be written ({error.strerror})"
            ) from None
        self._folder, self._root = folder, manifest.root

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002
        """Open the stack, assign the splits and take the training size.

        Raises:
            DataError: leaks between splits, or too few images for the splits or the size asked.
        """
        if self._manifest is not None:
            return
        self.prepare_data()
        assert self._folder is not None
        # The same content may have been decoded from a copy elsewhere, so the root is today's.
        decoded = Manifest.read(self._folder / "manifest.parquet", root=self._root)
        decoded = decoded.with_columns(row=np.arange(len(decoded)))
        manifest = assign_splits(decoded, **self._splitting)
        if self._train_size is not None:
            manifest = take_train_size(manifest, self._train_size, seed=self._splitting["seed"])
        rows = manifest.table["row"].to_numpy()
        manifest = Manifest(manifest.table.drop(columns="row"), manifest.root, manifest.classes)
        validate(manifest, min_classes=self._min_classes)
        self._stack = ImageStack.open(self._folder / "stack.npy").select(rows)
        self._manifest = manifest
        if self.skipped:
            _log.warning(
                "%d unreadable images left out, listed in %s: %s%s",
                len(self.skipped),
                self._folder / "skipped.txt",
                ", ".join(self.skipped[:3]),
                ", ..." if len(self.skipped) > 3 else "",
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
        return self._ready(self._folder)

    @property
    def skipped(self) -> list[str]:
        """Names of unreadable images that were left out (`on_error=skip`)."""
        text = (self.cache_folder / "skipped.txt").read_text(encoding="utf-8")
        return text.splitlines()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that the images, labels and splits in use depend on."""
        table = self.manifest.table
        used = table[["image", "label", "split"]].to_json(orient="values")
        content = [self.cache_folder.name, self.classes, used, self.manifest.groups().tolist()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

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

    def _in_order(self, manifest: Manifest) -> Manifest:
        """The manifest in the order of its names, with the classes in the order asked for."""
        table = manifest.table.sort_values("image", kind="stable")
        classes = manifest.classes
        if self._classes is not None:
            if sorted(self._classes) != sorted(classes):
                raise ConfigError(
                    f"data.classes={list(self._classes)}: the data has the classes "
                    f"{', '.join(classes)}; give them all, in the order you want"
                )
            classes = self._classes
        return Manifest(table, manifest.root, classes)

    def _key(self, manifest: Manifest) -> str:
        table = manifest.table.drop(columns="dataset").to_json(orient="values")
        content = [_FORMAT, self.channels, self._decoding, manifest.classes, table]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def _make(self, manifest: Manifest, folder: Path) -> None:
        """Decode into a temporary folder beside the final one, and rename it."""
        unfinished = folder.with_name(f"{folder.name}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            stack, kept, skipped = build_stack(
                manifest, unfinished / "stack.npy", channels=self.channels, **self._decoding
            )
            kept.write(unfinished / "manifest.parquet")
            names = "".join(f"{name}\n" for name in skipped)
            (unfinished / "skipped.txt").write_text(names, encoding="utf-8")
            meta = {
                "format": _FORMAT,
                "name": self.name,
                "modality": self.modality,
                "channels": self.channels,
                **self._decoding,
                "shape": list(stack.shape),
                "dtype": stack.dtype,
                "skipped": len(skipped),
            }
            (unfinished / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _ready(self, value: _T | None) -> _T:
        if value is None:
            raise RuntimeError("call prepare_data() and setup() before using the datamodule")
        return value


class BrainMRI(ImageDataModule):
    """Brain MRI slices, grey."""

    modality = "brain_mri"
    channels = 1


class ChestXray(ImageDataModule):
    """Chest radiographs, grey."""

    modality = "chest_xray"
    channels = 1


class Fundus(ImageDataModule):
    """Fundus photographs, colour."""

    modality = "fundus"
    channels = 3


DATAMODULES: dict[str, type[ImageDataModule]] = {
    module.modality: module for module in (BrainMRI, ChestXray, Fundus)
}


def build(*, modality: str, source: Source, **settings: Any) -> ImageDataModule:
    """Make the modality's datamodule from the flat keys of a config group.

    A group keeps the source's settings (`root`, `label_column`, ...) beside those of the
    datamodule, where they are short to type, and its `source` node refers to them; so they are
    expected here, and passed over.

    Raises:
        ConfigError: another modality, or a key that neither the datamodule nor the source has.
    """
    if modality not in DATAMODULES:
        raise ConfigError(f"data.modality={modality}: expected one of {', '.join(DATAMODULES)}")
    own = set(inspect.signature(ImageDataModule.__init__).parameters)
    of_source = set(inspect.signature(type(source).__init__).parameters)
    unknown = sorted(set(settings) - own - of_source)
    if unknown:
        raise ConfigError(
            f"data.{unknown[0]}: no such setting of the data; it has "
            f"{', '.join(sorted((own | of_source) - {'self'}))}"
        )
    return DATAMODULES[modality](
        source, **{key: value for key, value in settings.items() if key in own}
    )
