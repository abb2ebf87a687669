"""Train any generator of the contract, resumably, and leave its weights and its card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import Logger
from torch import Tensor
from torch.utils.data import Dataset

from frerec.errors import ConfigError, DataError
from frerec.generators.base import CARD
from frerec.generators.grids import SampleGrids
from frerec.training_tools import (
    AugmentedImages,
    Transform,
    check_positive,
    run_training,
    write_json,
)

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")  # the average of the weights needs float32

if TYPE_CHECKING:
    from frerec.generators.learned import LearnedGenerator


def fit_generator(
    generator: LearnedGenerator,
    images: Dataset[tuple[Tensor, int]],
    *,
    directory: Path,
    steps: int,
    batch_size: int,
    seed: int,
    precision: str = "32-true",
    accelerator: str = "auto",
    progress: bool = False,
    num_workers: int = 0,
    checkpoint_every: int = 100,
    grid_every: int | None = None,
    gradient_clip: float | None = 1.0,
    transform: Transform | None = None,
    loggers: Sequence[Logger] = (),
) -> dict[str, Any]:
    """Train on labelled images and save the generator into ``directory``.

    Killed and called again with the same arguments, it goes on from the last checkpoint, at most
    ``checkpoint_every`` steps back; when it had finished, it only loads. The generator's
    ``sampling_arguments``, ``checkpoint_every`` and ``grid_every`` shape no weight and may differ.

    Args:
        generator: Changed in place; ends in evaluation mode.
        images: Yields (float32 [C, H, W] in [0, 1], label); training images only.
        directory: Gets ``weights.safetensors``, ``config.json``, ``card.json``, ``log.jsonl``.
        steps: Optimiser steps.
        batch_size: Images a step.
        seed: Seed of the order, of the augmentation and of the noise.
        precision: "32-true", "16-mixed" or "bf16-mixed".
        accelerator: Lightning's name.
        progress: Show a progress bar.
        num_workers: Processes that read images.
        checkpoint_every: Steps between two checkpoints.
        grid_every: Steps between two grids of samples, ``grids/step-0000500.png`` in ``directory``
            and an image of the loggers that take images; counted in whole checkpoints, None for no
            grid.
        gradient_clip: Largest norm of the gradient, or None; a generator with manual optimisation
            is told it by its attribute of that name, and clips itself.
        transform: Augmentation; see :class:`frerec.training_tools.AugmentedImages`.
        loggers: Further loggers besides ``log.jsonl``.

    Returns:
        The card: generator, arguments, images, steps, batch_size, seed, seconds, parameters and
        the last training losses.

    Raises:
        ConfigError: If a number is out of range or ``directory`` holds another training.
        DataError: If there is no image, or none of some class.
    """
    check_training(
        steps=steps,
        batch_size=batch_size,
        precision=precision,
        checkpoint_every=checkpoint_every,
        grid_every=grid_every,
    )
    asked = {
        "generator": type(generator).__name__,
        "arguments": json.loads(json.dumps(dict(generator.hparams))),
        "images": len(images),  # type: ignore[arg-type]
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
    }
    path = directory / CARD
    if path.exists():
        return _finished(generator, path, asked)
    if not generator.automatic_optimization:
        generator.gradient_clip = gradient_clip  # type: ignore[assignment]
    grids = []
    if grid_every is not None:
        grids.append(SampleGrids(directory, every=grid_every, period=checkpoint_every))
    state = run_training(
        generator,
        AugmentedImages(images, transform, seed),
        None,
        directory=directory,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        eval_every=checkpoint_every,
        num_workers=num_workers,
        precision=precision,
        accelerator=accelerator,
        gradient_clip=gradient_clip if generator.automatic_optimization else None,
        settings={"gradient_clip": gradient_clip},
        callbacks=grids,
        loggers=loggers,
        progress=progress,
        title=type(generator).__name__,
    )
    generator.eval()
    generator.conclude(images, batch_size=batch_size)
    generator.save(directory)
    card = {
        **asked,
        "seconds": round(state.seconds, 2),
        "parameters": sum(p.numel() for p in generator.network.parameters()),
        "final": {name: float(f"{value:.6g}") for name, value in state.values},
    }
    write_json(path, card)
    (directory / "last.ckpt").unlink()  # served to resume only
    return card


def check_training(
    *,
    steps: int,
    batch_size: int,
    precision: str = "32-true",
    checkpoint_every: int = 100,
    grid_every: int | None = None,
    **_: Any,
) -> None:
    """Refuse settings of :func:`fit_generator` that are out of range, before anything is made.

    Raises:
        ConfigError: Names the key.
    """
    check_positive(steps=steps, batch_size=batch_size, checkpoint_every=checkpoint_every)
    if grid_every is not None:
        check_positive(grid_every=grid_every)
    if precision not in PRECISIONS:
        raise ConfigError(f"precision={precision}: expected one of {', '.join(PRECISIONS)}")


def _finished(generator: LearnedGenerator, path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Load the generator that an earlier call finished, if it is the one that is asked for."""
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        ignored = generator.sampling_arguments
        found, wanted = _without(card, ignored), _without(asked, ignored)
        differing = [key for key, value in wanted.items() if found.get(key) != value]
    except (json.JSONDecodeError, AttributeError):
        raise DataError(f"{path}: damaged; delete that folder to train anew") from None
    if differing:
        raise ConfigError(
            f"{path.parent}: holds a generator trained with another {' and '.join(differing)};"
            " delete that folder or name another one"
        )
    generator.load_state_dict(type(generator).load(path.parent).state_dict())
    generator.eval()
    return card


def _without(card: dict[str, Any], ignored: Sequence[str]) -> dict[str, Any]:
    """A card less these of the generator's arguments."""
    arguments = card.get("arguments") or {}
    return card | {"arguments": {k: v for k, v in arguments.items() if k not in ignored}}
