"""What Ray's tasks and actors run: tables of rows in, tables of rows out.

A table has the columns ``row``, ``source`` and ``target``; between the stages also ``pixels``
(float32 bytes), ``shape`` and ``reason``; at the end ``row``, ``reason`` and ``fatal``. Nothing
here imports Ray.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from frerec.bulk.images import Failure, collate, read_row
from frerec.bulk.job import Job
from frerec.bulk.plan import Plan
from frerec.bulk.png import PngWriter
from frerec.errors import DataError

Item = tuple[int, Tensor | Failure]


class ReadPixels:
    """A task that reads a batch's images."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, table: Any) -> Any:
        """The table with the images as bytes, or the reason where there is none."""
        pixels: list[bytes | None] = []
        shapes: list[list[int] | None] = []
        reasons: list[str | None] = []
        for _, image in _read(self.job, table):
            pixels.append(None if isinstance(image, Failure) else image.numpy().tobytes())
            shapes.append(None if isinstance(image, Failure) else list(image.shape))
            reasons.append(image.reason if isinstance(image, Failure) else None)
        table = table.append_column("pixels", pa.array(pixels, pa.large_binary()))
        table = table.append_column("shape", pa.array(shapes, pa.list_(pa.int64())))
        return table.append_column("reason", pa.array(reasons, pa.string()))


class CalibratePixels:
    """An actor that holds the model, calibrates batches and writes them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.calibrator = job.load()

    def __call__(self, table: Any) -> Any:
        """Write the batch's images; the rows, with the reason where one has no output."""
        items = _unpacked(table) if "pixels" in table.column_names else _read(self.job, table)
        batch = collate(items)
        reasons: list[str | None] = [None] * table.num_rows
        fatal = [False] * table.num_rows
        for failure in batch.failures:
            reasons[failure.row] = failure.reason
        try:
            with PngWriter(self.job.output, bits=self.job.bits) as writer:
                for group in batch.groups:
                    results = self.job.calibrate(self.calibrator, group)
                    for row, result in zip(group.rows, results, strict=True):
                        writer.put(result, table["target"][row].as_py())
        except DataError as error:  # as a value: Ray would wrap it in a traceback
            reasons[0], fatal[0] = str(error), True
        return pa.table(
            {"row": table["row"], "reason": pa.array(reasons, pa.string()), "fatal": fatal}
        )


def _read(job: Job, table: Any) -> list[Item]:
    """Images of a batch, numbered within it."""
    plan = Plan(job.plan.root, table)
    return [(row, read_row(plan, row, job.shape)) for row in range(len(plan))]


def _unpacked(table: Any) -> list[Item]:
    """Images of a batch that a task has read."""
    items: list[Item] = []
    for row, reason in enumerate(table["reason"].to_pylist()):
        if reason is not None:
            items.append((row, Failure(row, reason)))
            continue
        values = np.frombuffer(table["pixels"][row].as_py(), np.float32)
        image = values.reshape(table["shape"][row].as_py()).copy()
        items.append((row, torch.from_numpy(image)))
    return items
