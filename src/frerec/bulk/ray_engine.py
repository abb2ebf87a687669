"""The engine of a laptop or a cluster: Ray Data, with a pool of actors that hold the model.

Blocks of addresses go to the actors; each reads, calibrates and writes, and only says which rows
have no output. With GPUs, reading is a stage of its own on the CPUs, so that no GPU waits for a
decoder. Model, input and output have to lie where every machine sees them under the same path, and
every machine needs this package.

Ray restarts an actor that was killed and runs its block again: a file that it had finished is
replaced by the same bytes.
"""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from frerec.bulk.images import Failure
from frerec.bulk.job import Failures, Job, check_precision, progress_shown
from frerec.bulk.plan import Plan
from frerec.bulk.ray_stages import CalibratePixels, ReadPixels
from frerec.errors import ConfigError, DataError

LARGEST_BLOCK = 1024
"""Rows that one task gets: what is done again after a kill, and the bar's step."""

_BLOCKS_AN_ACTOR = 4  # at least, where there are enough rows: none waits long for the last


@dataclass(frozen=True)
class RaySettings:
    """The keys below ``ray``.

    Attributes:
        address: None starts a session on this machine; else as ``ray.init`` takes it.
        actors: How many hold the model; None for one a GPU, or one a CPU.
        num_gpus: Of each actor; None for 1 with CUDA and 0 without.
        num_cpus: Of each actor.
        read_apart: Whether reading is a stage of its own; None for with CUDA only.
    """

    address: str | None = None
    actors: int | None = None
    num_gpus: float | None = None
    num_cpus: float = 1
    read_apart: bool | None = None


def import_ray() -> Any:
    """Ray with its data library, which sends no statistics of use.

    Raises:
        ConfigError: If it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of this process, not of the files
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise ConfigError(
            f"engine=ray: Ray is not installed here ({error}); pip install 'frerec[ray]'"
        ) from None
    return ray


def run(job: Job, settings: RaySettings) -> list[Failure]:
    """Calibrate a job's images with Ray; returns the rows that were skipped.

    Raises:
        ConfigError: If there is no Ray, no session at the address, or too few CPUs or GPUs in it.
        DataError: As the plain engine's, from whichever actor; or if Ray gives up.
    """
    ray = import_ray()
    with _session(ray, settings.address):
        job, settings = _resolved(ray, job, settings)
        failures = Failures(job.on_error)
        bar = tqdm(
            total=len(job.plan), desc="calibrating", unit="image", disable=not progress_shown()
        )
        try:
            with bar:
                for table in _pipeline(ray, job, settings).iter_batches(
                    batch_size=None, batch_format="pyarrow"
                ):
                    for row in table.filter(table["reason"].is_valid()).to_pylist():
                        if row["fatal"]:
                            raise DataError(row["reason"])
                        failures.add([Failure(row["row"], row["reason"])])
                    bar.update(table.num_rows)
        except ray.exceptions.RayError as error:
            raise DataError(
                f"engine=ray: {_last_line(error)}; run the same command again to go on"
            ) from error
        return sorted(failures.found, key=lambda failure: failure.row)


def _pipeline(ray: Any, job: Job, settings: RaySettings) -> Any:
    """The data set of results: row, reason (null where all is well), fatal."""
    actors = settings.actors or 1
    size = -(-len(job.plan) // (_BLOCKS_AN_ACTOR * actors))
    size = max(min(size, LARGEST_BLOCK), min(job.batch_size, LARGEST_BLOCK))
    blocks = [_block(job.plan, first, size) for first in range(0, len(job.plan), size)]
    rows = ray.data.from_arrow(blocks)
    # The rows travel in the blocks: what the actors get is the same for all, and small.
    bare = replace(job, plan=Plan(job.plan.root, job.plan.table.schema.empty_table()))
    if settings.read_apart:
        rows = rows.map_batches(
            ReadPixels(bare), batch_size=job.batch_size, batch_format="pyarrow", num_cpus=1
        )
    return rows.map_batches(
        CalibratePixels,
        fn_constructor_args=[bare],
        batch_size=job.batch_size,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(blocks))),
        num_cpus=settings.num_cpus,
        num_gpus=settings.num_gpus,
    )


def _block(plan: Plan, first: int, size: int) -> Any:
    """Some rows and their numbers; copied, for a slice would take the whole table along."""
    numbers = pa.array(range(first, min(first + size, len(plan))), pa.int64())
    return plan.table.select(["source", "target"]).take(numbers).append_column("row", numbers)


def _resolved(ray: Any, job: Job, settings: RaySettings) -> tuple[Job, RaySettings]:
    """The job's device and the settings, with numbers for what was left to the cluster."""
    there = ray.cluster_resources()
    cpus, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
    device = job.device
    if device == "auto":
        device = "cuda" if gpus and settings.num_gpus != 0 else "cpu"
    if device == "cuda" and not gpus:
        raise ConfigError("device=cuda: Ray knows of no GPU; give device=cpu")
    check_precision(job.precision, device)
    num_gpus = settings.num_gpus
    if num_gpus is None:
        num_gpus = 1 if device == "cuda" else 0
    if device == "cuda" and num_gpus == 0:
        raise ConfigError("ray.num_gpus=0: device=cuda needs some; give a number, or device=cpu")
    apart = device == "cuda" if settings.read_apart is None else settings.read_apart
    # One CPU is left to read where that is a stage of its own: else it would wait for ever.
    room = [(cpus - apart) / settings.num_cpus] if settings.num_cpus else []
    room += [gpus / num_gpus] if num_gpus else []
    most = int(min(room, default=cpus))
    actors = max(1, most) if settings.actors is None else settings.actors
    if actors > most:
        raise ConfigError(
            f"ray.actors={actors}: there is room for {most} with ray.num_cpus="
            f"{settings.num_cpus:g} and ray.num_gpus={num_gpus:g} on {cpus} CPUs and {gpus} GPUs"
            + (", of which one CPU reads" if apart else "")
        )
    settings = replace(settings, actors=actors, num_gpus=num_gpus, read_apart=apart)
    return replace(job, device=device), settings


@contextmanager
def _session(ray: Any, address: str | None) -> Iterator[None]:
    """A quiet session; one that was there before stays."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    context = ray.data.DataContext.get_current()
    quiet = {"enable_progress_bars": False, "print_on_execution_start": False}
    before = {name: getattr(context, name) for name in quiet if hasattr(context, name)}
    try:
        if ours:
            _connect(ray, address)
        for name in before:
            setattr(context, name, quiet[name])
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        if ours:
            ray.shutdown()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _connect(ray: Any, address: str | None) -> None:
    settings: dict[str, Any] = {"address": "local", "include_dashboard": False}
    if address is None:
        settings["num_cpus"] = max(2, os.cpu_count() or 1)  # one may be taken for reading
    else:
        settings = {"address": address}
    try:
        ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        shown = "null" if address is None else address
        raise ConfigError(
            f"ray.address={shown}: no session there ({_last_line(error)}); start one with"
            " `ray start --head`, or give ray.address=null"
        ) from error


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
