"""Run directories over an axis of the grid, made by code: train sizes, and the oracle's doses."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from made import predictions_of

from frerec.evaluation.predictions import write_predictions

DOSES = (0, 0.25, 0.5, 0.75, 1.0)
DOSE_GAINS = {"raw": 0.0, "raw_frerec": 0.03}
SIZE_ARMS = ("raw", "gda", "frerec", "raw_frerec", "gda_radial", "ceiling")


def grid_run(
    path: Path,
    axis: str,
    cells: Sequence[tuple[str, object, float, dict]],
    *,
    data: str = "chest_xray",
    generator: str = "vae",
    classifier: str = "resnet10t",
    seeds: Sequence[int] = (0, 1, 2),
    published: str | None = None,
    untouched: Callable[[str], bool] = lambda arm: False,
) -> Path:
    """Write a run: each of `cells` is (arm, value of the axis, gain, what training recorded)."""
    plan, test_of = [], ("normal", "cardiomegaly")
    for arm, value, gain, training in cells:
        own = "" if arm in ("raw", "raw_frerec", "ceiling") else generator
        for seed in seeds:
            name = f"{data}-{arm}-{seed}" + ("" if untouched(arm) else f"-{value}")
            axes = {"data": data, "generator": own or None, axis: value, "arm": arm,
                    "classifier": classifier, "seed": seed}  # fmt: skip
            plan.append({"id": name, "axes": axes})
            folder = path / "cells" / name
            if folder.exists():
                continue
            folder.mkdir(parents=True)
            (folder / "status.json").write_text(json.dumps({"state": "finished", "seconds": 90.0}))
            made = {s: predictions_of(f"{arm}{'' if untouched(arm) else value}", classifier, seed,
                                      s, gain=gain) for s in ("val", "test")}  # fmt: skip
            write_predictions(folder / "predictions.parquet", made)
            kept = {"steps": 500, "images_seen": 16000, "best_step": 300} | training
            content = {"axes": axes, "training": kept}
            content |= {split: part.metrics() for split, part in made.items()}
            (folder / "metrics.json").write_text(json.dumps(content))
    content = {"name": path.name, "created": "2026-11-23T09:30:00Z", "command": "frerec benchmark",
               "dataset": data, "modality": "chest X-ray", "published": published,
               "classes": list(test_of), "image_size": 32, "counts": {}, "cells": plan,
               "versions": {}, "hardware": {}}  # fmt: skip
    (path / "benchmark.json").write_text(json.dumps(content))
    return path


def dose_run(path: Path, doses: Sequence[float] = DOSES, **options) -> Path:
    """Arms over the dose: gda falls with it, frerec less, the others do not depend on it."""
    cells = []
    for dose in doses:
        gains = DOSE_GAINS | {"gda": 0.45 - 0.6 * dose, "frerec": 0.42 - 0.25 * dose}
        for arm in ("raw", "gda", "frerec", "raw_frerec"):
            samples = 0 if arm in DOSE_GAINS else 600
            cells.append((arm, dose, gains[arm], {"train_real": 600, "train_synthetic": samples}))
    return grid_run(path, "generator.dose", cells, generator="oracle",
                    untouched=lambda arm: arm in DOSE_GAINS, **options)  # fmt: skip


def size_run(path: Path, sizes: Sequence[int | None] = (100, 500, None), **options) -> Path:
    """Arms over the train size; the ceiling got fewer images than asked at 500, none at all."""
    base = {100: -0.1, 500: 0.3, None: 0.6}
    gains = {"gda": -0.03, "frerec": 0.05, "raw_frerec": 0.02, "gda_radial": 0.0, "ceiling": 0.22}
    arms = options.pop("arms", SIZE_ARMS)
    cells = []
    for size in sizes:
        real = 4438 if size is None else 2 * size
        for arm in arms:
            if arm == "ceiling" and size is None:
                continue
            training = {"train_real": real, "train_synthetic": 0}
            if arm == "ceiling":
                extra = 200 if size == 100 else 700
                training |= {"train_real": real + extra, "train_withheld": extra}
            elif arm not in ("raw", "raw_frerec"):
                training["train_synthetic"] = real
            cells.append((arm, size, base[size] + gains.get(arm, 0.0), training))
    return grid_run(path, "data.train_size", cells, **options)
