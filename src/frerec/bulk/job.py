"""One run of `frerec calibrate`, as every engine gets it."""

import hashlib
import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from frerec.bulk.images import Failure, Group, Shape
from frerec.bulk.plan import Plan
from frerec.calibration import Calibrator, FreRec, load_calibrator
from frerec.calibration.base import CONFIG_FILE, WEIGHTS_FILE
from frerec.calibration.rhm import INFERENCE
from frerec.errors import ConfigError, DataError

log = logging.getLogger(__name__)

FULL = "32-true"
"""The precision of everything but a network."""

_SHOWN = 10  # skipped images that are logged one by one


@dataclass(frozen=True)
class Job:
    """What is calibrated, how and whereto; plain values, so that other processes get it too.

    Attributes:
        model: Folder of the calibrator; every process loads it from there.
        shape: Of the images that it takes.
        plan: The rows that are missing in the output.
        output: The folder that the images are written below.
        batch_size: Images at once.
        num_workers: Processes that read beside an engine's own.
        bits: Of the PNG files, 8 or 16.
        on_error: ``raise`` or ``skip``.
        device: ``cpu`` or ``cuda``; ``auto`` until an engine has resolved it.
        precision: Of the calibrator's network, as RHM's ``inference_precision``; all else is
            computed in float32.
    """

    model: Path
    shape: Shape
    plan: Plan
    output: Path
    batch_size: int
    num_workers: int
    bits: int
    on_error: str
    device: str
    precision: str

    def load(self, device: torch.device | None = None) -> Calibrator:
        """The calibrator on its device, or on another, to be used with this precision."""
        calibrator = load_calibrator(self.model)
        if isinstance(calibrator, FreRec):
            calibrator.use(inference_precision=self.precision)
        return calibrator.to(torch.device(self.device) if device is None else device)

    def calibrate(self, calibrator: Calibrator, group: Group) -> Tensor:
        """A group's images through the calibrator, float32 on the CPU."""
        return calibrator.transform(group.images, batch_size=self.batch_size).float().cpu()


class Failures:
    """Rows without an output: the first one ends the run, or all are kept and counted."""

    def __init__(self, on_error: str) -> None:
        self.on_error = on_error
        self.found: list[Failure] = []

    def add(self, failures: Iterable[Failure]) -> None:
        """Take some more.

        Raises:
            DataError: With on_error=raise, the reason of the first.
        """
        for failure in failures:
            if self.on_error == "raise":
                raise DataError(failure.reason)
            self.found.append(failure)
            if len(self.found) <= _SHOWN:
                log.warning("skipped: %s", failure.reason)
            if len(self.found) == _SHOWN:
                log.warning("further skipped images are only listed in skipped.csv")


def progress_shown() -> bool:
    """Whether there is a terminal to draw a bar on."""
    return sys.stderr.isatty()


def fingerprint(model: Path) -> str:
    """The hash of a model's description and weights, hexadecimal."""
    digest = hashlib.sha256((model / CONFIG_FILE).read_bytes())
    with (model / WEIGHTS_FILE).open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def check_precision(name: str, device: str) -> None:
    """Refuse a precision that is unknown or that the device does not compute in.

    Raises:
        ConfigError: Names the key.
    """
    if name not in INFERENCE:
        raise ConfigError(f"precision={name}: expected one of {', '.join(INFERENCE)}")
    if name == "16-mixed" and device == "cpu":
        raise ConfigError("precision=16-mixed: needs a GPU; give bf16-mixed or 32-true")


def check_network(calibrator: Calibrator, precision: str) -> None:
    """Refuse another precision than float32 for a calibrator without a network.

    Raises:
        ConfigError: Names the key.
    """
    if precision != FULL and not isinstance(calibrator, FreRec):
        raise ConfigError(
            f"precision={precision}: the calibrator {calibrator.name} has no network, and computes"
            f" in float32 alone; give precision={FULL}"
        )
