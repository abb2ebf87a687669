"""``frerec prepare``: read a data set, check it, report what was found."""

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from frerec.config import check_complete, compose_config, instantiate, require
from frerec.data.audit import audit, write_contact_sheets, write_pair_sheet
from frerec.data.datamodules import ImageDataModule
from frerec.data.manifest import Manifest
from frerec.data.prepared import MISSING
from frerec.errors import ConfigError, DataError
from frerec.tracking.environment import peak_memory
from frerec.verbs.folders import refuse_inside

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
    root = config.data.get("root")
    refuse_inside(out, Path(root) if root else None, key="out", source_key="data.root")
    _check_free(out, overwrite=bool(config.overwrite))
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
        seed=int(config.seed),
    )
    refused: DataError | None = None
    try:
        data.setup()
    except DataError as error:  # a leak, or too few images: the report says more
        refused = error
    work = out.with_name(f".{out.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
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
        shutil.rmtree(out, ignore_errors=True)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(found.text())
    print(f"Report: {out / SUMMARY}")
    if refused is not None:
        raise refused
    print(f"Manifest: {out / MANIFEST} ({len(data.manifest):,} images)")
    return 0


def _check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder with other files, and a complete report unless it may be replaced."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give out= a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not (out / SUMMARY).exists():
        raise ConfigError(f"{out}: holds other files; give a new folder as out=")
    if (out / MANIFEST).exists() and not overwrite:
        raise ConfigError(f"{out}: holds a report already; give overwrite=true or another out=")


def _with_splits(data: ImageDataModule) -> Manifest:
    """All images with the splits that they would get, leaks and all."""
    split = data.split(leaks="keep", near_duplicates="ignore").table
    manifest = data.prepared.manifest
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
