"""Run a program of the user's to its end, and leave nothing of it running."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from frerec.errors import ConfigError, DataError

TICK = 1.0  # seconds between two looks at a program that runs
GRACE = 5.0  # seconds that a program gets to end by itself
LINE = 200  # characters of the last line of output that an error repeats
TERMINATED = 128 + signal.SIGTERM


def run_program(
    arguments: Sequence[str],
    log_path: Path,
    *,
    timeout: float | None = None,
    cwd: Path | None = None,
    tick: Callable[[], None] | None = None,
) -> None:
    """Run a program without a shell; every argument reaches it letter by letter.

    Its input is empty, its output and errors go into a file. It gets a process group of its own,
    all of which ends with this call: when the program ends, at the timeout, at an exception such as
    KeyboardInterrupt, and when this process is told to end.

    Args:
        arguments: The program and its arguments.
        log_path: File for its output, overwritten.
        timeout: Seconds until it is ended; None for no limit.
        cwd: Folder to run in; None for the present one.
        tick: Called about every second.

    Raises:
        ConfigError: If the program cannot be started, or ran into the timeout.
        DataError: If it failed; with its status and the last line that it wrote.
    """
    process = None
    with log_path.open("wb") as output, _signals_as_exceptions():
        try:
            with _signals_held():  # none between the program's start and its name here
                process = _start(arguments, output, cwd)
            status = _wait(process, timeout, tick)
        finally:
            if process is not None:
                _end(process)
    if status is None:
        raise ConfigError(
            f"generator.timeout={timeout:g}: {arguments[0]} had not ended after so many seconds;"
            f" see {log_path}, or give it more time"
        )
    if status != 0:
        how = f"status {status}" if status > 0 else f"signal {_signal_name(-status)}"
        raise DataError(
            f"generator.command: {arguments[0]} ended with {how}: {last_line(log_path)}; its whole"
            f" output is in {log_path}"
        )


def last_line(path: Path) -> str:
    """The last line with text in a file of output, cut to a length that an error can repeat."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 8192, 0))
        text = file.read().decode("utf-8", errors="replace")
    lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
    return next((line[:LINE] for line in reversed(lines) if line), "it wrote nothing")


def _start(arguments: Sequence[str], output: BinaryIO, cwd: Path | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"generator.command: cannot run {arguments[0]} ({reason}); give a program that is"
            " installed here, or its path"
        ) from None


def _wait(
    process: subprocess.Popen[bytes], timeout: float | None, tick: Callable[[], None] | None
) -> int | None:
    """Exit status of a process, None at the timeout."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = TICK if end is None else min(TICK, end - time.monotonic())
        if left <= 0:
            return None
        with suppress(subprocess.TimeoutExpired):
            return process.wait(left)
        if tick is not None:
            tick()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process and of its group: ask first, then kill."""
    try:
        if process.poll() is None:
            _tell(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    finally:  # also at a second Ctrl-C
        _tell(process, signal.SIGKILL)  # those of the group that outlive it, too
        process.wait()


def _tell(process: subprocess.Popen[bytes], what: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left
        os.killpg(process.pid, what)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """SIGTERM and SIGHUP raise SystemExit, where they would end this process on the spot.

    A handler that somebody else has set stays; other threads than the main one can set none.
    """
    changed = []

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, stop)
                changed.append(number)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Signals that raise an exception come at the end of this, where they are not lost.

    They are not blocked, because the program would inherit that.
    """
    came: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            handler = signal.getsignal(number)
            if callable(handler):
                before[number] = handler
                signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for held, handler in before.items():
            signal.signal(held, handler)
        for one in came:
            signal.raise_signal(one)
