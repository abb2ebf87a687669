"""Features of real and synthetic images in finished classifiers, before and after calibration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frerec.benchmark.cell import Cell
from frerec.benchmark.shown_calibrators import Attempt, drawn_rows
from frerec.benchmark.treatments import treatment_key
from frerec.classification import PenultimateFeatures, load_classifier
from frerec.data.stack import ImageStack
from frerec.errors import ConfigError, DataError
from frerec.evaluation.features import extract
from frerec.evaluation.neighbour_test import neighbour_accuracy
from frerec.training_tools import training_device

Features = NDArray[np.float32]
LARGEST_PERPLEXITY = 30
LARGEST_NEIGHBOURHOOD = 15


@dataclass(frozen=True)
class Networks:
    """The cell whose samples are shown, and the finished cells whose classifiers give features.

    [ours] `before` saw real images only, and `after` is of the arm of `shown`, with the same
    backbone and seed as `before`; None where there is none.
    """

    shown: Cell
    before: Cell | None
    after: Cell | None


def find_networks(shown: Cell, finished: Sequence[Cell]) -> Networks:
    """Choose the classifiers: a pair of one backbone and one seed, before all else."""
    data = shown.stages.data.fingerprint
    same = [cell for cell in finished if cell.stages.data.fingerprint == data]
    raw = [cell for cell in same if _treatment(cell) == ("raw", "none", "raw")]
    if shown.config.arm.synthetic != "calibrated":
        return Networks(shown, raw[0] if raw else None, None)
    wanted, key = _treatment(shown), treatment_key(shown)
    treated = [c for c in same if _treatment(c) == wanted and treatment_key(c) == key]
    for before in raw:
        for after in treated:
            if _network(before) == _network(after):
                return Networks(shown, before, after)
    return Networks(shown, raw[0] if raw else None, None)


def embed(
    networks: Networks, run_dir: Path, count: int, methods: Sequence[str], attempt: Attempt
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Points of real and synthetic images in the plane, and how far the two sets overlap.

    Before: validation images against uncalibrated samples, none of which the classifier was
    trained on. Calibrated: the same images after calibration in the same classifier, so that only
    the images differ. After: calibrated training images against calibrated samples, all of which
    the classifier of the arm was trained on. [ours] Each stage compares what its classifier
    treated alike. Real images are calibrated where the arm calibrates them.

    Args:
        networks: The classifiers.
        run_dir: Of the run, with their checkpoints.
        count: Images a set at most; 0 for no embedding.
        methods: Of "tsne" and "umap".
        attempt: Runs a part under a name, and gives None where it fails.

    Returns:
        Arrays of ``embedding.npz``: ``STAGE_sets`` uint8 (0 real, 1 synthetic), ``STAGE_labels``
        int64 and ``METHOD_STAGE`` float32 ``[n, 2]``; and what ``showcase.json`` says of them.
    """
    arrays: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    if networks.before is None or count == 0:
        return arrays, notes
    arm_cell = networks.after or networks.shown
    stages = {"before": (networks.before, "val", False)}
    if arm_cell.config.arm.synthetic == "calibrated":
        stages["calibrated"] = (networks.before, "val", True)
    if networks.after is not None:
        stages["after"] = (networks.after, "train", True)
    for name, (cell, split, treated) in stages.items():
        made = attempt(
            f"features {name}",
            lambda c=cell, s=split, t=treated: _stage(  # type: ignore[misc]
                c, arm_cell, run_dir, count, s, calibrated=t
            ),
        )
        if made is None:
            continue
        features = made.pop("features")
        arrays |= {f"{name}_sets": made.pop("sets"), f"{name}_labels": made.pop("labels")}
        notes[name] = made
        for method in methods:
            points = attempt(
                f"{method} {name}",
                lambda m=method, f=features: {"points": METHODS[m](f)},  # type: ignore[misc]
            )
            if points is not None:
                arrays[f"{method}_{name}"] = points["points"]
    return arrays, notes


def check_methods(methods: Sequence[str]) -> None:
    """Refuse an unknown method.

    Raises:
        ConfigError: Names the key and the known ones.
    """
    for method in methods:
        if method not in METHODS:
            raise ConfigError(
                f"showcase.embeddings={list(methods)}: expected some of {', '.join(METHODS)}"
            )


