"""Samples by a command of the user's, kept as the command left them beside a manifest."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frerec.data.decoding import Decoding
from frerec.data.manifest import Manifest
from frerec.errors import DataError
from frerec.generators.command import COUNTS, LOG, OUTPUT, stays_within
from frerec.samples.guards import refuse_links
from frerec.samples.own_outputs import read_generated
from frerec.samples.ratio import take_counts
from frerec.samples.real_files import files_of_real_images, with_content
from frerec.samples.set_folder import (
    CARD,
    DESCRIPTION,
    DRAWN,
    MANIFEST,
    UNFINISHED,
    differing,
    finish,
    read_card,
    restore,
)
from frerec.training_tools import write_json

if TYPE_CHECKING:
    from frerec.generators.command import CommandGenerator

log = logging.getLogger(__name__)

_OURS = (UNFINISHED, LOG, COUNTS, MANIFEST, DRAWN)  # besides the program's folder
_PARTIAL = re.compile(r"(.+)\.\d+\.(partial|tmp)")  # what a kill leaves of one of them,
_WORK = re.compile(rf"{OUTPUT}\.[0-9a-f]{{8}}\.partial")  # and of the program's folder
_FINISHED = "finished"  # in the file that says that a set is not: it was, before


def run_into(
    directory: Path,
    command: CommandGenerator,
    origin: Mapping[str, Any],
    *,
    counts: Mapping[str, int],
    size: tuple[int, int],
    real: Manifest,
    decoding: Decoding,
    progress: bool = False,
    finished: bool = True,
) -> Manifest:
    """Run the command into ``directory``, or take what an equal call left there.

    Args:
        directory: Gets the command's own files, ``command.log``, ``manifest.parquet`` and
            ``samples.json``. What a failed run left in it is deleted first, by name, and so is a
            set of another call that was never finished.
        command: What to run.
        origin: All that the samples depend on besides ``size``, with ``command``, ``seed`` and
            ``classes``.
        counts: Images a class.
        size: Pixels a side and channels, for the command's placeholders.
        real: The real images, with the hashes of their files and pixels; none of those in val and
            test may be a sample.
        decoding: How they are decoded.
        progress: Show progress bars.
        finished: As :func:`frerec.samples.write_samples`.

    Returns:
        All samples, also those that were left out before.

    Raises:
        DataError: If the command fails or leaves too few images or a real image of val or test, or
            ``directory`` holds other files, links or other samples.
    """
    origin = json.loads(json.dumps({**origin, "image_size": size[0], "channels": size[1]}))
    card = {**origin, "counts": dict(counts)}
    directory.mkdir(parents=True, exist_ok=True)
    _refuse_links(directory)
    if _to_be_taken(directory, origin):
        state = {**origin, _FINISHED: _was_finished(directory)}
        read_generated(directory)  # it is whole
        listed = directory / (DRAWN if (directory / DRAWN).is_file() else MANIFEST)
        every = Manifest.read(listed, root=directory)
        _refuse_real(every, real, decoding, progress=progress)  # there may be other splits now
        write_json(directory / UNFINISHED, state)
        restore(directory)
        write_json(directory / CARD, card)
    else:
        _clear(directory)
        write_json(directory / UNFINISHED, origin)
        output = command.write(
            counts,
            origin["classes"],
            directory,
            seed=origin["seed"],
            image_size=size[0],
            channels=size[1],
            progress=progress,
        )
        found = take_counts(command.load(output, origin["classes"]), counts, seed=origin["seed"])
        _refuse_real(found, real, decoding, progress=progress)
        _below(found, directory).write(directory / MANIFEST)
        write_json(directory / CARD, card)
    if finished:
        finish(directory)
    return read_generated(directory)


def _refuse_real(samples: Manifest, real: Manifest, decoding: Decoding, *, progress: bool) -> None:
    samples = with_content(samples, decoding, progress=progress)
    for warning in files_of_real_images(samples, real):
        log.warning("%s", warning)


def _below(manifest: Manifest, root: Path) -> Manifest:
    """The same images with addresses relative to a folder above, which may be moved."""
    prefix = manifest.root.resolve().relative_to(root.resolve()).as_posix()
    table = manifest.table.copy()
    if prefix != ".":
        table["image"] = [f"{prefix}/{image}" for image in table["image"]]
    return Manifest(table, Path(), manifest.classes)


def give_up(directory: Path) -> None:
    """Let the next call run the command again, unless its samples were finished once."""
    if not _was_finished(directory):
        (directory / CARD).unlink(missing_ok=True)


def _was_finished(directory: Path) -> bool:
    """Whether a whole set has been read by others, which a run that takes it again may hide."""
    marker = directory / UNFINISHED
    return not marker.is_file() or bool(read_card(marker).get(_FINISHED))


def _to_be_taken(directory: Path, origin: Mapping[str, Any]) -> bool:
    """Whether the samples that are there are those of this call; False where it has to make them.

    Raises:
        DataError: If a finished set is another call's.
    """
    if not (directory / CARD).is_file():
        return False
    others = differing(read_card(directory / CARD), origin)
    if others and _was_finished(directory):
        raise DataError(
            f"{directory}: holds samples made with another {' and '.join(others)}; name another"
            " folder or delete this one"
        )
    return not others


def _refuse_links(directory: Path) -> None:
    """As :func:`refuse_links`; those of the program's that lead to its own files may stay."""
    refuse_links(directory, but=[p.name for p in directory.iterdir() if _is_programs(p)])
    output = directory / OUTPUT
    for folder, folders, files in os.walk(output):
        for path in (Path(folder) / name for name in (*folders, *files)):
            if path.is_symlink() and not stays_within(output.resolve(), path):
                raise DataError(f"{path}: a link that leads out of {output}; delete it")


def _clear(directory: Path) -> None:
    """Delete what a command that failed or was killed left, and nothing else.

    Raises:
        DataError: If anything else is there; nothing is deleted then.
    """
    entries = sorted(directory.iterdir())
    if not entries:
        return
    marker = directory / UNFINISHED
    if marker.is_file() and "command" not in read_card(marker):
        raise DataError(
            f"{directory}: holds unfinished samples of another generator; name another folder or"
            " delete this one"
        )
    for entry in entries:
        if not marker.is_file() or not _is_ours(entry):
            raise DataError(
                f"{directory}: holds other files ({entry.name}); name an empty folder for the"
                " samples"
            )
    for entry in entries:
        if _WORK.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)  # a program may still write there
        elif entry.is_dir():
            shutil.rmtree(entry)
        elif entry != marker:
            entry.unlink()


def _is_ours(entry: Path) -> bool:
    if _is_programs(entry):
        return True
    partial = _PARTIAL.fullmatch(entry.name)
    name = entry.name if partial is None else partial[1]
    return name in (*_OURS, CARD, *DESCRIPTION) and not entry.is_dir()


def _is_programs(entry: Path) -> bool:
    return entry.name == OUTPUT or _WORK.fullmatch(entry.name) is not None
