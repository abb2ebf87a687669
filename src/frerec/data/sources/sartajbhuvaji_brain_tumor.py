"""Kaggle sartajbhuvaji/brain-tumor-classification-mri: three tumours and none, 3,264 slices."""

from collections.abc import Sequence
from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.sources.kaggle_brain_tumor import Layout, read_class_folders
from frerec.data.sources.tasks import choose_task
from frerec.data.tree import open_tree

LABELS = ("notumor", "glioma", "meningioma", "pituitary")
LAYOUT = Layout(
    dataset="sartajbhuvaji_brain_tumor",
    url="https://www.kaggle.com/datasets/sartajbhuvaji/brain-tumor-classification-mri",
    folders={"glioma_tumor": "glioma", "meningioma_tumor": "meningioma"}
    | {"no_tumor": "notumor", "pituitary_tumor": "pituitary"},
    splits=True,
)


class SartajbhuvajiBrainTumorSource:
    """`{Training,Testing}/{glioma,meningioma,no,pituitary}_tumor/*.jpg`, no patient ids.

    Labels lose `_tumor`, and `no_tumor` becomes `notumor`, as in the set of Nickparvar, who took
    most of this one in but left its glioma images out for doubtful labels.

    Args:
        root: the folder (or zip) with Training/ and Testing/.
        keep, positive: which labels are told apart, see `tasks.choose_task`.
    """

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
        return read_class_folders(open_tree(self.root), LAYOUT, self.task)
