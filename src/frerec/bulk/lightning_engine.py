"""The engine of several devices on one machine: Lightning's prediction loop, a process each.

The rows are listed once, before the processes are spawned; each takes a run of neighbouring rows
and writes its own images. No row is repeated to make the runs equally long: prediction needs no
collective between the processes.
"""

# ruff: noqa: ARG002 - the hooks' arguments are Lightning's

import json
import logging
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from pytorch_lightning.strategies import DDPStrategy
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException
from torch.utils.data import DataLoader
from tqdm import tqdm

from frerec.bulk.images import Batch, Failure, loader
from frerec.bulk.job import Failures, Job, progress_shown
from frerec.bulk.plan import Plan
from frerec.bulk.png import PngWriter
from frerec.calibration import Calibrator
from frerec.errors import ConfigError, DataError, FrerecError
from frerec.training_tools import write_json

Results = list[tuple[list[int], torch.Tensor]]


def count_devices(text: str, device: str) -> int:
    """How many processes ``devices=`` asks for: all GPUs, or one on the CPU, for ``auto``.

    Raises:
        ConfigError: If it is no number of at least 1, or there are fewer GPUs.
    """
    gpus = torch.cuda.device_count()
    if text == "auto":
        return gpus if device == "cuda" else 1
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"devices={text}: expected auto or a number of at least 1")
    if device == "cuda" and int(text) > gpus:
        raise ConfigError(f"devices={text}: there are {gpus} GPUs here; give devices={gpus}")
    return int(text)


def run(job: Job, *, devices: int) -> list[Failure]:
    """Calibrate a job's images on several devices; returns the rows that were skipped.

    Args:
        job: What to do.
        devices: Processes, each with a GPU or on the CPU.

    Raises:
        DataError: As the plain engine's, from whichever process; or if one of them was killed.
    """
    devices = min(devices, len(job.plan))  # none without an image
    with tempfile.TemporaryDirectory(prefix="frerec-") as scratch, _quiet_lightning():
        folder = Path(scratch)
        trainer = pl.Trainer(
            accelerator="gpu" if job.device == "cuda" else "cpu",
            devices=devices,
            strategy="auto" if devices == 1 else _Spawned(start_method="spawn"),
            logger=False,
            callbacks=[_Writer(job, folder)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,  # the rows are divided here
            inference_mode=False,  # as the other engines: without gradients
            default_root_dir=folder,
        )
        try:
            trainer.predict(_Calibration(job), return_predictions=False)
        except (ProcessRaisedException, ProcessExitedException) as error:
            raise _explained(error, folder) from error
        except SystemExit as stop:
            # Lightning turns Ctrl-C into exit status 1 and leaves the signal ignored.
            if not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        return _skipped(folder, devices)


class _Spawned(DDPStrategy):
    """Processes that are spawned, and as quiet as this one."""

    def setup_environment(self) -> None:
        """Mute Lightning in the new process, then as always."""
        _mute()
        super().setup_environment()


class _Calibration(pl.LightningModule):
    """A calibrator as a module of Lightning's; loaded in each process, from its folder.

    It is held in a list, and so no submodule: Lightning would send the whole bank from the first
    process to the others, which have read the same file.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self._held: list[Calibrator] = []

    def on_predict_start(self) -> None:
        """Load the model, in the process and on the device that use it."""
        device = self.trainer.strategy.root_device
        self._held[:] = [self.job.load(device)]

    def predict_dataloader(self) -> DataLoader[Batch]:
        """This process's rows, in batches."""
        part = _part(self.job, self.trainer)
        return loader(
            part,
            self.job.shape,
            batch_size=self.job.batch_size,
            num_workers=self.job.num_workers,
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Nothing: the calibrator takes images from anywhere."""
        return batch

    def predict_step(self, batch: Batch, batch_idx: int) -> Results:
        """Calibrate what could be read of a batch."""
        return [(g.rows, self.job.calibrate(self._held[0], g)) for g in batch.groups]


class _Writer(BasePredictionWriter):
    """Writes one process's images as they come, and its failures at the end."""

    def __init__(self, job: Job, folder: Path) -> None:
        super().__init__(write_interval="batch")
        self.job, self.folder = job, folder

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin, in the process that writes."""
        self.rank = trainer.global_rank
        self.part = _part(self.job, trainer)
        self.first = len(self.job.plan) * self.rank // trainer.world_size
        self.failures = Failures(self.job.on_error)
        self.png = PngWriter(self.job.output, bits=self.job.bits)
        self.bar = tqdm(
            total=len(self.part),
            desc=f"calibrating (1 of {trainer.world_size})",
            unit="image",
            disable=self.rank > 0 or not progress_shown(),
        )

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Results,
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write a batch's images."""
        with self._telling():
            self.failures.add(batch.failures)
            for rows, images in prediction:
                for row, image in zip(rows, images, strict=True):
                    self.png.put(image, self.part.target(row))
        self.bar.update(len(batch))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait for the last image and leave the failures for the parent process."""
        with self._telling():
            self.png.finish()
        self.png.close()
        self.bar.close()
        found = [[self.first + f.row, f.reason] for f in self.failures.found]
        write_json(self.folder / f"skipped-{self.rank}.json", {"rows": found})

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell the parent process why, in one line: it would only get a traceback."""
        try:
            yield
        except FrerecError as error:
            self.png.close()
            self.bar.close()
            reason = " ".join(str(error).split())
            write_json(self.folder / f"error-{self.rank}.json", {"reason": reason})
            raise


def _part(job: Job, trainer: pl.Trainer) -> Plan:
    return job.plan.part(trainer.global_rank, trainer.world_size)


def _skipped(folder: Path, processes: int) -> list[Failure]:
    """The rows that the processes skipped, in the plan's order."""
    found: list[Any] = []
    for rank in range(processes):
        found += json.loads((folder / f"skipped-{rank}.json").read_text())["rows"]
    return [Failure(row, reason) for row, reason in found]


def _explained(error: Exception, folder: Path) -> Exception:
    """One line for what ended a process, as far as it is known."""
    told = sorted(folder.glob("error-*.json"))
    if told:
        return DataError(json.loads(told[0].read_text())["reason"])
    if isinstance(error, ProcessExitedException):
        return DataError(
            f"one of the processes ended ({str(error).splitlines()[0]}); there may be too little"
            " memory: give a smaller batch_size= or devices=, and run again to go on"
        )
    return error


_LOGGERS = (
    *("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"),
    *("lightning_fabric.utilities.distributed", "lightning_fabric.utilities.rank_zero"),
    "torch.multiprocessing.spawn",
)


def _mute() -> None:
    """No advice from Lightning: it is about training and about settings that are our choice."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    for module in ("pytorch_lightning", "lightning_fabric"):
        warnings.filterwarnings("ignore", module=module)
    warnings.filterwarnings("ignore", message="isinstance.*LeafSpec")


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """:func:`_mute` for a while."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    try:
        with warnings.catch_warnings():
            _mute()
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
