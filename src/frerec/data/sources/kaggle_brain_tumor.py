"""What the Kaggle brain tumour sets share: a folder for each class, copied around a lot."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from frerec.data.manifest import Manifest
from frerec.data.sources.layout import SPLIT_NAMES, unexpected
from frerec.data.sources.tasks import Task, choose_task
from frerec.data.tree import Tree, open_tree
from frerec.errors import DataError

_log = logging.getLogger(__name__)
_SPLIT_FOLDERS = {"train": "Training", "test": "Testing"}

LABELS = ("notumor", "glioma", "meningioma", "pituitary")
"""Of the sets that tell tumours apart."""


@dataclass(frozen=True)
class Layout:
    """How a set was published.

    Attributes:
        dataset: its name in the manifest.
        url: where it is to be had.
        folders: from its class folders to labels.
        splits: whether there is a level of splits above the class folders.
    """

    dataset: str
    url: str
    folders: Mapping[str, str]
    splits: bool

    @property
    def expected(self) -> str:
        """As messages write it."""
        return ("{Training,Testing}/" if self.splits else "") + "{" + ",".join(self.folders) + "}"


class TumourFoldersSource:
    """A set of three tumours and none, a folder each, of which the task is made.

    Args:
        root: the folder (or zip) with the layout's folders.
        keep, positive: which labels are told apart, see `tasks.choose_task`.
    """

    layout: ClassVar[Layout]

    def __init__(
        self,
        root: str | Path,
        keep: str | Sequence[str] | None = None,
        positive: str | Sequence[str] | None = None,
    ) -> None:
        self.root = root
        self.task = choose_task(LABELS, keep=keep, positive=positive)

    def read(self) -> Manifest:
        """List the images with the published train and test split.

        Raises:
            DataError: see `read_class_folders`.
        """
        return read_class_folders(open_tree(self.root), self.layout, self.task)


def read_class_folders(tree: Tree, layout: Layout, task: Task) -> Manifest:
    """List the images right in the class folders.

    The layout may lie at the top or below some folder; where it is there more than once, the
    copy nearest to the top is taken. Case, blanks and underscores of folders do not count. A root
    that is itself one of the split folders is read as a set without splits. [ours]

    Raises:
        DataError: a class folder of the task is missing or empty, in either split; two copies are
            equally near to the top.
    """
    labels = {_plain(folder): label for folder, label in layout.folders.items()}
    copies: dict[tuple[str, ...], list[tuple[str, str, str]]] = defaultdict(list)
    for name in tree.files():
        *above, folder, _ = ("", *name.split("/"))
        label = labels.get(_plain(folder))
        if label is None:
            continue
        split = SPLIT_NAMES.get(above[-1].casefold(), "") if layout.splits else ""
        place = tuple(above[:-1] if split else above)
        copies[place].append((name, split, label))
    if not copies:
        raise unexpected(tree, "class folders", layout.expected, layout.url)
    found = _nearest(tree, copies)
    _check_complete(tree, layout, task, {(split, label) for _, split, label in found})
    rows = [(name, split, task.of[label]) for name, split, label in found if label in task.of]
    return Manifest.build(
        tree.root,
        images=[tree.address(name) for name, _, _ in rows],
        labels=[label for _, _, label in rows],
        splits=[split for _, split, _ in rows],
        dataset=layout.dataset,
        classes=task.classes,
    )


def _nearest(
    tree: Tree, copies: Mapping[tuple[str, ...], list[tuple[str, str, str]]]
) -> list[tuple[str, str, str]]:
    """The images of the copy nearest to the top."""
    first, *others = sorted(copies, key=lambda place: (len(place), place))
    if others and len(others[0]) == len(first):
        names = " and ".join("/".join(place[1:]) for place in (first, others[0]))
        raise DataError(
            f"data.root={tree.name}: the class folders are there twice, in {names}; give the "
            f"folder that holds the ones you mean"
        )
    if others:
        count = sum(len(copies[place]) for place in others)
        _log.info("%s: %d images in deeper copies of the class folders left out", tree.name, count)
    return copies[first]


def _check_complete(tree: Tree, layout: Layout, task: Task, found: set[tuple[str, str]]) -> None:
    splits = {split for split, _ in found}
    wanted = splits | set(_SPLIT_FOLDERS) if splits - {""} else splits
    published = {label: folder for folder, label in layout.folders.items()}
    for split in sorted(wanted):
        for label in task.of:
            if (split, label) not in found:
                above = f"{_SPLIT_FOLDERS.get(split, split)}/" if split else ""
                absent = f"images in {above}{published[label]}"
                raise unexpected(tree, absent, layout.expected, layout.url)


def _plain(folder: str) -> str:
    return "".join(letter for letter in folder.casefold() if letter.isalnum())
