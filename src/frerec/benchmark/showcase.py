"""What the report shows of images: a sample grid, spectra, distances and fidelity."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frerec.benchmark.cell import Cell
from frerec.benchmark.shown_quality import quality_of_samples
from frerec.calibration import Calibrator, FreRec, StatisticalHighFrequencyReplacement
from frerec.classification import PenultimateFeatures, load_classifier
from frerec.errors import DataError
from frerec.evaluation.image_quality import (
    kernel_inception_distance,
    psnr,
    spectral_detector_auc,
    ssim,
)
from frerec.spectral import log_spectral_distance, radial_log_power, ring_radius
from frerec.training_tools import write_json

log = logging.getLogger(__name__)


def write_showcase(
    cell: Cell,
    run_dir: Path,
    feature_cell: Path | None,
    settings: Any,
    *,
    cells: Sequence[Cell],
) -> None:
    """Write ``run_dir/showcase``: images.npz, spectra.npz and showcase.json.

    Distances compare samples with real training images: uncalibrated samples with uncalibrated
    real images, calibrated samples with calibrated ones, because that is what a classifier sees.
    Without a calibrated arm nothing is calibrated, and nothing fitted, for the showcase's sake.
    SHR and FreRec show their stages under names of their own, any other calibrator its samples as
    ``synthetic_calibrated``. The samples of all ``cells`` with samples are measured as they are,
    against the real training images.
    """
    stages, data = cell.stages, cell.stages.data
    folder = run_dir / "showcase"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    train, held = data.rows("train"), data.rows("val")
    real_rows = _draw(rng, train, settings.spectra)
    held_rows = _draw(rng, held, settings.spectra)
    sample_rows = _draw(rng, np.arange(len(stages.samples.stack)), settings.spectra)

    sets = {
        "real": data.stack.tensor(real_rows),
        "synthetic": stages.samples.stack.tensor(sample_rows),
    }
    fidelity: dict[str, Any] = {}
    calibrated = any(other.config.arm.synthetic == "calibrated" for other in cells)
    calibrator = stages.calibrator if calibrated else None
    shr = _shr_of(calibrator)
    if shr is not None:
        sets["synthetic_shr"] = shr.transform(sets["synthetic"])
        sets["real_shr"] = shr.transform(sets["real"])
        what = "SHR of real training images against the images themselves"
        fidelity["real_shr"] = _fidelity(sets["real_shr"], sets["real"], what)
    if isinstance(calibrator, FreRec):
        real, synthetic = stages.calibrated("real"), stages.calibrated("synthetic")
        sets["synthetic_frerec"] = synthetic.tensor(sample_rows)
        sets["real_frerec"] = real.tensor(real_rows)
        for name, rows, text in (
            ("real_frerec_train", real_rows, "FreRec of real training images"),
            ("real_frerec_val", held_rows, "FreRec of real validation images, unseen by the fit"),
        ):
            fidelity[name] = _fidelity(
                real.tensor(rows), data.stack.tensor(rows), f"{text} against the images themselves"
            )
    elif calibrator is not None and shr is None:
        sets["synthetic_calibrated"] = stages.calibrated("synthetic").tensor(sample_rows)
        if cell.config.arm.real == "calibrated":
            sets["real_calibrated"] = stages.calibrated("real").tensor(real_rows)
            what = f"{calibrator.name} of real training images against the images themselves"
            fidelity["real_calibrated"] = _fidelity(sets["real_calibrated"], sets["real"], what)

    extractor = _extractor(feature_cell) if feature_cell is not None else None
    groups = data.manifest.groups()[real_rows]
    rivals = {
        "synthetic": "real",
        "synthetic_shr": "real_shr",
        "synthetic_frerec": "real_frerec",
        # Most baselines leave real images as they are.
        "synthetic_calibrated": "real_calibrated" if "real_calibrated" in sets else "real",
    }
    distances = {
        name: _distances(sets[rival], sets[name], groups, extractor)
        for name, rival in rivals.items()
        if name in sets
    }
    radius = ring_radius(*sets["real"].shape[-2:]).numpy()
    _write_images(folder, cell, sets, real_rows, sample_rows, settings.images)
    _write_spectra(folder, radius, sets)
    write_json(
        folder / "showcase.json",
        {
            "generator": {"name": stages.generator_name, "card": _flat_card(stages.samples.card)},
            "sets": distances,
            "fidelity": fidelity,
            "quality": quality_of_samples(cells),
        },
    )


def _draw(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    return np.sort(rng.permutation(rows)[:count])


def _shr_of(calibrator: Calibrator | None) -> StatisticalHighFrequencyReplacement | None:
    if isinstance(calibrator, FreRec):
        return calibrator.shr
    return calibrator if isinstance(calibrator, StatisticalHighFrequencyReplacement) else None


def _fidelity(images: Tensor, reference: Tensor, what: str) -> dict[str, Any]:
    return {
        "psnr": float(psnr(images, reference).mean()),
        "ssim": float(ssim(images, reference).mean()),
        "images": len(images),
        "what": what,
    }


def _distances(
    real: Tensor, samples: Tensor, groups: np.ndarray, extractor: PenultimateFeatures | None
) -> dict[str, Any]:
    try:
        detector: float | None = spectral_detector_auc(real, samples, groups=groups)
    except (DataError, ValueError):
        detector = None  # fewer images or patients than folds; the report shows a dash
    found: dict[str, Any] = {
        "lsd_db": log_spectral_distance(real, samples),
        "lsd_high_db": log_spectral_distance(real, samples, minimum_radius=0.5),
        "detector_auc": detector,
        "kid": None,
        "kid_std": None,
        "kid_features": "",
    }
    if extractor is not None:
        found["kid"], found["kid_std"] = kernel_inception_distance(real, samples, extractor)
        name = extractor.classifier.hparams["name"]
        found["kid_features"] = f"{name} trained on the real images alone"
    return found


def _extractor(cell_folder: Path) -> PenultimateFeatures:
    return PenultimateFeatures(load_classifier(sorted(cell_folder.glob("best-*.ckpt"))[-1]))


def _write_images(
    folder: Path,
    cell: Cell,
    sets: dict[str, Tensor],
    real_rows: np.ndarray,
    sample_rows: np.ndarray,
    count: int,
) -> None:
    """The first images of each class in turn, so that every class is seen."""
    labels = {
        "real": cell.stages.data.manifest.label_indices()[real_rows],
        "synthetic": cell.stages.samples.manifest.label_indices()[sample_rows],
    }
    chosen = {name: _in_turn(values, count) for name, values in labels.items()}
    columns = min(len(rows) for rows in chosen.values())
    arrays: dict[str, np.ndarray] = {
        f"{name}_labels": values[chosen[name][:columns]] for name, values in labels.items()
    }
    for name in ("real", "synthetic", "synthetic_shr", "synthetic_frerec", "synthetic_calibrated"):
        if name in sets:
            rows = chosen["real" if name == "real" else "synthetic"][:columns]
            arrays[name] = (sets[name][rows] * 255).round().byte().numpy()
    _write_npz(folder / "images.npz", arrays)


def _in_turn(labels: np.ndarray, count: int) -> np.ndarray:
    ranks = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        mask = labels == label
        ranks[mask] = np.arange(mask.sum())
    return np.lexsort((labels, ranks))[:count]


def _write_spectra(folder: Path, radius: np.ndarray, sets: dict[str, Tensor]) -> None:
    arrays = {"rho": radius}
    for name, images in sets.items():
        curves = torch.cat([radial_log_power(part).mean(1) for part in images.split(128)])
        arrays[f"{name}_mean"] = curves.mean(0).numpy()
        arrays[f"{name}_std"] = curves.std(0, correction=0).numpy()
    _write_npz(folder / "spectra.npz", arrays)


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    partial = path.with_name(path.stem + ".partial.npz")
    np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def _flat_card(card: dict[str, Any]) -> dict[str, Any]:
    flat = {k: v for k, v in card.items() if isinstance(v, str | int | float)}
    flat |= card.get("final", {})
    return flat
