"""A verb that is told to end says so, and is no success."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frerec.cli import main


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


@pytest.mark.slow
def test_a_command_told_to_end_says_so_and_leaves_no_program(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(100)")
    arguments = [sys.executable, "-m", "frerec", "generate", "data=phantom_chest_xray"]
    arguments += ["data.count=60", "data.size=32", "generator=command"]
    arguments += [f'generator.command=[{sys.executable},{script},"{{out}}"]', "out=made"]
    arguments += [f"generator.cwd={tmp_path}", f"paths.store={tmp_path / 'store'}"]
    arguments += ["features.name=resnet10t", "trainer.accelerator=cpu", "samples.ratio=0.1"]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 90
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    assert errors.strip().splitlines()[-1].startswith("frerec: error: terminated; run the same")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_handler_of_before_is_there_again_and_a_code_of_ones_own_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told_to_end(*_: object) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        monkeypatch.setattr("frerec.cli._run", told_to_end)
        assert main(["generate"]) == 143
        assert "terminated; run the same command again" in capsys.readouterr().err
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)

    def own_code(*_: object) -> int:
        raise SystemExit(7)

    monkeypatch.setattr("frerec.cli._run", own_code)
    with pytest.raises(SystemExit, match="7"):
        main(["generate"])
