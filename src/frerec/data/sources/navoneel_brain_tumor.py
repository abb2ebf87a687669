"""Kaggle navoneel/brain-mri-images-for-brain-tumor-detection: tumour or none, 253 slices."""

from pathlib import Path

from frerec.data.manifest import Manifest
from frerec.data.sources.kaggle_brain_tumor import Layout, read_class_folders
from frerec.data.sources.tasks import choose_task
from frerec.data.tree import open_tree

LABELS = ("notumor", "tumor")
LAYOUT = Layout(
    dataset="navoneel_brain_tumor",
    url="https://www.kaggle.com/datasets/navoneel/brain-mri-images-for-brain-tumor-detection",
    folders={"yes": "tumor", "no": "notumor"},
    splits=False,
)


class NavoneelBrainTumorSource:
    """`{yes,no}/*`, 155 and 98 images in JPEG and PNG, no splits, no patient ids.

    The archive holds everything twice, at the top and in `brain_tumor_dataset/`; copies of it hold
    one or the other. The one nearest to the top is read.

    Args:
        root: the folder (or zip) with yes/ and no/, or with brain_tumor_dataset/.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = root

    def read(self) -> Manifest:
        """List the images.

        Raises:
            DataError: see `read_class_folders`.
        """
        return read_class_folders(open_tree(self.root), LAYOUT, choose_task(LABELS))
