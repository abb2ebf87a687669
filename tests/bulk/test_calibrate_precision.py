"""``frerec calibrate precision=``: of RHM's network alone."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from frerec.bulk.images import read_row
from frerec.bulk.sources import plan_input
from frerec.calibration import FreRec, load_calibrator

Calibrate = Callable[..., int]
Failure = Callable[[], str]
Tree = Callable[[Path], dict[str, bytes]]


@pytest.mark.parametrize("engine", ["plain", "lightning"])
def test_it_is_that_of_the_network_and_of_nothing_else(
    calibrate: Calibrate, network: Path, images: Path, tmp_path: Path, engine: str
) -> None:
    """The search of neighbours and the FFTs see float32."""
    out = tmp_path / "out"
    more = ["precision=bf16-mixed", "bits=16", f"engine={engine}"]
    assert calibrate(images, out, f"model={network}", *more) == 0
    calibrator = load_calibrator(network)
    assert isinstance(calibrator, FreRec)
    full = calibrator.transform(_pixels(images))
    expected = calibrator.use(inference_precision="bf16-mixed").transform(_pixels(images))
    assert not torch.equal(full, expected)
    names = sorted(p.relative_to(images) for p in images.rglob("*.png"))
    written = np.stack([np.asarray(Image.open(out / name)) for name in names])
    np.testing.assert_array_equal(written, (expected[:, 0].numpy() * 65535).round())


def _pixels(images: Path) -> torch.Tensor:
    plan = plan_input(images, images.parent / "out")
    read = [read_row(plan, row, None) for row in range(len(plan))]
    return torch.stack([image for image in read if isinstance(image, torch.Tensor)])


def test_images_of_another_precision_are_not_mixed_in(
    calibrate: Calibrate, network: Path, images: Path, tmp_path: Path, failure: Failure
) -> None:
    where = (images, tmp_path / "out", f"model={network}")
    assert calibrate(*where, "precision=bf16-mixed") == 0
    assert json.loads((tmp_path / "out" / "frerec.json").read_text())["precision"] == "bf16-mixed"
    assert calibrate(*where) == 2
    assert "overwrite=true" in failure()


def test_a_calibrator_without_a_network_has_float32_alone(
    calibrate: Calibrate, images: Path, tmp_path: Path, failure: Failure
) -> None:
    assert calibrate(images, tmp_path / "out", "precision=bf16-mixed") == 2
    assert "precision=bf16-mixed: the calibrator shr has no network" in failure()
    assert not (tmp_path / "out").exists()
