"""One folder a class, with or without a level of train, val and test above it."""

from pathlib import Path, PurePosixPath
from typing import Protocol

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import SPLIT_NAMES
from frerec.data.tree import Tree, open_tree
from frerec.errors import DataError

_FORMATS = "PNG, JPEG or TIFF"


class Source(Protocol):
    """Anything that reads a data set into a manifest."""

    def read(self) -> Manifest:
        """The data set's images; `split` is "" where the data set gives none."""
        ...


class FolderSource:
    """`root/CLASS/*` or `root/SPLIT/CLASS/*`, images nested as deep as they like below.

    Args:
        root: the data set's folder, or a zip archive of it.
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
        tree = open_tree(self.root)
        images = tree.files()
        if not images:
            raise DataError(
                f"data.root={self.root}: no {_FORMATS} images in this folder; expected "
                f"CLASS/image.png or SPLIT/CLASS/image.png"
            )
        tops = {image.split("/")[0] for image in images if "/" in image}
        split_level = bool(tops) and all(top.casefold() in SPLIT_NAMES for top in tops)
        depth = 1 if split_level else 0
        if not self.unlabelled:
            self._check_levels(tree, images, tops, depth)
        parts = [image.split("/") for image in images]
        splits = [SPLIT_NAMES[p[0].casefold()] if split_level and len(p) > 1 else "" for p in parts]
        labels = ["unlabelled" if self.unlabelled else p[depth] for p in parts]
        return Manifest.build(
            tree.root,
            images=[tree.address(image) for image in images],
            labels=labels,
            splits=splits,
            dataset=PurePosixPath(tree.name).stem if self.dataset is None else self.dataset,
        )

    def _check_levels(self, tree: Tree, images: list[str], tops: set[str], depth: int) -> None:
        stray = next((image for image in images if image.count("/") < depth + 1), None)
        if stray is not None:
            layout = "SPLIT/CLASS/image" if depth else "CLASS/image"
            raise DataError(
                f"{tree.name}/{stray}: this image is in no class folder (expected {layout}); move "
                f"it into one, use data=csv, or data.unlabelled=true where labels are not needed"
            )
        splits = sorted(top for top in tops if top.casefold() in SPLIT_NAMES)
        if splits and not depth:
            others = ", ".join(sorted(tops - set(splits)))
            raise DataError(
                f"data.root={self.root}: the folder {splits[0]} is named like a split, but "
                f"{others} beside it is not; keep only split folders or only class folders here"
            )
        for parent in sorted(tops) if depth else [""]:
            for folder in tree.folders(parent):
                if not any(image.startswith(f"{folder}/") for image in images):
                    raise DataError(
                        f"{tree.name}/{folder}: no {_FORMATS} images in this class folder; convert "
                        f"its files, or remove the folder"
                    )
