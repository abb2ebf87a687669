"""What the benchmarks share: sizes, drawn images, and the name of the machine."""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SCALE_VARIABLE = "FREREC_BENCH_SIZES"  # "full", or "tiny" to see that everything runs


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        side: Of the images of the search, in pixels.
        banks: Bank sizes for the growth of cost and memory; the last is the bank of the search.
        neighbours: K.
        pairs: Pairs a round that brute force scores; its time is scaled per pair.
        queries: Images a call of the fast search.
        exact_queries: Images of the exact search, the same first ones.
        shr: ``(channels, side)`` of SHR's images.
        shr_bank: Images in SHR's bank.
        shr_batch: Images a call of SHR.
        mapped: Side of the images that RHM maps.
        batches: Images a call of RHM, for each network.
        end_to_end: Images a call of the whole calibrator, with a bank as large as the search's.
        compile: Whether torch.compile is measured; compiling takes a minute or two.
        rounds: Repetitions; the fastest counts.
    """

    side: int = 256
    banks: tuple[int, ...] = (500, 1000, 2000)
    neighbours: int = 200
    pairs: int = 32
    queries: int = 64
    exact_queries: int = 4
    shr: tuple[tuple[int, int], ...] = ((1, 128), (1, 256), (3, 224))
    shr_bank: int = 1000
    shr_batch: int = 8
    mapped: int = 128
    batches: tuple[tuple[str, int], ...] = (("lite", 8), ("base", 1))
    end_to_end: int = 64
    compile: bool = True
    rounds: int = 5


FULL = Sizes()
TINY = Sizes(
    side=32,
    banks=(40,),
    neighbours=4,
    pairs=2,
    queries=2,
    exact_queries=2,
    shr=((1, 16), (3, 20)),
    shr_bank=20,
    shr_batch=2,
    mapped=16,
    batches=(("lite", 1),),
    end_to_end=2,
    compile=False,
    rounds=1,
)


def chosen_sizes() -> Sizes:
    """The sizes that the environment asks for; full ones unless told."""
    name = os.environ.get(SCALE_VARIABLE, "full")
    if name not in ("full", "tiny"):
        raise SystemExit(f"{SCALE_VARIABLE}={name}: expected full or tiny")
    return TINY if name == "tiny" else FULL


def drawn_images(count: int, *, channels: int = 1, side: int, seed: int) -> Tensor:
    """Images in [0, 1] at 8 bits, ``[count, channels, side, side]``: alike, as patients are.

    Half of every image is an anatomy that all share, shifted by a few pixels; the other half is
    its own, with a power that falls with frequency as that of radiographs does.
    """
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falloff = 1 / np.maximum(np.hypot(down, across), 1 / side) ** 1.5
    common = np.random.default_rng(7).standard_normal((channels, side, side))
    anatomy = np.fft.rfft2(common) * falloff
    images = torch.empty(count, channels, side, side)
    for row in range(count):
        dy, dx = rng.uniform(-0.02, 0.02, 2) * side
        shifted = anatomy * np.exp(-2j * np.pi * (down * dy + across * dx))
        own = np.fft.rfft2(rng.standard_normal((channels, side, side))) * falloff
        parts = [np.fft.irfft2(part, s=(side, side)) for part in (shifted, own)]
        image = sum(part / part.std() for part in parts)
        levels = np.clip(np.round(128 + 35 * image), 0, 255)
        images[row] = torch.from_numpy(levels / 255)
    return images


def machine() -> dict[str, Any]:
    """The machine and the versions, without names of hosts or users, and without a date."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": usable,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = torch.version.cuda
    return found


def peak_memory() -> float:
    """The process's largest resident memory so far, in MiB.

    Linux's VmHWM belongs to the program; getrusage there would count what the parent process held
    when it started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
