"""Features of real and synthetic images as points in the plane, as the showcase keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from frerec.errors import DataError
from frerec.report.parsing import number

METHODS: Mapping[str, str] = {"tsne": "t-SNE", "umap": "UMAP"}
STAGES: Mapping[str, str] = {
    "before": "before calibration",
    "calibrated": "calibrated, same classifier",  # as before: only the images differ
    "after": "after calibration",
}


@dataclass(frozen=True)
class Embedding:
    """The images of one stage, the same ones in every method.

    Attributes:
        sets: 0 real, 1 synthetic; ``[n]``.
        labels: class numbers ``[n]``.
        points: method -> ``[n, 2]``.
        overlap: accuracy of the nearest neighbour at telling the sets apart in the space of the
            features; 0.5 is ideal, None where it is not known.
        overlap_calibrated: the same of the calibrated images in this stage's classifier, from
            runs that have no stage "calibrated".
        notes: what else is known: classifier, arm, seed, split, images, real_calibrated (whether
            the real images of the stage are).
    """

    sets: np.ndarray
    labels: np.ndarray
    points: Mapping[str, np.ndarray]
    overlap: float | None
    overlap_calibrated: float | None
    notes: Mapping[str, Any]


def read_embedding(
    arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any], file: object
) -> dict[str, Embedding]:
    """The stages of ``embedding.npz`` with what ``showcase.json`` says of them.

    Raises:
        DataError: Where an array has the wrong shape.
    """
    found = {}
    for stage in STAGES:
        if f"{stage}_sets" not in arrays:
            continue
        sets = arrays[f"{stage}_sets"]
        labels = arrays.get(f"{stage}_labels", np.zeros(len(sets), dtype=np.int64))
        points = {m: arrays[f"{m}_{stage}"] for m in METHODS if f"{m}_{stage}" in arrays}
        shapes = [(labels.shape, sets.shape[:1])]
        shapes += [(values.shape, (*sets.shape[:1], 2)) for values in points.values()]
        if sets.ndim != 1 or any(shape != wanted for shape, wanted in shapes):
            raise DataError(f"{file}: the points and labels of {stage} must have a row an image")
        own = notes.get(stage)
        own = own if isinstance(own, Mapping) else {}
        overlap, treated = number(own.get("overlap")), number(own.get("overlap_calibrated"))
        found[stage] = Embedding(sets, labels, points, overlap, treated, own)
    return found
