"""Do the samples show what their labels say? A classifier of real images is asked.

For every finished cell of the arm `raw`: its AUC on the real test images and on the samples that
the other arms train on, before and after FreRec. Usage, with the overrides of the run:

    python experiments/paper/labels.py OUT.csv experiment=paper/cpu/cardiomegaly data.root=DIR
"""

import csv
import sys
from pathlib import Path

import numpy as np

from frerec.benchmark.cell import read_status
from frerec.benchmark.plan import expand
from frerec.benchmark.planned_stages import with_stages
from frerec.benchmark.shown_embedding import best_checkpoint
from frerec.classification import load_classifier, predict
from frerec.data.stack import LabelledImages
from frerec.evaluation.metrics import classification_metrics

COLUMNS = ("data", "train_size", "seed", "images", "count", "auc", "accuracy")


def main(out: Path, overrides: list[str]) -> None:
    """Write one line a cell and set of images."""
    base, _ = expand("benchmark", [*overrides, "arm=raw"])
    pairs = [
        with_stages(expand("benchmark", [*overrides, f"arm={arm}"])[1], False)
        for arm in ("raw", "frerec")
    ]
    rows = []
    for raw, frerec in zip(*pairs, strict=True):
        folder = Path(base.paths.runs) / str(base.name) / "cells"
        if any(read_status(folder / cell.id) != "finished" for cell in (raw, frerec)):
            continue
        stages = frerec.stages
        labels = stages.samples.manifest.label_indices()
        every = np.arange(len(labels))
        data, test = stages.data, stages.data.rows("test")
        sets = {
            "real test images": LabelledImages(data.stack, test, data.labels("test")),
            "samples": LabelledImages(stages.samples.stack, every, labels),
            "samples after FreRec": LabelledImages(stages.calibrated("synthetic"), every, labels),
        }
        model = load_classifier(best_checkpoint(folder / raw.id))
        for name, images in sets.items():
            probabilities = predict(model, images, 64, accelerator="cpu")
            found = classification_metrics(np.asarray(images.labels), probabilities)
            size = raw.axes.get("data.train_size")
            values = (raw.axes["data"], size or "all", raw.axes["seed"], name, len(images.labels))
            rows.append((*values, f"{found['auc']:.4f}", f"{found['accuracy']:.4f}"))
            print(*rows[-1])
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
