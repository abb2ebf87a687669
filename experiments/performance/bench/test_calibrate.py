"""The whole calibrator: search, SHR and RHM lite of a batch, as `transform` runs them."""

from typing import Any

import pytest
from setting import Sizes, drawn_images
from torch import Tensor

from frerec.calibration import FreRec


@pytest.fixture(scope="module")
def fitted(sizes: Sizes) -> tuple[FreRec, Tensor]:
    """FreRec with a filled bank; RHM's weights are those of its start, which take as long."""
    count = sizes.banks[-1]
    drawn = drawn_images(count + sizes.end_to_end, side=sizes.mapped, seed=5)
    frerec = FreRec(shr={"neighbours": sizes.neighbours}, rhm={"network": "lite"})
    frerec.shr.fit(drawn[:count])
    frerec.eval()
    frerec.transform(drawn[:1])  # the bank's spectra, once
    return frerec, drawn[count:]


PARTS = ("search", "SHR with given neighbours", "RHM lite", "FreRec lite, end to end")


@pytest.mark.parametrize("part", PARTS)
def test_calibrate(measure: Any, sizes: Sizes, fitted: tuple[FreRec, Tensor], part: str) -> None:
    """Each stage, and all of it."""
    frerec, images = fitted
    rows = frerec.shr.neighbour_indices(images)
    calls = {
        "search": lambda: frerec.shr.neighbour_indices(images),
        "SHR with given neighbours": lambda: frerec.shr.replace(images, rows),
        "RHM lite": lambda: frerec.rhm(images),
        "FreRec lite, end to end": lambda: frerec.transform(images),
    }
    measure(
        calls[part],
        group=f"FreRec lite at {sizes.mapped} px",
        name=part,
        per=len(images),
        unit="ms an image",
        reference=None if part == PARTS[-1] else PARTS[-1],
        rounds=min(3, sizes.rounds),
        bank=len(frerec.shr.bank),
        neighbours=rows.shape[1],
        batch=len(images),
    )
