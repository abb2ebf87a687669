"""What a run writes besides weights: JSON files and the log, each safe against a kill."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` under a temporary name, then rename: never half a file at ``path``."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


class JsonlLogger(Logger):
    """One JSON object a line: ``step``, ``time`` (seconds since 1970) and the logged values.

    Complete by itself, whatever other loggers do. After a resume, :meth:`rewind` drops what was
    logged beyond the checkpoint, so that no step appears twice.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def version(self) -> str:
        """Always empty: a file has no versions."""
        return ""

    def log_hyperparams(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing: the hyperparameters lie in ``plan.json`` beside the log."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one line; a value that is not finite is written as null."""
        values = {k: float(v) if math.isfinite(float(v)) else None for k, v in metrics.items()}
        line = json.dumps({"step": step, "time": round(time.time(), 3), **values}, allow_nan=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def rewind(self, step: int) -> None:
        """Keep the lines up to ``step``; a line that a kill cut short goes too."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(self.path)
