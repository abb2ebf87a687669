"""``frerec fit``: a calibrator on a folder of real images, and on synthetic ones where it needs."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from frerec.benchmark.fits import identity_of_fit, remove_checkpoints
from frerec.benchmark.hashing import content_hash
from frerec.calibration import Calibrator
from frerec.calibration.base import CONFIG_FILE
from frerec.config import check_complete, compose_config, instantiate, plain, require
from frerec.data.address import Address
from frerec.data.readers import ReadOptions
from frerec.errors import ConfigError, FrerecError
from frerec.samples.folder_images import (
    FolderImages,
    content_of,
    list_images,
    refuse_real_images,
)
from frerec.training_tools import write_json
from frerec.verbs.folders import put_in_place, refuse_around, refuse_inside

log = logging.getLogger(__name__)


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Fit on the source's training split, or on every image where the source has no splits."""
    config = compose_config(config_name, overrides)
    out = Path(require(config, "out", "the folder for the model"))
    check_complete(config)
    root = config.data.get("root")
    refuse_inside(out, Path(root) if root else None, key="out", source_key="data.root")
    if not out.name:
        raise ConfigError(f"out={out}: expected a new folder's name")
    done = (out / CONFIG_FILE).exists()
    if done and not config.overwrite:
        raise ConfigError(f"{out}: holds a model already; give overwrite=true or another out=")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give out= a folder")
    if out.exists() and not done and any(out.iterdir()):
        raise ConfigError(f"{out}: holds other files; give a new folder as out=")
    reads = {"data.root": root, "data.cache_dir": config.data.cache_dir}
    refuse_around(out, reads | {"paths.store": config.paths.store}, key="out")
    _check_only_a_model(out)
    data = instantiate(config.data)
    calibrator: Calibrator = instantiate(config.calibrator)
    listed = _synthetic_images(config, calibrator, out)
    data.prepare_data()
    data.setup()
    rows = data.rows("train")
    progress = bool(config.trainer.progress) and sys.stderr.isatty()
    images, groups = data.stack.select(rows), data.manifest.groups()[rows].tolist()
    inputs = {"data": data.fingerprint, "calibrator": identity_of_fit(plain(config.calibrator))}
    synthetic = None
    if listed:
        inputs["synthetic"] = content_of(listed)
        refuse_real_images(listed, inputs["synthetic"], set(data.manifest.table["hash"]))
        options = ReadOptions(config.data.pixel_limit)
        synthetic = FolderImages(listed, tuple(images.shape[1:]), options=options)
    log.info(
        "fitting %s on %d real images%s",
        calibrator.name,
        len(rows),
        f" and {len(listed)} synthetic ones" if listed else "",
    )
    key = content_hash(inputs)
    work = out.with_name(f".{out.name}.{key}.partial")  # a killed fit goes on from here
    work.mkdir(parents=True, exist_ok=True)
    try:
        calibrator.fit(images, groups, synthetic=synthetic, directory=work, progress=progress)
    except FrerecError:
        _remove_if_empty(work)
        raise
    if calibrator.report:
        write_json(work / "fit.json", calibrator.report)
    calibrator.save(work)
    remove_checkpoints(work)
    put_in_place(work, out)
    if "psnr" in calibrator.report:
        log.info(
            "RHM on held-out real images: %.2f dB from %.2f dB",
            calibrator.report["psnr"],
            calibrator.report["input_psnr"],
        )
    print(f"Model: {out}")
    return 0


def _synthetic_images(config: DictConfig, calibrator: Calibrator, out: Path) -> list[Address]:
    """The generator's images that the fit needs, listed; empty where it needs none.

    Raises:
        ConfigError: If ``synthetic`` is missing, of no use, or nested with another folder.
        DataError: If the folder holds no images.
    """
    if not calibrator.uses_synthetic:
        if config.synthetic is not None:
            raise ConfigError(
                f"synthetic={config.synthetic}: calibrator {calibrator.name} is fitted on real "
                "images alone; leave synthetic= out"
            )
        return []
    given = config.synthetic
    if given is None or given == "":
        raise ConfigError(
            f"synthetic is missing: calibrator {calibrator.name} is fitted on a generator's images "
            "too; give synthetic=DIR"
        )
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ConfigError(f"synthetic={given}: expected a folder")
    folder = Path(str(given)).expanduser()
    root = config.data.get("root")
    if root:
        refuse_inside(folder, Path(root), key="synthetic", source_key="data.root")
        refuse_around(folder, {"data.root": root}, key="synthetic")
    refuse_inside(out, folder, key="out", source_key="synthetic")
    refuse_around(out, {"synthetic": folder}, key="out")
    return list_images(folder)


def _check_only_a_model(out: Path) -> None:
    """Refuse to replace a folder that holds more than a model's files."""
    ours = (".json", ".jsonl", ".safetensors", ".npy")
    files = out.rglob("*") if out.is_dir() else ()
    other = sorted(p.name for p in files if p.is_file() and p.suffix not in ours)
    if other:
        raise ConfigError(
            f"{out}: holds {other[0]} beside a model; move it away, or give another out="
        )


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
