"""TensorBoard: event files beside each cell's own files; `tensorboard --logdir runs/NAME`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from frerec.tracking.base import RunInfo, TrackedRun, Tracker, require_package

FOLDER = "tensorboard"


class TensorBoardTracker(Tracker):
    """Scalars, the configuration and tables as text, pictures where they are allowed."""

    def __init__(self, **settings: Any) -> None:
        require_package("tensorboard", "tensorboard")
        super().__init__(**settings)

    def _start(self, info: RunInfo) -> "TensorBoardRun":
        return TensorBoardRun(info, log_images=self.log_images)


class TensorBoardRun(TrackedRun):
    """The event files of one run; weights stay out."""

    def __init__(self, info: RunInfo, *, log_images: bool) -> None:
        super().__init__("TensorBoard", log_images=log_images)
        from torch.utils.tensorboard import SummaryWriter

        self._folder = info.directory / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._without_host()  # of a run that was killed
        self._writer: Any = SummaryWriter(str(self._folder))
        about = {"run": info.name, "group": info.group, "job_type": info.job_type}
        about["tags"] = ", ".join(info.tags)
        self._text("run", about)
        self._text("config", info.config)

    def _take_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, float(value), step)

    def _take_summary(self, values: Mapping[str, float]) -> None:
        self._take_metrics(values, None)

    def _take_table(self, key: str, table: pd.DataFrame) -> None:
        self._writer.add_text(key, "    " + table.to_csv(index=False).replace("\n", "\n    "))

    def _take_pictures(self, files: Mapping[str, Path], step: int | None) -> None:
        for key, file in files.items():
            with Image.open(file) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image(key, pixels, step, dataformats="HWC")

    def _close(self, failed: bool) -> None:
        self._writer.add_text("state", "failed" if failed else "finished")
        self._writer.close()
        self._without_host()

    def _text(self, key: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=2, default=str)
        self._writer.add_text(key, "    " + text.replace("\n", "\n    "))

    def _without_host(self) -> None:
        """TensorBoard names its files after the machine; ours say when, and in which process."""
        for file in self._folder.glob("events.out.tfevents.*"):
            parts = file.name.split(".")
            ours = [*parts[:4], "frerec", *parts[-2:]]
            file.rename(file.with_name(".".join(ours)))
