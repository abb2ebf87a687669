"""What the report shows of images: samples, spectra, features, distances, fidelity and times."""

import json
import logging
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig

from frerec.benchmark.arms import has_samples
from frerec.benchmark.cell import Cell, read_status
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.shown_calibrators import arm_fidelity, inference_times
from frerec.benchmark.shown_distances import distances
from frerec.benchmark.shown_embedding import Networks, check_methods, embed, find_networks
from frerec.benchmark.shown_merging import (
    FILE,
    PICTURES,
    merge_entries,
    merge_missing,
    merge_quality,
    read_before,
)
from frerec.benchmark.shown_quality import quality_of_samples
from frerec.benchmark.shown_sets import collect_sets, write_images, write_npz, write_spectra
from frerec.benchmark.treatments import treatments
from frerec.config import plain
from frerec.errors import ConfigError, DataError
from frerec.tracking.environment import hardware
from frerec.training_tools import write_json

log = logging.getLogger(__name__)

FORMAT = 3  # raise when the showcase of equal inputs would be another


def check_showcase(settings: DictConfig) -> None:
    """Look at the settings, before anything is trained.

    Raises:
        ConfigError: Names the key.
    """
    check_methods(list(settings.embeddings))
    least = {"images": 1, "spectra": 2, "embedding_images": 0, "inference_images": 0}
    for key, lowest in least.items():
        if settings[key] < lowest:
            raise ConfigError(f"showcase.{key}={settings[key]}: expected at least {lowest}")


def show(cells: Sequence[Cell], run_dir: Path, settings: DictConfig) -> None:
    """Write the showcase of the finished cells, if some have samples and it is not there yet.

    A run may be widened, or shared by calls with different arms: what an earlier call with the
    same settings found of other arms stays.
    """
    finished = [c for c in cells if read_status(run_dir / "cells" / c.id) == "finished"]
    synthetic = [c for c in finished if has_samples(c.config.arm)]
    if not synthetic:
        return
    networks = find_networks(min(synthetic, key=_rank), finished)
    key = content_hash(
        {
            "cells": [cell and cell.id for cell in vars(networks).values()],
            "treatments": [[t.key, t.axes] for t in treatments(finished)],
            "quality": [cell.stages.quality_key for cell in synthetic],
            "hardware": hardware(),  # calibrators are timed on it
        }
    )
    equal = content_hash(
        {"format": FORMAT, "settings": plain(settings), "run": _settings_of(run_dir)}
    )
    folder = run_dir / "showcase"
    with FileLock(run_dir / "showcase.lock"):
        before = read_before(folder, equal)
        if key in before.get("calls", []):
            return
        folder.mkdir(exist_ok=True)
        try:
            write_showcase(networks, run_dir, settings, finished, before | {"settings": equal}, key)
        except Exception as error:
            (folder / "error.txt").write_text(traceback.format_exc())
            log.error(
                "the showcase failed (%s); the tables are complete without it", _line_of(error)
            )
            return
        (folder / "error.txt").unlink(missing_ok=True)


def write_showcase(
    networks: Networks,
    run_dir: Path,
    settings: DictConfig,
    finished: Sequence[Cell],
    before: dict[str, Any],
    key: str,
) -> None:
    """Write ``run_dir/showcase``: images, spectra and embedding.npz, and last showcase.json.

    Without a calibrated arm nothing is calibrated, and nothing fitted, for the showcase's sake.
    SHR and FreRec show their stages under names of their own, any other calibrator its samples as
    ``synthetic_calibrated``. The samples of all cells with samples are measured as they are,
    against the real training images. A part that fails is left out: ``missing`` in showcase.json
    has its name and the reason.

    Args:
        networks: The cell that is shown, and the classifiers whose features are taken.
        run_dir: Of the run.
        settings: ``showcase`` of the configuration.
        finished: The finished cells; some have samples.
        before: The showcase.json of earlier calls, or ``settings`` alone.
        key: Of this call; among ``calls`` in showcase.json where no part failed that may do better
            another time.
    """
    folder, parts = run_dir / "showcase", _Parts()
    shown = [cell and cell.id for cell in vars(networks).values()]
    pictures = {"rank": [*_rank(networks.shown), *(cell is None for cell in shown)], "cells": shown}
    kept = _may_stay(before.get("pictures", {}), pictures["rank"], run_dir)
    if kept:
        drawn = {part: before[part] for part in PICTURES}
    else:
        # The words about the pictures go before the pictures do, those about other arms stay.
        write_json(
            folder / FILE, {k: v for k, v in before.items() if k not in (*PICTURES, "calls")}
        )
        drawn = _draw(networks, run_dir, settings, parts)
        drawn["pictures"] = pictures | {"complete": parts.complete}
    synthetic = [c for c in finished if has_samples(c.config.arm)]
    quality = quality_of_samples(synthetic, parts)
    fidelity = arm_fidelity(finished, settings.spectra, parts)
    times = inference_times(finished, settings.inference_images, parts)
    found = {
        "settings": before["settings"],
        "calls": [*before.get("calls", []), *([key] if parts.complete else [])],
        **drawn,
        "quality": merge_quality(before.get("quality", []), quality),
        "arm_fidelity": merge_entries(before.get("arm_fidelity", []), fidelity),
        "inference": merge_entries(before.get("inference", []), times),
        "missing": merge_missing(
            before.get("missing", {}), parts.missing, parts.tried, pictures=kept
        ),
    }
    write_json(folder / FILE, found)


