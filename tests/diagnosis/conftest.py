"""Two folders of images and a model, diagnosed through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures import textured_images, write_tree
from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.cli import main
from frerec.diagnosis import Settings
from frerec.diagnosis import diagnose as compute
from frerec.diagnosis.run import strict

COUNT = 24


def weakened(images: torch.Tensor, factor: float = 0.3) -> torch.Tensor:
    """Their high band (rho >= 0.5) attenuated."""
    spectrum = torch.fft.fft2(images)
    rows, columns = (torch.fft.fftfreq(n) / 0.5 for n in images.shape[-2:])
    high = torch.hypot(rows[:, None], columns[None, :]) >= 0.5
    return torch.fft.ifft2(torch.where(high, factor * spectrum, spectrum)).real.clamp(0, 1)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 real images, samples with a weak high band, and a calibrator fitted on the real ones."""
    root = tmp_path_factory.mktemp("diagnose")
    names = [f"{'ab'[i % 2]}/{i:02}.png" for i in range(COUNT)]
    real = (textured_images(COUNT, seed=1) * 255).round() / 255
    write_tree(root / "real", real, names)
    write_tree(root / "synthetic", weakened(textured_images(COUNT, seed=2)), names)
    StatisticalHighFrequencyReplacement(neighbours=4).fit(real).save(root / "model")
    return root


@pytest.fixture(scope="session")
def diagnose(folders: Path) -> Callable[..., int]:
    """``frerec diagnose`` of the two folders; returns the exit status."""

    def run(*given: str) -> int:
        keys = {o.partition("=")[0] for o in given}
        sets = [f"{key}={folders / key}" for key in ("real", "synthetic") if key not in keys]
        return main(["diagnose", *sets, *given])

    return run


@pytest.fixture(scope="session")
def numbers() -> Callable[[Path], dict[str, Any]]:
    """The numbers of a diagnosis, which have to be strict JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no strict JSON")

    def read(out: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (out / "diagnosis.json").read_text(), parse_constant=refuse
        )
        return found

    return read


@pytest.fixture(scope="session")
def measured(folders: Path) -> Callable[..., dict[str, Any]]:
    """The numbers alone, without figures and page."""

    def run(**settings: Any) -> dict[str, Any]:
        given = {key: str(folders / key) for key in ("real", "synthetic")} | settings
        numbers: dict[str, Any] = strict(compute(Settings(**given), progress=False).numbers)
        return numbers

    return run


@pytest.fixture
def failure(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """The error's one line."""

    def last() -> str:
        text = capsys.readouterr().err
        assert "Traceback" not in text
        lines = [line for line in text.splitlines() if line.startswith("frerec: error: ")]
        assert len(lines) == 1, text
        return lines[0]

    return last
