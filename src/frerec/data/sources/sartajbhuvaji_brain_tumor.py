"""Kaggle sartajbhuvaji/brain-tumor-classification-mri: three tumours and none, 3,264 slices."""

from frerec.data.sources.kaggle_brain_tumor import Layout, TumourFoldersSource


class SartajbhuvajiBrainTumorSource(TumourFoldersSource):
    """`{Training,Testing}/{glioma,meningioma,no,pituitary}_tumor/*.jpg`, no patient ids.

    Labels lose `_tumor`, and `no_tumor` becomes `notumor`, as in the set of Nickparvar, who took
    most of this one in but left its glioma images out for doubtful labels.

    Args:
        root: the folder (or zip) with Training/ and Testing/.
        keep, positive: which labels are told apart, see `tasks.choose_task`.
    """

    layout = Layout(
        dataset="sartajbhuvaji_brain_tumor",
        url="https://www.kaggle.com/datasets/sartajbhuvaji/brain-tumor-classification-mri",
        folders={"glioma_tumor": "glioma", "meningioma_tumor": "meningioma"}
        | {"no_tumor": "notumor", "pituitary_tumor": "pituitary"},
        splits=True,
    )
