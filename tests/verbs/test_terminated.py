"""A verb that is told to end says so, and is no success."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_terminated_fit_is_no_success(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "frerec", "fit", "data=phantom_chest_xray", "data.count=40"]
    command += [
        "data.image_size=32",
        "calibrator.training.steps=100000",
        "calibrator.shr.neighbours=4",
    ]
    command += ["calibrator.training.eval_every=2", "trainer.accelerator=cpu"]
    command += [f"out={tmp_path / 'model'}", f"paths.store={tmp_path / 'store'}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".model.*/last.ckpt")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    assert "run the same command again" in errors
    assert not (tmp_path / "model").exists()
