"""``frerec calibrate``: a fitted calibrator over a folder of any generator's images."""

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from frerec.calibration import Calibrator, load_calibrator
from frerec.calibration.base import CONFIG_FILE, WEIGHTS_FILE
from frerec.config import compose_config, require
from frerec.data.readers import read_image
from frerec.errors import ConfigError, DataError
from frerec.training_tools import write_json

log = logging.getLogger(__name__)

EXTENSIONS = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
RECORD = "frerec.json"  # in the output folder: which model its images went through
STEP = {8: 255, 16: 65535}


@dataclass(frozen=True)
class Task:
    """One image to calibrate."""

    source: Path
    target: Path


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Calibrate every image under ``input`` into the same tree under ``output``, as PNG."""
    config = compose_config(config_name, overrides)
    model = Path(require(config, "model", "a folder that `frerec fit` wrote"))
    source = Path(require(config, "input", "the folder of images"))
    output = Path(require(config, "output", "the folder for calibrated images"))
    if config.bits not in STEP:
        raise ConfigError(f"bits={config.bits}: expected 8 or 16")
    if config.on_error not in ("raise", "skip"):
        raise ConfigError(f"on_error={config.on_error}: expected raise or skip")
    if config.batch_size < 1:
        raise ConfigError(f"batch_size={config.batch_size}: expected at least 1")
    tasks = list_tasks(source, output)
    device = _device(config.device)
    calibrator = load_calibrator(model).to(device)
    record = {"model": _fingerprint(model), "bits": config.bits}
    todo = _open_output(output, tasks, record, overwrite=config.overwrite)
    skipped = _calibrate(calibrator, todo, source, config, device)
    write_json(output / RECORD, record)
    print(
        f"Calibrated {len(todo) - len(skipped)} images into {output}"
        f" ({len(tasks) - len(todo)} were there, {len(skipped)} skipped)"
    )
    return 0


def list_tasks(source: Path, output: Path) -> list[Task]:
    """Images under ``source`` with their targets, in the order of their names.

    Raises:
        DataError: If the folder is missing or empty, or two images would get one target.
        ConfigError: If one folder lies inside the other.
    """
    if not source.is_dir():
        raise DataError(f"input={source}: no such folder")
    inner, outer = source.resolve(), output.resolve()
    if inner == outer or inner in outer.parents or outer in inner.parents:
        raise ConfigError(f"output={output}: must not lie in input, nor input in it")
    files = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in EXTENSIONS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    if not files:
        raise DataError(f"input={source}: no images ({', '.join(sorted(EXTENSIONS))}) in it")
    tasks: dict[Path, Task] = {}
    for path in files:
        target = (output / path.relative_to(source)).with_suffix(".png")
        if target in tasks:
            other = tasks[target].source
            raise DataError(f"{path} and {other}: both would become {target}; rename one")
        tasks[target] = Task(path, target)
    return list(tasks.values())


def _open_output(
    output: Path, tasks: Sequence[Task], record: dict[str, Any], *, overwrite: bool
) -> list[Task]:
    """Tasks still to do; nothing of another model or of anybody else is overwritten unasked."""
    path = output / RECORD
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output={output}: is a file; give a folder")
    same = path.is_file() and _read_record(path) == record
    if not same and not overwrite:
        foreign = next(iter(sorted(output.rglob("*.png"))), None) if output.is_dir() else None
        if foreign is not None:
            raise ConfigError(
                f"{foreign}: exists and was not made by this model with bits={record['bits']}; "
                "give overwrite=true or another output="
            )
    output.mkdir(parents=True, exist_ok=True)
    # While images are being replaced, those that are there are of unknown origin.
    write_json(path, {"replacing": record} if overwrite else record)
    return [task for task in tasks if overwrite or not task.target.exists()]


def _read_record(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None  # not ours, or damaged: then nothing there is known to be this model's


def _calibrate(
    calibrator: Calibrator,
    tasks: Sequence[Task],
    source: Path,
    config: DictConfig,
    device: torch.device,
) -> list[Path]:
    skipped: list[Path] = []
    shape = calibrator.input_shape
    channels = 3 if shape is None else shape[0]
    with tqdm(
        total=len(tasks), desc="calibrating", unit="image", disable=not sys.stderr.isatty()
    ) as bar:
        for batch in _batches(tasks, config.batch_size):
            images, kept = [], []
            for task in batch:
                try:
                    image = read_image(task.source, channels=channels)
                    _check_size(shape, image, task.source)
                except DataError as error:
                    if config.on_error == "raise":
                        raise
                    log.warning("skipped: %s", error)
                    skipped.append(task.source.relative_to(source))
                    continue
                images.append(image)
                kept.append(task)
            if images:
                results = calibrator.transform(torch.stack(images).to(device)).cpu()
                for task, result in zip(kept, results, strict=True):
                    write_png(result, task.target, bits=config.bits)
            bar.update(len(batch))
    return skipped


def _batches(tasks: Sequence[Task], size: int) -> Iterator[Sequence[Task]]:
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]


def _check_size(shape: tuple[int, int, int] | None, image: Tensor, path: Path) -> None:
    if shape is not None and shape[1:] != tuple(image.shape[1:]):
        raise DataError(
            f"{path}: {image.shape[2]} x {image.shape[1]} pixels, the model was fitted on "
            f"{shape[2]} x {shape[1]}; generate or resize to that size, or fit another model"
        )


def write_png(image: Tensor, path: Path, *, bits: int) -> None:
    """Write ``[C, H, W]`` in [0, 1] as PNG: a temporary name first, then renamed.

    Raises:
        ConfigError: For 16-bit colour, which PNG through Pillow does not write.
    """
    levels = (image * STEP[bits]).round().to(torch.int32).numpy()
    if bits == 16 and len(levels) == 3:
        raise ConfigError("bits=16: colour images are written with 8 bits a channel; give bits=8")
    array = levels.astype(np.uint8 if bits == 8 else np.uint16)
    picture = Image.fromarray(array[0] if len(array) == 1 else np.moveaxis(array, 0, -1))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    picture.save(partial, format="PNG")
    partial.replace(path)


def _fingerprint(model: Path) -> str:
    digest = hashlib.sha256((model / CONFIG_FILE).read_bytes())
    with (model / WEIGHTS_FILE).open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device={name}: expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: no CUDA device here; give device=cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
