"""What holds for every calibrator: arrays at the door, unfinished fits, damaged files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fixtures import textured_images
from frerec.calibration import StatisticalHighFrequencyReplacement, load_calibrator
from frerec.errors import ConfigError, DataError


@pytest.fixture
def real() -> torch.Tensor:
    return textured_images(40, seed=1)


def shr() -> StatisticalHighFrequencyReplacement:
    return StatisticalHighFrequencyReplacement(neighbours=6)


def test_arrays_of_any_layout_are_images(real: torch.Tensor) -> None:
    array = real.numpy()
    images = textured_images(5, seed=2)
    expected = shr().fit(real).transform(images)
    for given in (array, np.asfortranarray(array), array.astype(">f4"), array[::-1][::-1]):
        found = shr().fit(given).transform(images.numpy())
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected.numpy())
    strided = torch.empty(5, 1, 32, 64)[..., ::2].copy_(images)
    assert torch.equal(shr().fit(real).transform(strided), expected)
    assert shr().fit(array.astype(np.float64)).transform(images.double()).dtype == torch.float32


def test_the_batch_does_not_change_a_pixel(real: torch.Tensor) -> None:
    calibrator, images = shr().fit(real), textured_images(7, seed=2)
    assert torch.equal(calibrator.transform(images), calibrator.transform(images, batch_size=3))
    with pytest.raises(ConfigError, match="batch_size"):
        calibrator.transform(images, batch_size=0)


def test_what_is_no_image_is_refused_in_one_line(real: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"torch\.stack"):
        shr().fit(list(real))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="uint8"):
        shr().fit((real * 255).byte())
    with pytest.raises(DataError, match="at least"):
        shr().fit(real[:0])


@pytest.mark.parametrize(
    "groups", [3, "a" * 40, [None] * 40, [float("nan")] * 40, np.zeros((40, 1), dtype=int), ["a"]]
)
def test_groups_that_name_no_patients_are_refused(real: torch.Tensor, groups: object) -> None:
    with pytest.raises(ConfigError, match="groups"):
        shr().fit(real, groups)  # type: ignore[arg-type]


def test_a_fit_that_failed_leaves_nothing_to_use(real: torch.Tensor, tmp_path: Path) -> None:
    calibrator = shr().fit(real)
    with pytest.raises(ConfigError, match="at least 10"):
        calibrator.fit(real[:9])
    for use in (lambda: calibrator.transform(real[:1]), lambda: calibrator.save(tmp_path / "m")):
        with pytest.raises(ConfigError, match="did not finish"):
            use()
    assert not (tmp_path / "m").exists()
    assert calibrator.fit(real).transform(real[:1]).shape == (1, 1, 32, 32)


def test_a_calibrator_stays_in_float32(real: torch.Tensor) -> None:
    for cast in ("half", "double", "bfloat16"):
        with pytest.raises(ConfigError, match="float32"):
            getattr(shr().fit(real), cast)()


def test_a_state_of_another_kind_is_refused(real: torch.Tensor, tmp_path: Path) -> None:
    shr().fit(real).save(tmp_path)
    weights = tmp_path / "calibrator.safetensors"
    whole = load_file(weights)
    for key, value in (
        ("bank.images", whole["bank.images"].float()),
        ("bank.groups", whole["bank.groups"].float()),
        ("bank.images", whole["bank.images"][0]),
    ):
        save_file({**whole, key: value.contiguous()}, weights)
        with pytest.raises(DataError, match=key):
            load_calibrator(tmp_path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"calibrator": ["x"], "format": 2, "config": {}}']
)
def test_a_description_that_describes_nothing_is_refused(
    real: torch.Tensor, tmp_path: Path, text: str
) -> None:
    shr().fit(real).save(tmp_path)
    (tmp_path / "calibrator.json").write_text(text)
    with pytest.raises(DataError, match="description"):
        load_calibrator(tmp_path)


def test_saving_onto_a_file_is_refused(real: torch.Tensor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps({}))
    with pytest.raises(DataError, match="is a file"):
        shr().fit(real).save(tmp_path / "file")
