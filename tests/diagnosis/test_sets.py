"""Which images belong together, and how a set goes through a calibrator."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures import textured_images, write_tree
from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.diagnosis.images import Reading, list_files
from frerec.diagnosis.sets import Measured, Pass, join_groups, measure_set
from frerec.evaluation.image_quality import psnr
from frerec.spectral import radial_log_power


def measure(folder: Path, calibrator=None, bits: int = 8) -> Measured:
    files = list_files(str(folder), key="real", limit=100, seed=0, skip=False)
    how = Pass(Reading(1, None, "pad"), (32, 32), calibrator, bits=bits, batch_size=5)
    return measure_set(files, how)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return (textured_images(12, seed=1) * 255).round() / 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, images: torch.Tensor) -> Path:
    root = tmp_path_factory.mktemp("sets")
    write_tree(root / "real", images, [f"{i:02}.png" for i in range(12)])
    return root / "real"


@pytest.fixture(scope="module")
def calibrator(images: torch.Tensor) -> StatisticalHighFrequencyReplacement:
    groups = [f"p{i // 2}" for i in range(12)]
    return StatisticalHighFrequencyReplacement(neighbours=3).fit(images, groups)


def test_calibrated_images_are_those_of_frerec_calibrate(folder, images, calibrator) -> None:
    found = measure(folder, calibrator)
    expected = (calibrator.transform(images) * 255).round() / 255
    np.testing.assert_allclose(
        found.calibrated.features, radial_log_power(expected).flatten(1).numpy(), rtol=1e-9
    )
    np.testing.assert_allclose(found.psnr, psnr(expected, images).numpy())
    np.testing.assert_allclose(found.after.numpy(), expected[[0, 3, 7, 11]].numpy())


def test_images_of_the_fit_keep_its_patients_together(folder, calibrator) -> None:
    found = measure(folder, calibrator)
    groups, source = join_groups(found, measure(folder, calibrator), None)
    assert source == "the model's fit"
    real, synthetic = groups[:12], groups[12:]
    np.testing.assert_array_equal(real, synthetic)  # the same content, in whichever set
    np.testing.assert_array_equal(real[::2], real[1::2])
    assert len(np.unique(real)) == 6


def test_without_patients_only_equal_content_belongs_together(folder, tmp_path, images) -> None:
    others = torch.cat([images[:1], textured_images(3, seed=9)])
    write_tree(tmp_path / "s", others, [f"{i}.png" for i in range(4)])
    groups, source = join_groups(measure(folder), measure(tmp_path / "s"), None)
    assert source == "every image by itself"
    assert groups[12] == groups[0]
    assert len(np.unique(groups)) == 15


def test_a_table_of_patients_wins_over_the_fit(folder, calibrator) -> None:
    found = measure(folder, calibrator)
    groups, source = join_groups(found, found, ["a"] * 6 + ["b"] * 6)
    assert source == "the table of patients"
    assert len(np.unique(groups)) == 2
