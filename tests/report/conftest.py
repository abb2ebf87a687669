"""A small run directory, made by code: what `frerec benchmark` would have left."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made import predictions_of
from sklearn.metrics import roc_auc_score

from frerec.evaluation.predictions import write_predictions


def auc_of(arm: str, classifier: str, seed: int) -> float:
    """The test AUC of the made-up cell."""
    made = predictions_of(arm, classifier, seed)
    return float(roc_auc_score(made.labels, made.probabilities[:, 1]))


def chest(rng: np.random.Generator, size: int, large: bool) -> np.ndarray:
    """A drawn chest: two dark lungs, a bright heart, sensor noise; uint8 [1, size, size]."""
    y, x = np.mgrid[0:size, 0:size] / size
    body = 0.62 * np.exp(-(((x - 0.5) / 0.48) ** 6 + ((y - 0.55) / 0.55) ** 6))
    shift = rng.normal(0, 0.015, 4)
    lungs = sum(
        np.exp(-((((x - cx) / 0.15) ** 2 + ((y - 0.45 - shift[2]) / 0.28) ** 2) ** 2))
        for cx in (0.29 + shift[0], 0.71 + shift[1])
    )
    width = (0.2 if large else 0.14) + shift[3] / 2
    heart = np.exp(-((((x - 0.54) / width) ** 2 + ((y - 0.62) / 0.16) ** 2) ** 3))
    ribs = 0.05 * np.sin(2 * np.pi * (9 * y + 0.8 * (x - 0.5) ** 2)) * lungs
    image = body - 0.42 * lungs * (1 - heart) + 0.16 * heart + ribs + 0.08
    image = image + rng.normal(0, 0.025, image.shape)
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)[None]


def _blur(image: np.ndarray, keep: float) -> np.ndarray:
    size = image.shape[-1]
    f = np.fft.fftfreq(size)
    rho = np.hypot(f[:, None], f[None]) / 0.5
    spectrum = np.fft.fft2(image / 255.0)
    out = np.fft.ifft2(spectrum * np.where(rho > 0.45, keep, 1)).real
    return (np.clip(out, 0, 1) * 255).round().astype(np.uint8)


def _spectrum(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = images.shape[-1]
    f = np.fft.fftfreq(size) * size
    ring = np.round(np.hypot(f[:, None], f[None])).astype(int)
    power = np.log(np.abs(np.fft.fft2(images[:, 0] / 255.0, norm="ortho")) ** 2 + 1e-8)
    rows = np.array(
        [np.bincount(ring.ravel(), image.ravel()) / np.bincount(ring.ravel()) for image in power]
    )
    return np.arange(rows.shape[1]) / (size / 2), rows.mean(0), rows.std(0)


def make_run(
    path: Path,
    *,
    arms: tuple[str, ...] = ("raw", "gda", "frerec", "raw_frerec"),
    classifiers: tuple[str, ...] = ("resnet50", "resnet10t"),
    seeds: tuple[int, ...] = (0, 1, 2),
    published: str | None = "cardiomegaly",
    classes: tuple[str, ...] = ("normal", "cardiomegaly"),
    showcase: bool = True,
    size: int = 32,
    states: dict[tuple[str, str, int], str] | None = None,
    steps: dict[str, int] | None = None,
    errors: str = "DataError: probabilities are NaN or infinite for 12 of 300 images",
) -> Path:
    """Write a run; `states` overrides the state of (arm, classifier, seed), `steps` of an arm."""
    cells = []
    for classifier in classifiers:
        for arm in arms:
            for seed in seeds:
                axes = {"data": "chest_xray", "generator": "vae", "arm": arm,
                        "classifier": classifier, "seed": seed}  # fmt: skip
                cells.append({"id": f"{arm}-{classifier}-{seed}", "axes": axes})
    rng = np.random.default_rng(7)
    path.mkdir(parents=True)
    for cell in cells:
        axes = cell["axes"]
        state = (states or {}).get((axes["arm"], axes["classifier"], axes["seed"]), "finished")
        if state == "pending":
            continue
        folder = path / "cells" / cell["id"]
        folder.mkdir(parents=True)
        status = {"state": state, "seconds": float(np.round(rng.uniform(180, 240), 1))}
        if state == "failed":
            status["error"] = errors
        (folder / "status.json").write_text(json.dumps(status))
        if state != "finished":
            continue
        made = {
            split: predictions_of(
                axes["arm"], axes["classifier"], axes["seed"], split, len(classes)
            )
            for split in ("val", "test")
        }
        write_predictions(folder / "predictions.parquet", made)
        count = (steps or {}).get(axes["arm"], 1500)
        training = {"steps": count, "images_seen": count * 32,
                    "best_step": int(rng.integers(5, 15)) * 100, "train_real": 1200,
                    "train_synthetic": 0 if "raw" in axes["arm"] else 1200,
                    "seconds": status["seconds"]}  # fmt: skip
        metrics = {"axes": axes, "training": training}
        metrics |= {split: part.metrics() for split, part in made.items()}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    counts = {split: dict.fromkeys(classes, n) for split, n in
              (("train", 600), ("val", 150), ("test", 300), ("synthetic", 600))}  # fmt: skip
    plan = {
        "name": "cardiomegaly",
        "created": "2026-11-20T09:30:00Z",
        "command": "frerec benchmark experiment=cardiomegaly data.root=../shared/data/chest_xray",
        "dataset": "chest_xray",
        "modality": "chest X-ray",
        "published": published,
        "classes": list(classes),
        "image_size": size,
        "counts": counts,
        "cells": cells,
        "versions": {"frerec": "0.1.0", "torch": "2.11.0", "timm": "1.0.31", "monai": "1.6.1"},
        "hardware": {"cpu": "an x86_64 processor", "cores": 2, "gpu": None},
    }
    (path / "benchmark.json").write_text(json.dumps(plan))
    if showcase:
        _make_showcase(path / "showcase", size)
    return path


def _make_showcase(folder: Path, size: int, count: int = 12) -> None:
    folder.mkdir()
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 2
    real = np.stack([chest(rng, size, bool(label)) for label in labels])
    clean = np.stack([chest(rng, size, bool(label)) for label in labels])
    images = {
        "real": real,
        "synthetic": np.stack([_blur(image, 0.08) for image in clean]),
        "synthetic_shr": np.clip(clean + rng.normal(0, 6, clean.shape), 0, 255).astype(np.uint8),
        "synthetic_frerec": np.stack([_blur(image, 0.8) for image in clean]),
        "real_frerec": np.stack([_blur(image, 0.9) for image in real]),
    }
    np.savez(folder / "images.npz", real_labels=labels, synthetic_labels=labels, **images)
    spectra = {}
    for name, stack in images.items():
        spectra["rho"], spectra[f"{name}_mean"], spectra[f"{name}_std"] = _spectrum(stack)
        power = np.abs(np.fft.fft2(stack[:, 0] / 255.0, norm="ortho")) ** 2
        spectra[f"{name}_plane"] = np.fft.fftshift(np.log(power + 1e-12).mean(0))
    np.savez(folder / "spectra.npz", **spectra)
    np.savez(folder / "embedding.npz", **_embedding(rng))
    quality = {"kid_features": "ResNet-50 (ImageNet), global pool"}
    fidelity = {
        "real_shr": {"psnr": 26.31, "ssim": 0.931, "images": 300,
                     "what": "real validation images after SHR alone"},
        "real_frerec_train": {"psnr": 33.82, "ssim": 0.958, "images": 300,
                              "what": "real training images after FreRec"},
        "real_frerec_val": {"psnr": 33.14, "ssim": 0.951, "images": 300,
                            "what": "real validation images after FreRec"},
    }  # fmt: skip
    notes = {
        "generator": {"name": "vae", "card": {"parameters": 2134017, "training steps": 6000,
                                              "latent dimensions": 128, "beta": 0.5}},
        "sets": {
            "synthetic": {"lsd_db": 9.48, "lsd_high_db": 13.2, "detector_auc": 1.0,
                          "kid": 0.1421, "kid_std": 0.0042} | quality,
            "synthetic_shr": {"lsd_db": 2.31, "lsd_high_db": 0.66, "detector_auc": 0.93,
                              "kid": 0.1310, "kid_std": 0.0040} | quality,
            "synthetic_frerec": {"lsd_db": 1.94, "lsd_high_db": 1.12, "detector_auc": None,
                                 "kid": None, "kid_std": None, "kid_features": None},
        },
        "fidelity": fidelity,
        "quality": [{"samples": "vae generator.beta=0.5", "quality": _quality_of_samples()}],
        "arm_fidelity": [
            _fidelity_entry("shr", 25.4, 0.81),
            _fidelity_entry("frerec", 33.14, 0.951),
        ],
        "inference": [
            _time_entry("shr", ["shr"], "", 3.25),
            _time_entry("frerec", ["shr", "rhm"], "FET-Restormer lite", 61.5),
            _time_entry("radial", [], "", 0.42),
        ],
        "embedding": {
            "before": {"overlap": 0.965, "overlap_calibrated": 0.71, "images": 60, "split": "val",
                       "classifier": "resnet50", "arm": "raw", "seed": 0},
            "after": {"overlap": 0.62, "images": 60, "split": "train",
                      "classifier": "resnet50", "arm": "frerec", "seed": 0},
        },
        "missing": {},
    }  # fmt: skip
    (folder / "showcase.json").write_text(json.dumps(notes))


def _embedding(rng: np.random.Generator) -> dict:
    """Clouds of two sets and two classes: apart before, nearly one after."""
    sets, labels = np.repeat([0, 1], 60).astype(np.uint8), np.arange(120) // 2 % 2
    arrays = {}
    for stage, gap in (("before", 6.0), ("after", 1.0)):
        arrays |= {f"{stage}_sets": sets, f"{stage}_labels": labels}
        for method in ("tsne", "umap"):
            centre = np.stack([gap * sets, 4.0 * labels], axis=1)
            points = centre + rng.normal(0, 1, (120, 2))
            arrays[f"{method}_{stage}"] = points.astype(np.float32)
    return arrays


def _fidelity_entry(arm: str, psnr: float, ssim: float) -> dict:
    return {"data": "chest_xray", "arm": arm, "arms": [arm], "extra": {}, "classifier_free": True,
            "split": "val", "psnr": psnr, "ssim": ssim, "images": 300}  # fmt: skip


def _time_entry(method: str, stages: list[str], network: str, ms: float) -> dict:
    return {"data": "chest_xray", "arm": method if stages else f"gda_{method}",
            "arms": [method], "extra": {}, "method": method, "stages": stages, "network": network,
            "parameters": 971327 if network else 0, "precision": "32-true", "ms_per_image": ms,
            "ms_low": ms * 0.9, "ms_high": ms * 1.2, "images": 16, "batch": 1, "size": [32, 32],
            "channels": 1, "device": "an x86_64 processor", "threads": 2}  # fmt: skip


def _quality_of_samples() -> dict:
    def distance(fid: float, kid: float, real: int, samples: int) -> dict:
        return {"fid": fid, "kid": kid, "kid_std": 0.0042, "precision": 0.512, "recall": 0.25,
                "lsd_db": 9.48, "lsd_high_db": 13.2, "detector_auc": None,
                "n_real": real, "n_synthetic": samples}  # fmt: skip

    return distance(81.24, 0.1421, 1200, 1200) | {
        "features": "timm resnet18, random weights (seed 0), images at their own size",
        "matched": distance(84.5, 0.1433, 600, 600),
        "floor": distance(3.25, 0.0007, 600, 600),
        "classes": {},
        "warnings": ["FID of 500 images in 512 features is unreliable; read KID"],
    }


@pytest.fixture(scope="session")
def kept_run(tmp_path_factory) -> Path:
    """A finished run with a showcase, two classifiers (one of them the paper's), three seeds.

    For reading only: every test sees the same one.
    """
    return make_run(tmp_path_factory.mktemp("kept") / "run")


@pytest.fixture
def run_dir(tmp_path: Path, kept_run: Path) -> Path:
    """The same run, a copy of one's own."""
    return shutil.copytree(kept_run, tmp_path / "run")


@pytest.fixture(scope="session")
def build():
    """The builder itself, for runs that are not so well."""
    return make_run


@pytest.fixture
def made_auc():
    """The AUC that `make_run` gives a cell."""
    return auc_of


@pytest.fixture(name="predictions_of", scope="session")
def made_predictions():
    """The predictions that `make_run` gives a cell."""
    return predictions_of
