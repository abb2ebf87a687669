"""Package versions, source and hardware of a run; nothing that names the machine or its user."""

import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "frerec",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "timm",
    "monai",
    "torchmetrics",
    "wandb",
    "numpy",
    "scikit-learn",
)
# Linux: written to, the peak begins anew; read, it is in the line VmHWM.
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def package_versions() -> dict[str, str]:
    """Versions of the packages that shape results."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def all_versions() -> dict[str, str]:
    """Versions of every installed package, by its name."""
    found = {item.name: item.version for item in distributions() if item.name}
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


@lru_cache(maxsize=1)
def git_state() -> tuple[str | None, bool | None]:
    """The commit of frerec's own checkout, and whether tracked files differ from it.

    (None, None) where frerec is installed from a wheel, or git is missing.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists() or not (root / "src" / "frerec").is_dir():
        return None, None
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changed is None else bool(changed)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def hardware() -> dict[str, str]:
    """Processor, cores and accelerator; nothing that names the machine or its user."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return {
        "cpu": _processor(),
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "gpu": gpu,
    }


def reset_gpu_peak() -> None:
    """Begin a new measurement of :func:`gpu_peak_memory`."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def gpu_peak_memory() -> int | None:
    """The most GPU memory that tensors took since the reset, in MiB; None without a GPU."""
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**20) if torch.cuda.is_available() else None


def provenance() -> dict[str, Any]:
    """What a result was made with: commit, versions of the packages that shape it, hardware."""
    commit, dirty = git_state()
    return {
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": package_versions(),
        "hardware": hardware(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in MiB; None where it is not known."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))  # macOS counts bytes


def reset_peak() -> bool:
    """Begin a new measurement of :func:`peak_since_reset`; False where only Linux could do so."""
    try:
        _CLEAR.write_text("5", encoding="ascii")  # proc(5): resets the peak resident set size
    except OSError:
        return False
    return _high_water() is not None


def peak_since_reset() -> int | None:
    """The most memory that this process has held since the reset, in MiB; None if not known."""
    return _high_water()


def _high_water() -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        found = next(line for line in lines if line.startswith("VmHWM:"))
        return round(int(found.split()[1]) / 2**10)  # in kB, which are KiB
    except (OSError, StopIteration, ValueError, IndexError):
        return None
