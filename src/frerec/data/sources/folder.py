"""One folder a class, with or without a level of train, val and test above it."""

import os
from pathlib import Path
from typing import Protocol

from frerec.data.manifest import Manifest
from frerec.data.readers import SUFFIXES
from frerec.errors import DataError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of splits as data sets write them (any case), and ours."""

_FORMATS = "PNG, JPEG or TIFF"


class Source(Protocol):
    """Anything that reads a data set into a manifest."""

    def read(self) -> Manifest:
        """The data set's images; `split` is "" where the data set gives none."""
        ...


class FolderSource:
    """`root/CLASS/*` or `root/SPLIT/CLASS/*`, images nested as deep as they like below.

    Args:
        root: the data set's folder.
        dataset: its name in the manifest; the folder's by default.
        unlabelled: take all images as one class `unlabelled`, whatever folders they are in (a
            level of splits still counts). For fitting a calibrator, which needs no labels.
    """

    def __init__(
        self, root: str | Path, dataset: str | None = None, unlabelled: bool = False
    ) -> None:
        self.root = root
        self.dataset = dataset
        self.unlabelled = unlabelled

    def read(self) -> Manifest:
        """List the images.

        Raises:
            DataError: no such folder; no images; images outside of class folders; a class folder
                without images; split folders beside class folders.
        """
        root = resolve_root(self.root)
        images = list_images(root)
        if not images:
            raise DataError(
                f"data.root={self.root}: no {_FORMATS} images in this folder; expected "
                f"CLASS/image.png or SPLIT/CLASS/image.png"
            )
        tops = {image.split("/")[0] for image in images if "/" in image}
        split_level = bool(tops) and all(top.casefold() in SPLIT_NAMES for top in tops)
        depth = 1 if split_level else 0
        if not self.unlabelled:
            self._check_levels(root, images, tops, depth)
        parts = [image.split("/") for image in images]
        splits = [SPLIT_NAMES[p[0].casefold()] if split_level and len(p) > 1 else "" for p in parts]
        labels = ["unlabelled" if self.unlabelled else p[depth] for p in parts]
        return Manifest.build(
            root,
            images=images,
            labels=labels,
            splits=splits,
            dataset=root.name if self.dataset is None else self.dataset,
        )

    def _check_levels(self, root: Path, images: list[str], tops: set[str], depth: int) -> None:
        stray = next((image for image in images if image.count("/") < depth + 1), None)
        if stray is not None:
            layout = "SPLIT/CLASS/image" if depth else "CLASS/image"
            raise DataError(
                f"{root / stray}: this image is in no class folder (expected {layout}); move it "
                f"into one, use data=csv, or data.unlabelled=true where labels are not needed"
            )
        splits = sorted(top for top in tops if top.casefold() in SPLIT_NAMES)
        if splits and not depth:
            others = ", ".join(sorted(tops - set(splits)))
            raise DataError(
                f"data.root={self.root}: the folder {splits[0]} is named like a split, but "
                f"{others} beside it is not; keep only split folders or only class folders here"
            )
        for parent in sorted(tops) if depth else [""]:
            for folder in sorted((root / parent).iterdir()):
                name = folder.relative_to(root).as_posix()
                if not folder.is_dir() or ignored(folder.name):
                    continue
                if not any(image.startswith(f"{name}/") for image in images):
                    raise DataError(
                        f"{folder}: no {_FORMATS} images in this class folder; convert its files, "
                        f"or remove the folder"
                    )


def resolve_root(root: str | Path) -> Path:
    """The folder that the user named, absolute; DataError where there is none."""
    path = Path(root).expanduser()
    if not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise DataError(f"data.root={root}: {what}; give the folder that holds the data set")
    return path.absolute()


def ignored(name: str) -> bool:
    """Hidden files and the ones that macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def list_images(root: Path) -> list[str]:
    """Posix paths, relative to root and sorted, of all files with an image's suffix (any case).

    Linked folders are followed, each real folder once.
    """
    found: list[str] = []
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not ignored(name))
        relative = Path(folder).relative_to(root)
        found += [
            (relative / name).as_posix()
            for name in files
            if name.lower().endswith(SUFFIXES) and not ignored(name)
        ]
    return sorted(found)
