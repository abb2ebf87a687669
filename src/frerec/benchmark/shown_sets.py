"""The sets of images that a showcase compares: real and synthetic, before and after calibration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frerec.benchmark.cell import Cell
from frerec.calibration import Calibrator, FreRec, StatisticalHighFrequencyReplacement
from frerec.calibration.frerec import STAGES
from frerec.diagnosis.measuring import log_power_plane
from frerec.evaluation.image_quality import psnr, ssim
from frerec.spectral import radial_log_power, ring_radius

AT_ONCE = 128  # images whose spectra are in memory


@dataclass(frozen=True)
class ShownSets:
    """Float32 images ``[n, C, H, W]`` by the name of their set, and what each stands for.

    `real_rows` are the real training images that every "real..." set shows, `sample_rows` the
    samples of every "synthetic..." set; `fidelity` is a part of ``showcase.json``.
    """

    images: dict[str, Tensor]
    real_rows: np.ndarray
    sample_rows: np.ndarray
    fidelity: dict[str, dict[str, Any]]


def collect_sets(cell: Cell, count: int, *, calibrated: bool) -> ShownSets:
    """At most ``count`` images a set of the cell's data, samples and calibrator.

    Args:
        cell: Its stages have samples.
        count: Images a set.
        calibrated: False leaves the calibrator alone: no arm has fitted it.
    """
    stages, data = cell.stages, cell.stages.data
    rng = np.random.default_rng(0)
    train, held = data.rows("train"), data.rows("val")
    real_rows, held_rows = _draw(rng, train, count), _draw(rng, held, count)
    sample_rows = _draw(rng, np.arange(len(stages.samples.stack)), count)
    sets = {
        "real": data.stack.tensor(real_rows),
        "synthetic": stages.samples.stack.tensor(sample_rows),
    }
    fidelity: dict[str, Any] = {}
    calibrator = stages.calibrator if calibrated else None
    shr = _shr_of(calibrator)
    if shr is not None:
        sets["synthetic_shr"] = shr.transform(sets["synthetic"])
        sets["real_shr"] = shr.transform(sets["real"])
        what = "SHR of real training images against the images themselves"
        fidelity["real_shr"] = _fidelity(sets["real_shr"], sets["real"], what)
    if isinstance(calibrator, FreRec) and calibrator.stages == STAGES:
        sets["synthetic_frerec"] = stages.calibrated("synthetic").tensor(sample_rows)
        for name, rows, text in (
            ("real_frerec_train", real_rows, "FreRec of real training images"),
            ("real_frerec_val", held_rows, "FreRec of real validation images, unseen by the fit"),
        ):
            images, treated = data.stack.tensor(rows), _real(cell, rows)
            sets.setdefault("real_frerec", treated)  # the training images come first
            fidelity[name] = _fidelity(treated, images, f"{text} against the images themselves")
    elif calibrator is not None and shr is None:
        sets["synthetic_calibrated"] = stages.calibrated("synthetic").tensor(sample_rows)
        if cell.config.arm.real == "calibrated":
            sets["real_calibrated"] = stages.calibrated("real").tensor(real_rows)
            what = f"{cell.config.arm.name} of real training images against the images themselves"
            fidelity["real_calibrated"] = _fidelity(sets["real_calibrated"], sets["real"], what)
    return ShownSets(sets, real_rows, sample_rows, fidelity)


def write_images(folder: Path, cell: Cell, shown: ShownSets, count: int) -> None:
    """``images.npz``: the first images of each class in turn, so that every class is seen.

    Image i of every "real..." set is one real image, image i of every "synthetic..." set one
    sample: uint8 ``[n, C, H, W]``, with ``real_labels`` and ``synthetic_labels``.
    """
    labels = {
        "real": cell.stages.data.manifest.label_indices()[shown.real_rows],
        "synthetic": cell.stages.samples.manifest.label_indices()[shown.sample_rows],
    }
    chosen = {name: _in_turn(values, count) for name, values in labels.items()}
    columns = min(len(rows) for rows in chosen.values())
    arrays: dict[str, np.ndarray] = {
        f"{name}_labels": values[chosen[name][:columns]] for name, values in labels.items()
    }
    for name, images in shown.images.items():
        rows = chosen["real" if name.startswith("real") else "synthetic"][:columns]
        arrays[name] = (images[rows] * 255).round().byte().numpy()
    write_npz(folder / "images.npz", arrays)


def write_spectra(folder: Path, sets: dict[str, Tensor]) -> None:
    """``spectra.npz``: natural-log power, radial (mean and deviation) and in the plane (mean).

    ``rho [R]``, ``NAME_mean [R]``, ``NAME_std [R]``, and ``NAME_plane`` float32 ``[H, W]`` with DC
    at (H//2, W//2).
    """
    arrays = {"rho": ring_radius(*sets["real"].shape[-2:]).numpy()}
    for name, images in sets.items():
        parts = images.split(AT_ONCE)
        curves = torch.cat([radial_log_power(part).mean(1) for part in parts])
        arrays[f"{name}_mean"] = curves.mean(0).numpy()
        arrays[f"{name}_std"] = curves.std(0, correction=0).numpy()
        total = sum((log_power_plane(part).sum(0) for part in parts), torch.zeros(()))
        arrays[f"{name}_plane"] = (total / len(images)).float().numpy()
    write_npz(folder / "spectra.npz", arrays)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays, whole or not at all."""
    partial = path.with_name(path.stem + ".partial.npz")
    np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def _real(cell: Cell, rows: np.ndarray) -> Tensor:
    """Calibrated real images: the cell's own, or these alone where the arm leaves them raw."""
    stages = cell.stages
    if cell.config.arm.real == "calibrated":
        return stages.calibrated("real").tensor(rows)
    return stages.calibrator.transform(stages.data.stack.tensor(rows))


def _draw(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    return np.sort(rng.permutation(rows)[:count])


def _shr_of(calibrator: Calibrator | None) -> StatisticalHighFrequencyReplacement | None:
    if isinstance(calibrator, FreRec):
        return calibrator.shr if "shr" in calibrator.stages else None
    return calibrator if isinstance(calibrator, StatisticalHighFrequencyReplacement) else None


def _fidelity(images: Tensor, reference: Tensor, what: str) -> dict[str, Any]:
    return {
        "psnr": float(psnr(images, reference).mean()),
        "ssim": float(ssim(images, reference).mean()),
        "images": len(images),
        "what": what,
    }


def _in_turn(labels: np.ndarray, count: int) -> np.ndarray:
    ranks = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        mask = labels == label
        ranks[mask] = np.arange(mask.sum())
    return np.lexsort((labels, ranks))[:count]
