"""A user's program: an empty input, its own process group, nothing left running."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frerec.errors import ConfigError, DataError
from frerec.generators.program import run_program


@pytest.fixture(autouse=True)
def usual_handlers():
    """As in a terminal: under nohup, or in the background of a script, some are ignored."""
    usual = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def wait_for(path: Path, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def assert_ends(pid: int) -> None:
    end = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < end, "the program runs on"
        time.sleep(0.02)


SLEEPER = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
Path({pids!r} + ".new").write_text(f"{os.getpid()} {child.pid}")
os.rename({pids!r} + ".new", {pids!r})
"""


def sleeper(pids: Path, then: str = "time.sleep(60)") -> list[str]:
    return [sys.executable, "-c", SLEEPER.replace("{pids!r}", repr(str(pids))) + then]


def test_at_the_timeout_the_whole_group_ends(tmp_path):
    pids = tmp_path / "pids"
    with pytest.raises(ConfigError, match=r"generator\.timeout=1\.5: .* had not ended"):
        run_program(sleeper(pids), tmp_path / "log", timeout=1.5)
    for pid in pids.read_text().split():
        assert_ends(int(pid))


def test_what_outlives_the_program_ends_with_it(tmp_path):
    pids = tmp_path / "pids"
    run_program(sleeper(pids, ""), tmp_path / "log")
    for pid in pids.read_text().split():
        assert_ends(int(pid))


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, -2)]
)
def test_when_this_process_is_told_to_end_the_program_ends_too(tmp_path, number, status):
    pids = tmp_path / "pids"
    # By its path: `import frerec.generators` would take this test seconds.
    code = f"""
import importlib.util
from pathlib import Path
spec = importlib.util.spec_from_file_location("program", {run_program.__code__.co_filename!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.run_program({sleeper(pids)!r}, Path({str(tmp_path / "log")!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        wait_for(pids)
        process.send_signal(number)
        assert process.wait(20) == status
        for pid in pids.read_text().split():
            assert_ends(int(pid))
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit), (signal.SIGINT, KeyboardInterrupt)],
)
def test_a_signal_in_the_moment_of_the_start_leaves_no_orphan(tmp_path, monkeypatch, number, error):
    started = []
    original = subprocess.Popen

    def start(*arguments, **settings):
        started.append(original(*arguments, **settings))
        signal.raise_signal(number)  # it runs, but nobody has its name yet
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    with pytest.raises(error):
        run_program([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    assert started[0].returncode is not None
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before


def test_a_hang_up_that_nohup_ignores_stays_ignored(tmp_path):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    code = "import os, signal; os.kill(os.getppid(), signal.SIGHUP)"
    run_program([sys.executable, "-c", code], tmp_path / "log")
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_the_program_can_be_told_to_end_by_the_usual_signals(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    with pytest.raises(DataError, match="signal SIGTERM"):
        run_program([sys.executable, "-c", code], tmp_path / "log")


def test_the_input_is_empty_and_the_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    text = "import sys; assert sys.stdin.read() == ''; sys.exit(9)"
    with pytest.raises(DataError, match="status 9"):
        run_program([sys.executable, "-c", text], tmp_path / "log")
    assert signal.getsignal(signal.SIGTERM) == before
