"""Calibrate a whole stack of images, streaming and resumable."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from frerec.calibration import Calibrator
from frerec.data.stack import ImageStack

STACK_FILE = "stack.npy"
BATCH = 64


def calibrate_stack(
    calibrator: Calibrator,
    stack: ImageStack,
    folder: Path,
    *,
    batch_size: int = BATCH,
    progress: bool = False,
) -> None:
    """Write ``folder/stack.npy``, uint16 ``[N, C, H, W]``: image i is the calibrated image i.

    Memory holds one batch. A run that was killed goes on after the last batch that
    ``folder/done.txt`` counts.
    """
    marker, target = folder / "done.txt", folder / STACK_FILE
    done = int(marker.read_text()) if marker.exists() and target.exists() else 0
    if done:
        array = np.lib.format.open_memmap(target, mode="r+")
    else:
        array = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint16, shape=stack.shape)
    bar = tqdm(
        total=len(stack), initial=done, desc="calibrating", unit="image", disable=not progress
    )
    for start in range(done, len(stack), batch_size):
        rows = np.arange(start, min(start + batch_size, len(stack)))
        images = calibrator.transform(stack.tensor(rows), batch_size=batch_size)
        array[rows] = (images.numpy() * 65535).round().astype(np.uint16)
        array.flush()
        partial = marker.with_name("done.txt.partial")
        partial.write_text(str(rows[-1] + 1))
        partial.replace(marker)
        bar.update(len(rows))
    bar.close()
