"""Real training images that the classifier does not get: what a control may use as its samples."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from frerec.data.leaks import independent_groups, with_near_clusters
from frerec.data.manifest import Manifest
from frerec.data.prepared import PreparedImages
from frerec.data.stack import ImageStack
from frerec.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Withheld:
    """Images of the training split that are not in use, and of nobody who is.

    Attributes:
        stack: N images.
        labels: int64 [N], positions in the data's classes.
        groups: int64 [N], equal for images of one patient and for copies of one image.
        fingerprint: hash of the images' names and labels and of the cache that holds their pixels.
    """

    stack: ImageStack
    labels: np.ndarray
    groups: np.ndarray
    fingerprint: str


def find_withheld(
    everything: Manifest, used: Manifest, prepared: PreparedImages, *, near_distance: int
) -> Withheld:
    """The real training images that `train_size` left out, without those tied to an image in use.

    An image in use is one in train, val or test. Tied to it are its patient's other images, files
    or pixels equal to its own, and its near-duplicates; the last also where the policy lets
    near-duplicates be in two splits, because more training images must not bring more of them.
    [ours]

    Args:
        everything: all images with splits, and a column `row` with their rows of `prepared`.
        used: those in use.
        prepared: the decoded images.
        near_distance: bits in which the perceptual hashes of near-duplicates may differ.

    Raises:
        ConfigError: `train_size` leaves no image out.
        DataError: every image that it leaves out is tied to one in use.
    """
    table = everything.table
    in_use = table["image"].isin(used.table["image"]).to_numpy()
    left_out = ~in_use & ((table["split"] == "train") & (table["source"] == "real")).to_numpy()
    if not left_out.any():
        raise ConfigError(
            "training images that the classifier does not get are needed, and there are none; set"
            " data.train_size to fewer images a class than there are"
        )
    rows = table["row"].to_numpy()
    clusters = with_near_clusters(prepared.manifest, prepared.near(near_distance).pairs)
    near = pd.array(clusters.table["near"].to_numpy()[rows], dtype="str")
    groups = independent_groups(everything.with_columns(near=near))
    free = np.flatnonzero(left_out & ~np.isin(groups, groups[in_use]))
    if len(free) == 0:
        raise DataError(
            f"{everything.root}: all {int(left_out.sum())} training images that data.train_size"
            " leaves out are of patients in use or near-duplicates of images in use; set a smaller"
            " data.train_size"
        )
    labels = everything.label_indices()[free]
    names = table["image"].to_numpy()[free].tolist()
    content = [prepared.folder.name, everything.classes, names, labels.tolist()]
    return Withheld(
        stack=prepared.stack.select(rows[free]),
        labels=labels,
        groups=groups[free],
        fingerprint=hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32],
    )
