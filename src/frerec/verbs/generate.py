"""``frerec generate``: train a generator on the training split, write samples and their card."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from frerec.benchmark.hashing import content_hash
from frerec.benchmark.sample_description import (
    CARD,
    GRID,
    PAGE,
    SIGNATURE,
    check_records,
    describe,
)
from frerec.benchmark.stages import Stages
from frerec.bulk.output import sole_writer
from frerec.config import check_complete, compose_config, instantiate, require
from frerec.errors import ConfigError
from frerec.samples.set_folder import CARD as SET_CARD
from frerec.samples.set_folder import UNFINISHED
from frerec.tracking.environment import provenance
from frerec.training_tools import check_machine
from frerec.verbs.folders import refuse_around, refuse_inside

log = logging.getLogger(__name__)

NUMBERS = ("fid", "kid", "precision", "recall", "lsd_db", "lsd_high_db", "detector_auc")


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Train (or take what is trained), write samples, measure them; resumes after a kill."""
    config = compose_config(config_name, overrides)
    out = Path(require(config, "out", "the folder for the samples"))
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give out= a folder")
    check_complete(config)
    if config.samples.path is not None:
        raise ConfigError(
            "samples.path: samples that are there are not generated; give out= and generator="
        )
    root = config.data.get("root")
    refuse_inside(out, Path(root) if root else None, key="out", source_key="data.root")
    reads = {"data.root": root, "generator.checkpoint": config.generator.checkpoint}
    refuse_around(out, reads, key="out")
    check_machine("32-true", config.trainer.accelerator)
    progress = bool(config.trainer.progress) and sys.stderr.isatty()
    tracker = instantiate(config.logger)
    stages = Stages(config, progress=progress)
    stages.check_generation()
    stages.check_measures()
    check_records(stages)
    key = content_hash({"samples": stages.samples_key})
    with (
        sole_writer(out, key="out"),
        tracker.run(
            f"{stages.generator_name} on {stages.data.name}",
            group="generate",
            cell_id=key,
            config={
                "config": OmegaConf.to_container(config, resolve=True),
                "environment": provenance(),
            },
            directory=Path(config.paths.runs) / "generate" / key,
            job_type="generator",
        ) as tracked,
    ):
        stages.loggers = tracked.loggers
        again = any((out / name).exists() for name in (SET_CARD, UNFINISHED))
        manifest = stages.generate(out, finished=False)
        if again and not (stages.is_command or stages.samples_are_real):  # a command's were
            for warning in stages.refuse_real_images(manifest):
                log.warning("%s", warning)
        described = describe(stages, out, manifest)
        quality = described.card["quality"]
        tracked.summary({name: quality[name] for name in NUMBERS if quality[name] is not None})
        # Never real images: not the figure of memorised pairs, and not the oracle's grid.
        grid = {} if stages.samples_are_real else {"samples": out / GRID}
        tracked.pictures({**grid, "signature": out / SIGNATURE})
    for warning in quality["warnings"]:
        log.warning("%s", warning)
    print(f"Samples: {out} ({len(described.manifest)} images)")
    print(f"Card: {out / PAGE}, {out / CARD}")
    return 0
