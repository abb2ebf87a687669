"""Samples by a program of the user's: any generator that can be run by a command."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from frerec.data.address import SEPARATOR
from frerec.data.manifest import Manifest
from frerec.data.tree import IMAGE_SUFFIXES
from frerec.errors import ConfigError, DataError
from frerec.generators.command_line import (
    below_output,
    by_content,
    checked_arguments,
    filled,
    is_number,
)
from frerec.generators.program import run_program
from frerec.samples.listings import Keys
from frerec.samples.loader import load_samples
from frerec.training_tools import write_json

OUTPUT, LOG, COUNTS = "output", "command.log", "counts.json"
EVERY, SHARE = 5.0, 50.0  # seconds, and lengths of a look, between two looks for the bar


class CommandGenerator:
    """A program that writes labelled images into a folder, in any layout that samples can have.

    No shell sees the command: it is a list of arguments, each of which the program gets as it
    stands, but for these placeholders, replaced wherever they stand in an argument:

    - ``{out}``: an empty folder for the samples; one argument has to hold it;
    - ``{counts}``: a JSON file with the number of images asked, by class;
    - ``{total}``: the sum of these numbers;
    - ``{seed}``, ``{size}`` (pixels a side), ``{channels}``.

    Args:
        command: The program and its arguments.
        output: What to read below ``{out}``, as ``samples.npz``; None for the folder itself.
        labels: A CSV file below ``{out}`` with the columns image and label, see
            :func:`frerec.samples.load_samples`; None where the layout says the labels.
        label_map: From a name in the samples to the real data's; to None leaves its images out.
        timeout: Seconds until the program is ended; None for no limit.
        cwd: Folder to run in, and to look for files in; None for the present one.

    Raises:
        ConfigError: If an argument is out of range; the message names it.
    """

    def __init__(
        self,
        *,
        command: Sequence[str | int | float],
        output: str | None = None,
        labels: str | None = None,
        label_map: Mapping[Any, Any] | None = None,
        timeout: float | None = None,
        cwd: str | Path | None = None,
    ) -> None:
        self.command = checked_arguments(command)
        self.output = None if output is None else below_output("output", str(output))
        self.labels = None if labels is None else below_output("labels", str(labels))
        self.label_map = None if label_map is None else dict(label_map)
        if timeout is not None and not (is_number(timeout) and 0 < timeout < math.inf):
            raise ConfigError(
                f"generator.timeout={timeout}: expected seconds above 0, or null for no limit"
            )
        self.timeout = timeout
        self.cwd = None if cwd is None else Path(cwd).expanduser().absolute()
        if self.cwd is not None and not self.cwd.is_dir():
            raise ConfigError(f"generator.cwd={self.cwd}: no such folder")

    def identity(self) -> dict[str, Any]:
        """What the samples depend on besides counts, seed and size, as plain values.

        An argument that names a file counts by the file's content, as does the value of one of the
        form ``--option=FILE``, so that an edited script is another command and a moved one is not.
        What else the program reads, as the modules that a script imports, a folder, or a program
        found by its name alone, is not noticed.
        """
        base = Path.cwd() if self.cwd is None else self.cwd
        mapped = self.label_map
        return {
            "command": [by_content(argument, base) for argument in self.command],
            "output": self.output,
            "labels": self.labels,
            "label_map": None if mapped is None else {str(k): v for k, v in mapped.items()},
        }

    def write(
        self,
        counts: Mapping[str, int],
        classes: Sequence[str],
        directory: Path,
        *,
        seed: int,
        image_size: int,
        channels: int,
        progress: bool = False,
    ) -> Path:
        """Run the command once, and check that it left what was asked.

        Args:
            counts: Images a class; classes that are left out get none.
            classes: All class names, in order.
            directory: Gets ``output``, the program's own folder, ``counts.json`` and
                ``command.log``; must not hold ``output`` yet. While the program runs its folder
                has another name, which no other run uses: a program that outlives a killed run
                writes into nothing that is kept.
            seed: For ``{seed}``.
            image_size: For ``{size}``, in pixels.
            channels: For ``{channels}``.
            progress: Show a bar that counts image files.

        Returns:
            The samples, for :meth:`load`; there may be more than asked.

        Raises:
            ConfigError: If the program cannot be started, or runs into the timeout.
            DataError: If it fails, leaves nothing, a link that leads out of its folder, or too few
                images; or if ``directory`` holds another output.
        """
        directory = directory.resolve()
        out = directory / OUTPUT
        if out.exists() or out.is_symlink():
            raise DataError(f"{out}: exists; name another folder for the samples, or delete it")
        work = directory / f"{OUTPUT}.{secrets.token_hex(4)}.partial"
        work.mkdir(parents=True)
        asked = {name: counts.get(name, 0) for name in classes}
        write_json(directory / COUNTS, asked)
        total = sum(asked.values())
        values = {
            "out": work,
            "seed": seed,
            "size": image_size,
            "channels": channels,
            "counts": directory / COUNTS,
            "total": total,
        }
        with tqdm(total=total, desc="command", unit="image", disable=not progress) as bar:
            run_program(
                filled(self.command, values),
                directory / LOG,
                timeout=self.timeout,
                cwd=self.cwd,
                tick=_Counter(bar, work, total) if progress else None,
            )
        if work.is_symlink() or not work.is_dir():
            raise DataError(f"{work}: generator.command took its folder away; write below it")
        work.rename(out)
        found = self._found(out)
        self._check_counts(found, asked, directory / LOG)
        return found

    def load(self, samples: Path, classes: Sequence[str]) -> Manifest:
        """List the samples that :meth:`write` returned; a class may have none.

        Raises:
            DataError, ConfigError: As :func:`frerec.samples.load_samples`.
        """
        depth = len(PurePosixPath(self.output or "").parts)
        base = (samples, *samples.parents)[depth]
        return load_samples(
            samples,
            classes=classes,
            labels=None if self.labels is None else base / self.labels,
            label_map=self.label_map,
            allow_missing=True,
            keys=Keys("generator.output", "generator.labels", "generator.label_map", base),
        )

    def _found(self, out: Path) -> Path:
        """What is to be read below the program's folder."""
        for folder, folders, files in os.walk(out, topdown=False):
            for path in (Path(folder) / name for name in (*folders, *files)):
                if path.is_symlink() and not stays_within(out, path):
                    raise DataError(f"{path}: a link that leads out of {out}; copy what it names")
            if Path(folder) != out and not any(Path(folder).iterdir()):
                Path(folder).rmdir()  # of a class of which none was asked
        left = sorted(path.name for path in out.iterdir())
        if not left:
            raise DataError(
                f"{out}: generator.command left no file; make it write below {{out}}, see"
                f" {out.parent / LOG}"
            )
        if self.output is None:
            if len(left) == 1 and left[0].lower().endswith((".npz", ".zip")):
                raise DataError(f"{out}: holds {left[0]} alone; set generator.output={left[0]}")
            return out
        samples = out / self.output
        if not Path(str(samples).partition(SEPARATOR)[0]).exists():
            raise DataError(
                f"{samples}: generator.command left no such output, but {', '.join(left[:5])};"
                " correct generator.output"
            )
        return samples

    def _check_counts(self, samples: Path, asked: Mapping[str, int], log: Path) -> None:
        have = self.load(samples, list(asked)).table["label"].value_counts()
        short = [f"{name} {have.get(name, 0)} of {n}" for name, n in asked.items()
                 if have.get(name, 0) < n]  # fmt: skip
        if short:
            raise DataError(
                f"{samples}: generator.command left too few images: {', '.join(short)}; make it"
                f" read {{counts}}, or set a smaller samples.ratio; its output is in {log}"
            )


def stays_within(out: Path, link: Path) -> bool:
    """Whether a link goes on leading below ``out`` when that folder is moved."""
    return not link.readlink().is_absolute() and link.resolve().is_relative_to(out)


class _Counter:
    """Moves a bar on to the number of image files, with few looks at a folder that may be large."""

    def __init__(self, bar: tqdm[Any], out: Path, total: int) -> None:
        self.bar, self.out, self.total = bar, out, total
        self.next_look = 0.0

    def __call__(self) -> None:
        """Count, unless the last count was just now; never beyond the total."""
        begin = time.monotonic()
        if begin < self.next_look:
            return
        found = (
            name
            for _, _, names in os.walk(self.out)  # which passes over folders that vanish
            for name in names
            if name.lower().endswith(IMAGE_SUFFIXES)
        )
        count = len(list(islice(found, self.total)))
        self.bar.update(max(count - self.bar.n, 0))
        end = time.monotonic()
        self.next_look = end + max(EVERY, SHARE * (end - begin))
