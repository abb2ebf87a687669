"""A fitted model and some images for it, shared by the tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures import textured_images, write_tree
from frerec.calibration import FreRec, StatisticalHighFrequencyReplacement
from frerec.cli import main

Calibrate = Callable[..., int]
RECORDS = ("frerec.json", "frerec.parquet")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SHR of 24 grey images of 32 x 32 pixels."""
    folder = tmp_path_factory.mktemp("model") / "shr"
    StatisticalHighFrequencyReplacement(neighbours=4).fit(textured_images(24, seed=1)).save(folder)
    return folder


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FreRec of 24 grey images of 32 x 32 pixels, whose RHM had three steps."""
    folder = tmp_path_factory.mktemp("network") / "frerec"
    training = {"steps": 3, "batch_size": 2, "eval_every": 3, "accelerator": "cpu"}
    calibrator = FreRec(shr={"neighbours": 4}, training=training)
    calibrator.fit(textured_images(24, seed=1)).save(folder)
    return folder


@pytest.fixture
def calibrate(model: Path) -> Calibrate:
    """``frerec calibrate``; returns the exit status."""

    def run(source: Path, output: Path, *more: str) -> int:
        where = [f"model={model}", f"input={source}", f"output={output}", "device=cpu"]
        return main(["calibrate", *where, *more])

    return run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eleven images in two folders."""
    names = [f"{'ab'[k % 2]}/{k:02}.png" for k in range(11)]
    write_tree(tmp_path / "in", textured_images(11, seed=5), names)
    return tmp_path / "in"


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


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder with their bytes, but our records of them."""

    def read(folder: Path) -> dict[str, bytes]:
        files = [p for p in folder.rglob("*") if p.is_file() and p.name not in RECORDS]
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}

    return read
