"""What of a calibrator's settings shapes its fit, and what only its use."""

from pathlib import Path
from typing import Any

from frerec.calibration import Calibrator, FreRec, load_calibrator
from frerec.training_tools import training_device


def identity_of_fit(config: dict[str, Any]) -> dict[str, Any]:
    """A calibrator's settings without what does not change its fit.

    Where and how it is trained, and how it is used: ablations share one fit. RHM's precision at
    inference is of use alone: the fit validates in float32 whatever it is.
    """
    kept = {k: v for k, v in config.items() if k not in ("stages", "unseen")}
    for part, others in (
        ("training", ("accelerator", "num_workers")),
        ("rhm", ("inference_precision",)),
    ):
        if part in kept:
            kept[part] = {k: v for k, v in kept[part].items() if k not in others}
    return kept


def settings_of_use(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that one fit may be used with in different ways: of FreRec only."""
    found = {key: config[key] for key in ("stages", "unseen") if key in config}
    precision = config.get("rhm", {}).get("inference_precision")
    return found | ({} if precision is None else {"inference_precision": precision})


def load_for_use(folder: Path, settings: dict[str, Any], accelerator: str) -> Calibrator:
    """The fitted calibrator with these settings of use, where the trainer runs."""
    calibrator = load_calibrator(folder)
    if isinstance(calibrator, FreRec):
        calibrator.use(**settings)
    return calibrator.to(training_device(accelerator))


def remove_checkpoints(folder: Path) -> None:
    """Delete what a training kept for resuming, once the weights are saved.

    ``last.ckpt`` goes first: a resume begins with it, and needs the best one beside it.
    """
    for inner in (folder, *folder.glob("fold-*")):
        (inner / "last.ckpt").unlink(missing_ok=True)
        for checkpoint in inner.glob("best-*.ckpt"):
            checkpoint.unlink()
