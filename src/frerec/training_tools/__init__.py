"""What the training of classifiers and of generators shares."""

from frerec.training_tools.checkpoints import AtomicCheckpointIO, load_checkpoint
from frerec.training_tools.checks import (
    check_machine,
    check_positive,
    check_seeds,
    training_device,
)
from frerec.training_tools.draws import (
    AugmentedImages,
    Draw,
    DrawSampler,
    Transform,
    derive_seed,
)
from frerec.training_tools.loop import LoopState, best_checkpoint, run_training
from frerec.training_tools.records import JsonlLogger, write_json

__all__ = [
    "AtomicCheckpointIO",
    "AugmentedImages",
    "Draw",
    "DrawSampler",
    "JsonlLogger",
    "LoopState",
    "Transform",
    "best_checkpoint",
    "check_machine",
    "check_positive",
    "check_seeds",
    "derive_seed",
    "load_checkpoint",
    "run_training",
    "training_device",
    "write_json",
]