def _stage(
    cell: Cell, arm_cell: Cell, run_dir: Path, count: int, split: str, *, calibrated: bool
) -> dict[str, Any]:
    """Features [2 n, D] of n real and n synthetic images, their codes, and the overlap."""
    data, samples = cell.stages.data, arm_cell.stages.samples
    count = min(count, len(data.rows(split)), len(samples.stack))
    real_rows = drawn_rows(data.rows(split), count)
    sample_rows = drawn_rows(np.arange(len(samples.stack)), count)
    groups = data.manifest.groups()
    network = _extractor(cell, run_dir)
    real, synthetic = _stacks(arm_cell, calibrated=calibrated)
    features = _features(network, real, real_rows, synthetic, sample_rows)
    return {
        "features": features,
        "sets": np.repeat(np.array([0, 1], dtype=np.uint8), count),
        "labels": np.concatenate(
            [
                data.manifest.label_indices()[real_rows],
                samples.manifest.label_indices()[sample_rows],
            ]
        ).astype(np.int64),
        "overlap": neighbour_accuracy(features[:count], features[count:], groups[real_rows]),
        "images": count,
        "split": split,
        "classifier": str(cell.axes["classifier"]),
        "arm": str(cell.config.arm.name),
        "seed": int(cell.config.seed),
        "calibrated_by": str(arm_cell.config.arm.name) if calibrated else "",
        "real_calibrated": calibrated and arm_cell.config.arm.real == "calibrated",
    }


def _stacks(cell: Cell, *, calibrated: bool) -> tuple[ImageStack, ImageStack]:
    """Real and synthetic images, as the cell's classifier gets them where `calibrated`."""
    stages, arm = cell.stages, cell.config.arm
    real = stages.calibrated("real") if calibrated and arm.real == "calibrated" else None
    synthetic = stages.calibrated("synthetic") if calibrated else stages.samples.stack
    return stages.data.stack if real is None else real, synthetic


def _features(
    network: PenultimateFeatures,
    real: ImageStack,
    real_rows: np.ndarray,
    synthetic: ImageStack,
    sample_rows: np.ndarray,
) -> Features:
    parts = [
        extract(real.select(real_rows), network, what="real images"),
        extract(synthetic.select(sample_rows), network, what="synthetic images"),
    ]
    found: Features = np.concatenate([part.numpy() for part in parts]).astype(np.float32)
    if not np.isfinite(found).all():
        raise DataError("features of the classifier: not finite; train it with other settings")
    return found


def _extractor(cell: Cell, run_dir: Path) -> PenultimateFeatures:
    checkpoint = best_checkpoint(run_dir / "cells" / cell.id)
    network = PenultimateFeatures(load_classifier(checkpoint))
    return network.to(training_device(cell.config.trainer.accelerator))


def best_checkpoint(folder: Path) -> Path:
    """The weights that a cell was tested with.

    Raises:
        DataError: Where they were deleted.
    """
    found = sorted(folder.glob("best-*.ckpt"))
    if not found:
        raise DataError(f"{folder}: no best-*.ckpt; delete the folder to train this cell again")
    return found[-1]


def _tsne(features: Features) -> Features:
    from sklearn.manifold import TSNE

    perplexity = min(LARGEST_PERPLEXITY, len(features) / 4)
    made = TSNE(n_components=2, init="pca", perplexity=perplexity, random_state=0)
    points: Features = made.fit_transform(features).astype(np.float32)
    return points


def _umap(features: Features) -> Features:
    from umap import UMAP  # slow to import: it compiles

    neighbours = min(LARGEST_NEIGHBOURHOOD, len(features) - 1)
    made = UMAP(n_components=2, n_neighbors=neighbours, init="pca", random_state=0, n_jobs=1)
    points: Features = made.fit_transform(features).astype(np.float32)
    return points


METHODS: dict[str, Callable[[Features], Features]] = {"tsne": _tsne, "umap": _umap}


def _treatment(cell: Cell) -> tuple[str, str, str]:
    arm = cell.config.arm
    return str(arm.real), str(arm.synthetic), str(arm.evaluation)


def _network(cell: Cell) -> tuple[str, int]:
    return str(cell.axes["classifier"]), int(cell.config.seed)
