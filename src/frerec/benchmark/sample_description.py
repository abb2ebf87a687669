"""What ``frerec generate`` leaves beside the samples: their card, figures, and what was copied."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frerec.benchmark.calibrated import STACK_FILE
from frerec.benchmark.checkpoint import TRAINED_ON, read_record
from frerec.benchmark.stages import Stages
from frerec.data.manifest import Manifest
from frerec.data.stack import ImageStack
from frerec.errors import DataError
from frerec.generators.base import CARD as TRAINING_CARD
from frerec.generators.base import CONFIG, WEIGHTS
from frerec.generators.grids import GRIDS, write_grid
from frerec.sample_card.content import make_card
from frerec.sample_card.grid import stack_grid
from frerec.sample_card.page import write_page
from frerec.sample_card.signature import measure_spectra, save_spectra, write_signature
from frerec.samples.commanded import give_up
from frerec.samples.memorisation import Memorisation
from frerec.samples.memorisation_figure import write_memorisation_figure
from frerec.samples.set_folder import DESCRIPTION, finish, leave_out
from frerec.training_tools import write_json

CARD, PAGE = "card.json", "card.md"
GRID, SIGNATURE, COPIES = "samples.png", "signature.png", "memorisation.png"
SPECTRA = "signature.npz"  # the numbers of that figure
GENERATOR = "generator"
_RECORDS = {"trained_on": TRAINED_ON, "training": TRAINING_CARD}  # beside a generator's weights


@dataclass(frozen=True)
class Described:
    """What was written beside the samples."""

    card: dict[str, Any]
    manifest: Manifest


def describe(stages: Stages, folder: Path, manifest: Manifest) -> Described:
    """Measure the samples in ``folder`` against the training images and write card and figures.

    With ``samples.exclude_memorised`` the images that look like training images are left out of the
    manifest. Those of a generator of this package are moved to ``folder/memorised``; what a command
    made stays where it is. So do samples that cannot be read, with ``data.on_error=skip``; the
    manifest does not list them. At the end the set is finished. What described an earlier set goes
    first.

    Args:
        stages: Of the configuration that made the samples.
        folder: That of ``frerec generate``.
        manifest: All images that were made.

    Raises:
        DataError: If a sample cannot be read, unless ``data.on_error=skip``; a command is then run
            again by the next call.
    """
    for name in DESCRIPTION:
        (folder / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as work:
        every = manifest
        try:
            stack, manifest = stages.decode(every, Path(work) / STACK_FILE)
        except DataError:
            if stages.is_command:
                give_up(folder)
            raise
        unread = every.table[~every.table["image"].isin(manifest.table["image"])]
        flagged: list[str] = []
        copies = stages.find_memorised(stack)
        excluded: dict[str, int] = {}
        if stages.config.samples.exclude_memorised:
            kept, excluded = stages.without_memorised(manifest, copies.flagged)
            flagged = manifest.table["image"][copies.flagged].tolist()
            manifest, shown = manifest.take(kept), stack.select(kept)
        else:
            shown = stack
        leave_out(folder, flagged, move=not stages.is_command, unreadable=list(unread["image"]))
        quality = stages.measure_quality(shown, manifest)
        _draw(stages, folder, manifest, shown, stack, copies)
    card = make_card(
        generator=stages.generator_name,
        kind=stages.generator_class.__name__,
        settings=stages.generator_settings,
        **_training(stages),
        counts={name: int((manifest.table["label"] == name).sum()) for name in stages.data.classes},
        seed=int(stages.config.samples.seed),
        excluded=excluded,
        quality=quality.to_dict(),
        memorisation=copies.summary(),
    )
    if not stages.is_command:
        _keep_generator(stages.generator, folder / GENERATOR)
    write_page(card, folder / PAGE, grid=GRID, signature=SIGNATURE)
    write_json(folder / CARD, card)
    unreadable = {str(name): int(n) for name, n in unread["label"].value_counts().items()}
    finish(folder, excluded=excluded, unreadable=unreadable or None)
    return Described(card, manifest)


def check_records(stages: Stages) -> None:
    """Read what lies beside a checkpoint, before it is sampled.

    Raises:
        DataError: If a file is damaged.
    """
    if stages.checkpoint is not None:
        for name in _RECORDS.values():
            read_record(stages.checkpoint / name)


def _draw(
    stages: Stages,
    folder: Path,
    manifest: Manifest,
    shown: ImageStack,
    drawn: ImageStack,
    copies: Memorisation,
) -> None:
    write_grid(stack_grid(shown, manifest.label_indices(), len(manifest.classes)), folder / GRID)
    rows = stages.data.rows("train")
    real = stages.data.stack.select(rows)
    spectra = measure_spectra(real), measure_spectra(shown)
    save_spectra(*spectra, folder / SPECTRA)
    write_signature(*spectra, folder / SIGNATURE, name=stages.generator_name)
    write_memorisation_figure(copies, drawn, real, folder / COPIES)
    copies.save(folder)


def _training(stages: Stages) -> dict[str, dict[str, Any]]:
    """What the generator learned from and how, as far as its folder says."""
    if stages.is_command:
        return {"trained_on": {}, "training": {}}
    found = {key: read_record(stages.generator / name) for key, name in _RECORDS.items()}
    found["trained_on"].pop("fingerprint", None)
    for key in ("generator", "arguments"):
        found["training"].pop(key, None)
    return found


def _keep_generator(source: Path, target: Path) -> None:
    """Copy weights, cards and grids, so that the samples' folder needs no store."""
    if source.resolve() == target.resolve():
        return
    target.mkdir(exist_ok=True)
    for name in (WEIGHTS, CONFIG, TRAINING_CARD, TRAINED_ON):
        if (source / name).is_file():
            partial = target / f"{name}.partial"
            shutil.copyfile(source / name, partial)
            partial.replace(target / name)
    if (source / GRIDS).is_dir():
        shutil.copytree(source / GRIDS, target / GRIDS, dirs_exist_ok=True)
