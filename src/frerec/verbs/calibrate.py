"""``frerec calibrate``: a fitted calibrator over any generator's images, however many."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from omegaconf import DictConfig

from frerec.bulk import plain
from frerec.bulk.images import Failure
from frerec.bulk.job import FULL, Job, check_network, check_precision, fingerprint
from frerec.bulk.output import Output, sole_writer
from frerec.bulk.plan import Plan
from frerec.bulk.sources import plan_input
from frerec.calibration import load_calibrator
from frerec.config import compose_config, require
from frerec.data.png import check_bits
from frerec.errors import ConfigError
from frerec.verbs.devices import check_device, resolve_device
from frerec.verbs.folders import refuse_around, refuse_inside

log = logging.getLogger(__name__)

ENGINES = ("plain", "lightning", "ray")
Engine = Callable[[Job], list[Failure]]


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Calibrate everything in ``input`` into PNG files below ``output``."""
    config = compose_config(config_name, overrides)
    model = Path(require(config, "model", "a folder that `frerec fit` wrote"))
    source = Path(require(config, "input", "a folder, CSV table, npz or zip of images"))
    output = Path(require(config, "output", "the folder for calibrated images"))
    _check(config)
    # A cluster's devices are not this machine's.
    device = (
        check_device(config.device) if config.engine == "ray" else resolve_device(config.device)
    )
    check_precision(config.precision, device)
    _refuse_nesting(model, source, output)
    plan = plan_input(source, output)
    for note in plan.notes:
        log.warning("%s", note)
    calibrator = load_calibrator(model)
    check_network(calibrator, config.precision)
    shape = calibrator.input_shape
    del calibrator
    engine = _engine(config, device)
    record = {"model": fingerprint(model), "bits": config.bits}
    if config.precision != FULL:
        record["precision"] = config.precision
    with sole_writer(output):
        opened = Output(output, plan, record, overwrite=config.overwrite)
        failures = (
            engine(_job(config, model, shape, opened.todo, opened.work, device))
            if opened.todo
            else []
        )
        opened.close(failures)
    print(
        f"Calibrated {len(opened.todo) - len(failures)} images into {output}"
        f" ({opened.there} were there, {len(failures)} skipped)"
    )
    # Not a single image that could be read is no success, whatever on_error says.
    return 2 if failures and len(failures) == len(opened.todo) and not opened.there else 0


def _job(
    config: DictConfig,
    model: Path,
    shape: tuple[int, int, int] | None,
    plan: Plan,
    work: Path,
    device: str,
) -> Job:
    return Job(
        model=model.absolute(),
        shape=shape,
        plan=plan,
        output=work.absolute(),
        batch_size=config.batch_size,
        num_workers=config.num_workers,
        bits=config.bits,
        on_error=config.on_error,
        device=device,
        precision=config.precision,
    )


def _check(config: DictConfig) -> None:
    if config.on_error not in ("raise", "skip"):
        raise ConfigError(f"on_error={config.on_error}: expected raise or skip")
    if config.batch_size < 1:
        raise ConfigError(f"batch_size={config.batch_size}: expected at least 1")
    if config.num_workers < 0:
        raise ConfigError(f"num_workers={config.num_workers}: expected at least 0")
    check_bits(config.bits)
    if config.engine not in ENGINES:
        raise ConfigError(f"engine={config.engine}: expected one of {', '.join(ENGINES)}")
    if config.engine != "lightning" and config.devices not in ("auto", "1"):
        raise ConfigError(
            f"devices={config.devices}: engine={config.engine} does not read it; several GPUs on"
            " one machine need engine=lightning, actors of Ray ray.actors="
        )


def _refuse_nesting(model: Path, source: Path, output: Path) -> None:
    refuse_inside(output, source, key="output", source_key="input")
    refuse_inside(output, model, key="output", source_key="model")
    refuse_around(output, {"input": source, "model": model}, key="output")


def _engine(config: DictConfig, device: str) -> Engine:
    """The engine, with its own settings; what it needs is imported only now."""
    if config.engine == "lightning":
        from frerec.bulk import lightning_engine

        devices = lightning_engine.count_devices(config.devices, device)
        return lambda job: lightning_engine.run(job, devices=devices)
    if config.engine == "ray":
        from frerec.bulk import ray_engine
        from frerec.verbs.ray_settings import ray_settings

        settings = ray_settings(config.ray)
        ray_engine.import_ray()
        return lambda job: ray_engine.run(job, settings)
    return plain.run
