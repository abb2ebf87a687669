"""``frerec prepare``: read a data set, check it, report what was found."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from frerec.config import check_complete, compose_config, instantiate, require
from frerec.data.address import SEPARATOR
from frerec.data.audit import audit, write_contact_sheets, write_pair_sheet
from frerec.data.datamodules import ImageDataModule
from frerec.data.manifest import Manifest
from frerec.data.prepared import MISSING
from frerec.errors import ConfigError, DataError
from frerec.tracking.environment import peak_memory
from frerec.verbs.folders import put_in_place, refuse_around, refuse_inside

MANIFEST, SUMMARY, PAIRS = "manifest.parquet", "summary.json", "duplicates.csv"
SHEETS, NEAREST = "contact_sheets", "near_duplicates.png"


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Audit all images, then write the manifest that the settings give.

    Leaks that the settings do not allow are reported like the rest, but no manifest is written and
    the exit status is 2.
    """
    start = time.perf_counter()
    config = compose_config(config_name, overrides)
    out = Path(require(config, "out", "the folder for the report"))
    check_complete(config)
    out = _checked_out(out, config)
    data: ImageDataModule = instantiate(config.data)
    data.prepare_data()
    everything = _with_splits(data)
    found = audit(
        everything,
        data.prepared.stack,
        near_distance=data.near_distance,
        skipped=[(s.image, s.reason) for s in data.prepared.skipped if s.reason != MISSING],
        missing=[s.image for s in data.prepared.skipped if s.reason == MISSING],
        resizing=data.decoding.resizing,
        near=data.prepared.near(data.near_distance),
        seed=int(config.seed),
    )
    refused: DataError | None = None
    try:
        data.setup()
    except DataError as error:  # a leak, or too few images: the report says more
        refused = error
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    work.chmod(0o755)  # not the secret folder that mkdtemp makes
    try:
        found.pairs.to_csv(work / PAIRS, index=False)
        (work / SHEETS).mkdir()
        write_contact_sheets(everything, data.prepared.stack, work / SHEETS, seed=int(config.seed))
        write_pair_sheet(found.duplicates, data.prepared.stack, work / NEAREST)
        if refused is None:
            data.manifest.write(work / MANIFEST)
        outcome = _outcome(data, everything, refused)
        cost = {"seconds": round(time.perf_counter() - start, 1), "peak_memory_MiB": peak_memory()}
        text = json.dumps({**found.summary, "outcome": outcome, "cost": cost}, indent=1)
        (work / SUMMARY).write_text(text + "\n", encoding="utf-8")
        _checked_out(out, config)  # again: it may hold something by now
        put_in_place(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(found.text())
    print(f"Report: {out / SUMMARY}")
    if refused is not None:
        raise refused
    print(f"Manifest: {out / MANIFEST} ({len(data.manifest):,} images)")
    return 0


def _checked_out(out: Path, config: DictConfig) -> Path:
    """The report's folder, absolute; nothing but a report of ours may be replaced.

    Raises:
        ConfigError: It holds other files, a report that is complete (unless `overwrite`), or what
            is read; it lies in `data.root`; it is no folder.
    """
    if not out.name or out.is_symlink() or out.resolve() == Path.cwd():
        raise ConfigError(f"out={out}: expected a new folder's name")
    root = config.data.get("root")
    refuse_inside(out, Path(root) if root else None, key="out", source_key="data.root")
    reads = {
        "data.root": str(root).partition(SEPARATOR)[0] if root else None,
        "data.manifest": config.data.get("manifest"),
        "data.cache_dir": config.data.cache_dir,
        "paths.store": config.paths.store,
    }
    refuse_around(out, reads, key="out")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give out= a folder")
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if found - {MANIFEST, SUMMARY, PAIRS, SHEETS, NEAREST}:
        raise ConfigError(f"{out}: holds other files; give a new folder as out=")
    if MANIFEST in found and not config.overwrite:
        raise ConfigError(f"{out}: holds a report already; give overwrite=true or another out=")
    return Path(os.path.abspath(out))  # noqa: PTH100 - links in the path are the user's


def _with_splits(data: ImageDataModule) -> Manifest:
    """All images with the splits that they would get, leaks and all; the source's if none can."""
    manifest = data.prepared.manifest
    try:
        split = data.split(leaks="keep", near_duplicates="ignore").table
    except DataError:  # too few images or patients: `setup` says so, after the report
        return manifest
    column = pd.Series(split["split"].to_numpy(), index=split["row"]).reindex(range(len(manifest)))
    return manifest.with_columns(split=pd.array(column.tolist(), dtype="str"))


def _outcome(
    data: ImageDataModule, everything: Manifest, refused: DataError | None
) -> dict[str, Any]:
    """What the settings make of the data: images by class and split, or why there is nothing."""
    if refused is not None:
        return {"manifest": False, "reason": str(refused)}
    counts = data.manifest.counts()
    return {
        "manifest": True,
        "images": len(data.manifest),
        "left_out": len(everything) - len(data.manifest),
        "counts": {str(name): row.to_dict() for name, row in counts.iterrows()},
    }
