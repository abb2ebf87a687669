"""Checkpoints of plain tensors and values, written atomically and read without pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from frerec.errors import DataError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name beside its place, then renames it."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,  # noqa: ARG002  (Lightning's signature)
    ) -> None:
        """Write ``checkpoint`` to ``path`` so that a kill leaves the old file or the new one."""
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        torch.save(checkpoint, partial)
        partial.replace(target)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of plain values and tensors (never pickled code) onto the CPU.

    Raises:
        DataError: If the file is missing, damaged or holds anything but plain values.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such checkpoint; check the path") from None
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: not a readable checkpoint of plain tensors ({reason[:120]}); delete it to"
            " start anew or point to another file"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}")
    return content
