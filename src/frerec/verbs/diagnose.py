"""``frerec diagnose``: the spectra of real against synthetic images, before and after a model."""

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from frerec.calibration import Calibrator, load_calibrator
from frerec.config import compose_config, plain, require
from frerec.data.address import SEPARATOR
from frerec.diagnosis import Diagnosis, Settings, diagnose, write_diagnosis
from frerec.diagnosis.page import COLUMNS, DETECTOR_COLUMNS, detector_table, distance_rows
from frerec.diagnosis.run import NUMBERS, PAGE, is_ours
from frerec.errors import ConfigError
from frerec.verbs.devices import resolve_device
from frerec.verbs.folders import put_in_place, refuse_around, refuse_inside

_SHORT = {
    COLUMNS[1]: "LSD high, dB",
    COLUMNS[2]: "LSD full, dB",
    COLUMNS[3]: "high-band power, dB",
    DETECTOR_COLUMNS[1]: "trained on",
}


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Compare two folders of images, write the diagnosis to ``out`` and print its tables."""
    config = compose_config(config_name, overrides)
    require(config, "real", "a folder or zip of real images")
    require(config, "synthetic", "a folder or zip of a generator's images")
    out = _checked_out(Path(require(config, "out", "the folder for the diagnosis")), config)
    settings = _settings(config)
    device = torch.device(resolve_device(str(config.device)))
    calibrator: Calibrator | None = None
    if settings.model is not None:
        calibrator = load_calibrator(Path(settings.model)).to(device)
    found = diagnose(settings, calibrator, progress=sys.stderr.isatty())
    command = shlex.join(["frerec", "diagnose", *overrides])
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    work.chmod(0o755)  # not the secret folder that mkdtemp makes
    try:
        write_diagnosis(found, work, command=command)
        _checked_out(out, config)  # again: it may hold something by now
        put_in_place(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(text(found))
    print(f"\nDiagnosis: {out / PAGE}")
    return 0


def text(diagnosis: Diagnosis) -> str:
    """The diagnosis for a terminal: warnings, tables and verdict."""
    numbers = diagnosis.numbers
    parts = [f"WARNING: {line}" for line in numbers["warnings"]]
    parts += [f"NOTE: {line}" for line in numbers["notes"]]
    parts.append(_aligned(COLUMNS, distance_rows(numbers)))
    rows = detector_table(numbers["comparisons"])
    parts.append(_aligned(DETECTOR_COLUMNS, rows))
    parts.append("\n".join(numbers["verdict"]))
    return "\n\n".join(parts)


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, the first to the left."""
    table = [[_SHORT.get(column, column) for column in columns], *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(columns))]
    lines = [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _settings(config: DictConfig) -> Settings:
    values: dict[str, Any] = plain(config)
    for key in ("out", "overwrite", "device"):
        values.pop(key)
    texts = ("real", "synthetic", "model", "groups", "channels")
    values |= {key: None if values[key] is None else str(values[key]) for key in texts}
    return Settings(**values)


def _checked_out(out: Path, config: DictConfig) -> Path:
    """The diagnosis's folder, absolute; nothing but a diagnosis of ours may be replaced.

    Raises:
        ConfigError: It holds other files, or a diagnosis (unless `overwrite`); it lies in what is
            read, or holds it; it is no folder.
    """
    if not out.name or out.is_symlink() or out.resolve() == Path.cwd():
        raise ConfigError(f"out={out}: expected a new folder's name")
    reads: dict[str, Path | None] = {}
    for key in ("real", "synthetic", "model", "groups"):
        value = config.get(key)
        reads[key] = Path(str(value).partition(SEPARATOR)[0]) if value else None
        refuse_inside(out, reads[key], key="out", source_key=key)
    refuse_around(out, reads, key="out")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give out= a folder")
    files = [path for path in out.rglob("*") if not path.is_dir()] if out.is_dir() else []
    other = sorted(str(p.relative_to(out)) for p in files if not is_ours(_posix(p, out)))
    if other:
        raise ConfigError(f"{out}: holds other files, as {other[0]}; give a new folder as out=")
    if files and not _is_diagnosis(out / NUMBERS):
        raise ConfigError(
            f"{out}: holds other files, as {files[0].name}; give a new folder as out="
        )
    if files and not config.overwrite:
        raise ConfigError(f"{out}: holds a diagnosis already; give overwrite=true or another out=")
    return Path(os.path.abspath(out))  # noqa: PTH100 - links in the path are the user's


def _is_diagnosis(numbers: Path) -> bool:
    """Whether a file is a diagnosis's: names alone could be anybody's."""
    try:
        found = json.loads(numbers.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "format" in found and "comparisons" in found


def _posix(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
