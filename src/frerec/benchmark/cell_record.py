"""What a cell's folder says of how it was made: its configuration, and where and when it ran."""

import json
import platform
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf

from frerec import __version__
from frerec.config import flat_items
from frerec.data.manifest import Manifest
from frerec.evaluation.predictions import Predictions
from frerec.tracking.environment import (
    all_versions,
    git_state,
    gpu_peak_memory,
    hardware,
    peak_memory,
    peak_since_reset,
    reset_gpu_peak,
    reset_peak,
)
from frerec.training_tools import write_json

FORMAT = 4  # raise when a cell's result changes for equal inputs
STANDARD_AXES = ("data", "generator", "arm", "classifier", "seed")
CONFIG, ENVIRONMENT = "config.yaml", "environment.json"
HEADER = f"""\
# Run this cell again: frerec benchmark from={CONFIG} name=NEW
# Relative paths in it are taken from the folder in which that is called; give data.root=DIR or
# paths.store=DIR where the files lie elsewhere.
"""
CELL_BLOCK = "cell"  # key of the saved configuration that no composed one has
# Settings that follow a place or a machine: an override of these holds for what follows them too.
_LINK = re.compile(r"\$\{(paths|trainer|data\.root)\b")


def cell_name(axes: Mapping[str, Any]) -> str:
    """A cell's axes as one line."""
    return " ".join(str(axes[axis]) for axis in ("data", "arm", "classifier", "seed")) + "".join(
        f" {k}={'null' if v is None else v}" for k, v in axes.items() if k not in STANDARD_AXES
    )


def write_config(directory: Path, config: Any, *, cell_id: str, values: Mapping[str, Any]) -> None:
    """Write the resolved configuration, from which ``frerec benchmark from=`` runs the cell again.

    Args:
        directory: The cell's.
        config: As composed.
        cell_id: The cell's hash.
        values: Its values of the grid's axes.
    """
    unresolved: Any = OmegaConf.to_container(config, resolve=False)
    links = {k: v for k, v in flat_items(unresolved) if isinstance(v, str) and _LINK.match(v)}
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    about = {"id": cell_id, "format": FORMAT, "frerec": __version__}
    block = {CELL_BLOCK: {**about, "values": dict(values), "links": links}}
    text = OmegaConf.to_yaml(OmegaConf.create({**block, **resolved}))
    partial = directory / f"{CONFIG}.partial"
    partial.write_text(f"{HEADER}{text}")
    partial.replace(directory / CONFIG)


class EnvironmentRecord:
    """``environment.json``: begun when a cell begins, completed when it ends.

    It names neither the machine nor its user. ``peak_memory_mib`` is what ``peak_memory_of`` says:
    the ``cell``'s own (of a process that had memory before it began), or, where the system cannot
    tell, the ``process``', which may have run other cells before. ``gpu_peak_memory_mib`` is the
    cell's own. ``wall_seconds`` are those of the attempt that finished, ``attempts`` counts the
    resumed ones too.
    """

    def __init__(self, directory: Path, *, seed: int, command: str) -> None:
        self._file, self._began = directory / ENVIRONMENT, time.monotonic()
        commit, dirty = git_state()
        reset_gpu_peak()
        self._own_peak = reset_peak()
        self.content: dict[str, Any] = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "seed": seed,
            "attempts": _attempts(self._file) + 1,
            "git_commit": commit,
            "git_dirty": dirty,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "hardware": hardware(),
            "threads": torch.get_num_threads(),  # another number adds in another order
            "wall_seconds": None,
            "versions": all_versions(),
        }
        write_json(self._file, self.content)

    def finish(self, *, training_seconds: float) -> None:
        """Add what is known at the end only."""
        versions = self.content.pop("versions")
        self.content |= {
            "wall_seconds": round(time.monotonic() - self._began, 1),
            "training_seconds": round(training_seconds, 1),
            "peak_memory_mib": peak_since_reset() if self._own_peak else peak_memory(),
            "peak_memory_of": "cell" if self._own_peak else "process",
            "gpu_peak_memory_mib": gpu_peak_memory(),
            "versions": versions,
        }
        write_json(self._file, self.content)


def _attempts(file: Path) -> int:
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["attempts"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def predictions_table(
    made: Mapping[str, Predictions], rows: Mapping[str, NDArray[np.int64]]
) -> pd.DataFrame:
    """Predictions as a tracker may have them: row number, split, label, probabilities, correct.

    The row is that of :func:`manifest_table`; who has the data finds the image by it.
    """
    tables = []
    for split, found in made.items():
        table = pd.DataFrame({"row": rows[split], "split": split, "label": found.labels})
        for number in range(found.probabilities.shape[1]):
            table[f"prob_{number}"] = found.probabilities[:, number]
        table["correct"] = found.probabilities.argmax(axis=1) == found.labels
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def manifest_table(manifest: Manifest) -> pd.DataFrame:
    """A data set as a tracker may have it: row number, label, split, source, dataset."""
    table = manifest.table[["label", "split", "source", "dataset"]].reset_index(drop=True)
    table.insert(0, "row", range(len(table)))
    return table
