"""Kaggle masoudnickparvar/brain-tumor-mri-dataset: three tumours and none, 7,023 slices."""

from frerec.data.sources.kaggle_brain_tumor import Layout, TumourFoldersSource


class NickparvarBrainTumorSource(TumourFoldersSource):
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

    layout = Layout(
        dataset="nickparvar_brain_tumor",
        url="https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset",
        folders={"glioma": "glioma", "meningioma": "meningioma"}
        | {"notumor": "notumor", "pituitary": "pituitary"},
        splits=True,
    )