def _draw(
    networks: Networks, run_dir: Path, settings: DictConfig, parts: "_Parts"
) -> dict[str, Any]:
    """Write the arrays of the shown cell; what showcase.json says of them."""
    cell, folder = networks.shown, run_dir / "showcase"
    stages = cell.stages
    for name in ("images", "spectra", "embedding"):
        (folder / f"{name}.npz").unlink(missing_ok=True)
    calibrated = cell.config.arm.synthetic == "calibrated"
    found: dict[str, Any] = {
        "generator": {"name": stages.generator_name, "card": _flat_card(stages.samples.card)},
        "sets": {},
        "fidelity": {},
    }
    collected = parts(
        "the shown images",
        lambda: {"sets": collect_sets(cell, settings.spectra, calibrated=calibrated)},
    )
    if collected is not None:
        sets = collected["sets"]
        write_images(folder, cell, sets, settings.images)
        write_spectra(folder, sets.images)
        groups = stages.data.manifest.groups()[sets.real_rows]
        found["sets"] = distances(sets, groups, networks.before, run_dir, parts)
        found["fidelity"] = sets.fidelity
    arrays, found["embedding"] = embed(
        networks, run_dir, settings.embedding_images, list(settings.embeddings), parts
    )
    if arrays:
        write_npz(folder / "embedding.npz", arrays)
    return found


def _may_stay(before: dict[str, Any], rank: list[Any], run_dir: Path) -> bool:
    """Whether the pictures of before are whole, of finished cells, and show as much as these."""
    if not before.get("complete") or before["rank"] > rank:
        return False
    cells = [cell for cell in before["cells"] if cell is not None]
    return all(read_status(run_dir / "cells" / cell) == "finished" for cell in cells)


def _settings_of(run_dir: Path) -> str:
    """What the cells of the run have in common, by ``benchmark.json``: its hash."""
    plan = run_dir / "benchmark.json"
    return str(json.loads(plan.read_text()).get("settings", "")) if plan.is_file() else ""


def _rank(cell: Cell) -> tuple[bool, bool, int, int]:
    """Smallest for the cell to show: the whole method, its parts, baselines, nothing calibrated."""
    arm = cell.config.arm
    if arm.synthetic != "calibrated":
        return True, True, 0, 0
    if arm.get("calibrator") is not None:  # a baseline's own
        return False, True, 0, 0
    parts = [arm.real, arm.synthetic, arm.evaluation].count("calibrated")
    return False, False, -len(cell.stages.calibrator_use.get("stages", ())), -parts


class _Parts:
    """Runs parts that may fail without taking the others along, and keeps the reasons."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self.tried: list[str] = []
        self.complete = True

    def __call__(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        self.tried.append(name)
        try:
            return make()
        except DataError as error:  # such as too few images: it will be the same next time
            self._note(name, error)
        except Exception as error:
            log.debug("%s", traceback.format_exc())
            self._note(name, error)
            self.complete = False
        return None

    def _note(self, name: str, error: Exception) -> None:
        self.missing[name] = _line_of(error)
        log.warning("the showcase lacks %s: %s", name, self.missing[name])


def _line_of(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _flat_card(card: dict[str, Any]) -> dict[str, Any]:
    flat = {k: v for k, v in card.items() if isinstance(v, str | int | float)}
    flat |= card.get("final", {})
    return flat
