"""``frerec fit``: a calibrator on a folder of real images."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from frerec.benchmark.hashing import content_hash
from frerec.benchmark.stages import identity_of_fit, remove_checkpoints
from frerec.calibration.base import CONFIG_FILE
from frerec.config import check_complete, compose_config, instantiate, plain, require
from frerec.errors import ConfigError, FrerecError
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
    calibrator = instantiate(config.calibrator)
    data.prepare_data()
    data.setup()
    rows = data.rows("train")
    progress = bool(config.trainer.progress) and sys.stderr.isatty()
    images, groups = data.stack.select(rows), data.manifest.groups()[rows].tolist()
    log.info("fitting %s on %d real images", calibrator.name, len(rows))
    settings = identity_of_fit(plain(config.calibrator))
    key = content_hash({"data": data.fingerprint, "calibrator": settings})
    work = out.with_name(f".{out.name}.{key}.partial")  # a killed fit goes on from here
    work.mkdir(parents=True, exist_ok=True)
    try:
        calibrator.fit(images, groups, directory=work, progress=progress)
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
