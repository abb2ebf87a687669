"""What the report shows of images: samples, spectra, features, distances, fidelity and times."""

import logging
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig

from frerec.benchmark.cell import Cell, read_status
from frerec.benchmark.hashing import content_hash
from frerec.benchmark.shown_calibrators import arm_fidelity, inference_times
from frerec.benchmark.shown_distances import distances
from frerec.benchmark.shown_embedding import Networks, check_methods, embed, find_networks
from frerec.benchmark.shown_quality import quality_of_samples
from frerec.benchmark.shown_sets import collect_sets, write_images, write_npz, write_spectra
from frerec.benchmark.treatments import treatments
from frerec.config import plain
from frerec.errors import ConfigError, DataError
from frerec.tracking.environment import hardware
from frerec.training_tools import write_json

log = logging.getLogger(__name__)

FORMAT = 2  # raise when the showcase of equal inputs would be another


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
    """Write the showcase of the finished cells, if some have samples and it is not there yet."""
    finished = [c for c in cells if read_status(run_dir / "cells" / c.id) == "finished"]
    synthetic = [c for c in finished if c.config.arm.synthetic != "none"]
    calibrated = [c for c in synthetic if c.config.arm.synthetic == "calibrated"]
    if not synthetic:
        return
    calibrated.sort(key=_rank)
    networks = find_networks((calibrated or synthetic)[0], finished)
    key = content_hash(
        {
            "format": FORMAT,
            "cells": [cell and cell.id for cell in vars(networks).values()],
            "treatments": [[t.key, t.axes] for t in treatments(finished)],
            "quality": [cell.stages.quality_key for cell in synthetic],
            "settings": plain(settings),
            "hardware": hardware(),  # calibrators are timed on it
        }
    )
    folder = run_dir / "showcase"
    with FileLock(run_dir / "showcase.lock"):
        marker = folder / "key.txt"
        if marker.is_file() and marker.read_text() == key:
            return
        folder.mkdir(exist_ok=True)
        marker.unlink(missing_ok=True)
        try:
            complete = write_showcase(networks, run_dir, settings, finished)
        except Exception as error:
            (folder / "error.txt").write_text(traceback.format_exc())
            log.error(
                "the showcase failed (%s); the tables are complete without it", _line_of(error)
            )
            return
        (folder / "error.txt").unlink(missing_ok=True)
        if complete:  # otherwise the next call tries once more
            marker.write_text(key)


def write_showcase(
    networks: Networks, run_dir: Path, settings: DictConfig, finished: Sequence[Cell]
) -> bool:
    """Write ``run_dir/showcase``: images, spectra and embedding.npz, and showcase.json.

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

    Returns:
        False where a part failed that may do better another time.
    """
    cell, folder = networks.shown, run_dir / "showcase"
    stages = cell.stages
    parts = _Parts()
    synthetic = [c for c in finished if c.config.arm.synthetic != "none"]
    calibrated = any(c.config.arm.synthetic == "calibrated" for c in synthetic)
    sets = collect_sets(cell, settings.spectra, calibrated=calibrated)
    write_images(folder, cell, sets, settings.images)
    write_spectra(folder, sets.images)
    arrays, embedding = embed(
        networks, run_dir, settings.embedding_images, list(settings.embeddings), parts
    )
    (folder / "embedding.npz").unlink(missing_ok=True)
    if arrays:
        write_npz(folder / "embedding.npz", arrays)
    groups = stages.data.manifest.groups()[sets.real_rows]
    found: dict[str, Any] = {
        "generator": {"name": stages.generator_name, "card": _flat_card(stages.samples.card)},
        "sets": distances(sets, groups, networks.before, run_dir),
        "fidelity": sets.fidelity,
        "quality": quality_of_samples(synthetic),
        "arm_fidelity": arm_fidelity(finished, settings.spectra, parts),
        "inference": inference_times(finished, settings.inference_images, parts),
        "embedding": embedding,
        "missing": parts.missing,
    }
    write_json(folder / "showcase.json", found)
    return parts.complete


def _rank(cell: Cell) -> tuple[bool, int, int]:
    """Smallest for the cell to show: the whole method before its parts, baselines last."""
    arm = cell.config.arm
    if arm.get("calibrator") is not None:  # a baseline's own
        return True, 0, 0
    parts = [arm.real, arm.synthetic, arm.evaluation].count("calibrated")
    return False, -len(cell.stages.calibrator_use.get("stages", ())), -parts


class _Parts:
    """Runs parts that may fail without taking the others along, and keeps the reasons."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self.complete = True

    def __call__(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
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
