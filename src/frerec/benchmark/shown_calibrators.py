"""Of every calibrator of a comparison: how much it changes real images, and how long it takes."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frerec.benchmark.cell import Cell
from frerec.benchmark.fits import load_for_use
from frerec.benchmark.treatments import Treatment, treatments
from frerec.calibration import Calibrator, FreRec
from frerec.evaluation.image_quality import psnr, ssim
from frerec.tracking.environment import hardware

WARM_UP = 2  # calls before the clock starts: the first ones allocate, and choose their algorithms
BUDGET, FEWEST = 5.0, 3  # [ours] seconds a calibrator after which it is enough, but for 3 images
SPLIT = "val"

Attempt = Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any] | None]


def arm_fidelity(cells: Sequence[Cell], count: int, attempt: Attempt) -> list[dict[str, Any]]:
    """PSNR and SSIM of validation images after each calibrated treatment to the images themselves.

    The paper's ablation reports both [ours: of validation images, which no fit has seen]. The
    treated images are those that the cells were trained and tested with: nothing is fitted anew.

    Args:
        cells: Finished ones; their treatments of real images are measured, each once.
        count: Images at most.
        attempt: Runs a measurement under a name, and gives None where it fails.

    Returns:
        A dictionary a treatment: key, data, arm, arms, extra (the axes that it varies along),
        calibrates (what the arm does), classifier_free (always true: no classifier has a part in
        it), split, psnr in dB, ssim, images.
    """

    def measure(treatment: Treatment) -> dict[str, Any]:
        stages = treatment.shown.stages
        rows = drawn_rows(stages.data.rows(SPLIT), count)
        images, treated = stages.data.stack.tensor(rows), stages.calibrated("real").tensor(rows)
        return {
            **treatment.axes,
            "classifier_free": True,
            "split": SPLIT,
            "psnr": float(psnr(treated, images).mean()),
            "ssim": float(ssim(treated, images).mean()),
            "images": len(rows),
        }

    return _each(treatments(cells, of_real=True), "arm_fidelity", measure, attempt)


def inference_times(cells: Sequence[Cell], count: int, attempt: Attempt) -> list[dict[str, Any]]:
    """Milliseconds an image of every calibrator among these cells, one image at a time.

    The median over the images; two others are calibrated before them and not counted, or two of
    the same where there are no others. A GPU is waited for before and after each. [ours] The paper
    does not say how it measured its 15 to 18 ms. A slow calibrator is timed on fewer images,
    `images` says on how many.

    Args:
        cells: Finished ones; their calibrators are timed, each once, where the trainer runs.
        count: Validation images; 0 measures nothing.
        attempt: Runs a measurement under a name, and gives None where it fails.

    Returns:
        A dictionary a calibrator: key, data, arm, arms, extra, calibrates, method, stages, network,
        ms_per_image, ms_low and ms_high (the quartiles), images, batch, size (height and width),
        channels, device, threads (of PyTorch), precision.
    """

    def measure(treatment: Treatment) -> dict[str, Any]:
        cell = treatment.shown
        stages = cell.stages
        rows = drawn_rows(stages.data.rows(SPLIT), WARM_UP + count)
        calibrator = load_for_use(
            stages.calibrator_folder, stages.calibrator_use, cell.config.trainer.accelerator
        )
        times = _milliseconds(calibrator, stages.data.stack.tensor(rows))
        machine = hardware()
        on_gpu = calibrator.device.type == "cuda"
        low, middle, high = np.percentile(times, [25, 50, 75]).tolist()
        return {
            **treatment.axes,
            **_described(calibrator, str(cell.config.arm.name)),
            "ms_per_image": middle,
            "ms_low": low,
            "ms_high": high,
            "images": len(times),
            "batch": 1,
            "size": list(stages.data.stack.shape[-2:]),
            "channels": stages.data.channels,
            "device": machine["gpu"] if on_gpu else machine["cpu"],
            "threads": torch.get_num_threads(),
        }

    return [] if count == 0 else _each(treatments(cells), "inference", measure, attempt)


def drawn_rows(rows: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """At most ``count`` of these rows, drawn and in order: int64."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def _each(
    found: Iterable[Treatment],
    part: str,
    measure: Callable[[Treatment], dict[str, Any]],
    attempt: Attempt,
) -> list[dict[str, Any]]:
    entries = []
    for treatment in found:
        axes = " ".join(f"{key}={value}" for key, value in treatment.extra.items())
        name = f"{part} of {treatment.shown.config.arm.name} {axes}".strip()
        entry = attempt(name, lambda t=treatment: measure(t))  # type: ignore[misc]
        if entry is not None:
            entries.append(entry)
    return entries


def _milliseconds(calibrator: Calibrator, images: Tensor) -> list[float]:
    images = images.to(calibrator.device)
    on_gpu = calibrator.device.type == "cuda"

    def wait() -> None:
        if on_gpu:
            torch.cuda.synchronize()

    singles = images.split(1)
    for image in singles[:WARM_UP]:
        calibrator.transform(image)
    times: list[float] = []
    for image in singles[WARM_UP:] or singles:
        if len(times) >= FEWEST and sum(times) > 1000 * BUDGET:
            break
        wait()
        started = time.perf_counter()
        calibrator.transform(image)
        wait()
        times.append(1000 * (time.perf_counter() - started))
    return times


def _described(calibrator: Calibrator, arm: str) -> dict[str, Any]:
    """The method by its arm where FreRec's stages differ, and by its own name otherwise."""
    if not isinstance(calibrator, FreRec):
        described = {"method": calibrator.name, "stages": [], "network": "", "parameters": 0}
        return {**described, "precision": "32-true"}
    rhm = calibrator.rhm
    network, parameters, precision = "", 0, "32-true"
    if "rhm" in calibrator.stages:
        network = f"FET-Restormer {rhm.hparams['network']}"
        network += "" if rhm.hparams["frequency_branch"] else " without FESA"
        parameters = sum(p.numel() for p in rhm.network.parameters())
        precision = str(rhm.hparams["inference_precision"])
    described = {"method": arm, "stages": list(calibrator.stages), "network": network}
    return {**described, "parameters": parameters, "precision": precision}
