"""Kaggle masoudnickparvar/brain-tumor-mri-dataset: three tumours and none, 7,023 slices."""

from collections.abc import Sequence
from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.sources.kaggle_brain_tumor import Layout, read_class_folders
from frerec.data.sources.tasks import choose_task
from frerec.data.tree import open_tree

LABELS = ("notumor", "glioma", "meningioma", "pituitary")
LAYOUT = Layout(
    dataset="nickparvar_brain_tumor",
    url="https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset",
    folders={"glioma": "glioma", "meningioma": "meningioma"}
    | {"notumor": "notumor", "pituitary": "pituitary"},
    splits=True,
)


class NickparvarBrainTumorSource:
    """`{Training,Testing}/{glioma,meningioma,notumor,pituitary}/*.jpg`, no patient ids.

    A merge of the figshare, Sartaj and Br35H sets. The published split leaks: in a public copy, 216
    of 1,311 test images are byte-identical to a training image, and 277 of 381 deduplicated test
    images without tumour have a near-duplicate in training; `data.leaks=drop` and
    `data.near_duplicates=drop` take those out of training. Nothing keeps the slices of one patient
    on one side. Images without tumour are smaller and come from other scanners and sequences than
    the rest, and whether a JPEG is stored grey or RGB tells its origin.

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
