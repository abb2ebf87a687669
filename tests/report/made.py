"""What a made-up cell predicts."""

import numpy as np

from frerec.evaluation.predictions import Predictions

OFFSETS = {"raw": 0.0, "gda": -0.15, "frerec": 0.35, "raw_frerec": 0.1}
IMAGES = 120  # of the test and of the validation split; two of a patient


def predictions_of(
    arm: str,
    classifier: str,
    seed: int,
    split: str = "test",
    classes: int = 2,
    gain: float | None = None,
) -> Predictions:
    """Binormal scores: an arm's offset or `gain`, an image's own difficulty, noise of the seed."""
    images = np.random.default_rng([classes, len(split)])
    labels = np.arange(IMAGES) // 2 % classes
    difficulty = images.normal(0, 1, (IMAGES, classes))
    key = [ord(letter) for letter in arm + classifier + split] + [seed]
    noise = np.random.default_rng(key).normal(0, 0.4, (IMAGES, classes))
    offset = OFFSETS.get(arm, 0.0) if gain is None else gain
    logits = (0.65 + offset) * np.eye(classes)[labels] + difficulty + noise
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    names = np.array([f"{split}/{i:03d}.png" for i in range(IMAGES)], dtype=object)
    patients = np.array([f"{split}-patient-{i // 2:03d}" for i in range(IMAGES)], dtype=object)
    return Predictions(names, patients, labels.astype(np.int64), p)
