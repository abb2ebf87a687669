"""``frerec fit``: a calibrator on a folder of real images."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from frerec.benchmark.hashing import content_hash
from frerec.calibration import FreRec
from frerec.calibration.base import CONFIG_FILE
from frerec.config import compose_config, instantiate, plain, require
from frerec.errors import ConfigError

log = logging.getLogger(__name__)


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Fit on the source's training split, or on every image where the source has no splits."""
    config = compose_config(config_name, overrides)
    out = Path(require(config, "out", "the folder for the model"))
    require(config.data, "root", "the folder of real images")
    done = (out / CONFIG_FILE).exists()
    if done and not config.overwrite:
        raise ConfigError(f"{out}: holds a model already; give overwrite=true or another out=")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give out= a folder")
    data = instantiate(config.data)
    calibrator = instantiate(config.calibrator)
    data.prepare_data()
    data.setup()
    rows = data.rows("train")
    progress = bool(config.trainer.progress) and sys.stderr.isatty()
    images, groups = data.stack.tensor(rows), data.manifest.groups()[rows].tolist()
    log.info("fitting %s on %d real images", calibrator.name, len(rows))
    if isinstance(calibrator, FreRec):
        key = content_hash({"data": data.fingerprint, "calibrator": plain(config.calibrator)})
        work = out.with_name(f".{out.name}.{key}.partial")  # a killed fit goes on from here
        work.mkdir(parents=True, exist_ok=True)
        calibrator.fit(images, groups, directory=work, progress=progress)
        calibrator.save(out)
        (out / "fit.json").write_text(json.dumps(calibrator.report, indent=2) + "\n")
        (work / "log.jsonl").replace(out / "log.jsonl")
        for file in work.iterdir():
            file.unlink()
        work.rmdir()
        log.info(
            "RHM on held-out real images: %.2f dB from %.2f dB",
            calibrator.report["psnr"],
            calibrator.report["input_psnr"],
        )
    else:
        calibrator.fit(images, groups)
        calibrator.save(out)
    print(f"Model: {out}")
    return 0
