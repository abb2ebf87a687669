"""The key ``device`` of a verb."""

import torch

from frerec.errors import ConfigError


def check_device(name: str) -> str:
    """The name itself.

    Raises:
        ConfigError: If it is none of ``auto``, ``cpu`` and ``cuda``.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device={name}: expected auto, cpu or cuda")
    return name


def resolve_device(name: str) -> str:
    """``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: For another name, or where there is no CUDA device.
    """
    if check_device(name) == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda: no CUDA device here; give device=cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
