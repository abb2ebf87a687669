"""Predictions made up for the tests of statistics."""

import numpy as np

from frerec.evaluation.predictions import Predictions


def predictions(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None
) -> Predictions:
    """Of scores ``[N]`` for class 1 (through a sigmoid) or logits ``[N, C]``."""
    logits = np.stack([np.zeros_like(scores), scores], 1) if scores.ndim == 1 else scores
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    names = np.array([f"image {k}" for k in range(len(labels))], dtype=object)
    return Predictions(
        names,
        names if groups is None else np.array([f"patient {g}" for g in groups], dtype=object),
        np.asarray(labels, dtype=np.int64),
        weights / weights.sum(axis=1, keepdims=True),
    )


def arm(
    seeds: int,
    *,
    n: int = 120,
    classes: int = 2,
    gain: float = 1.0,
    spread: float = 0.1,
    noise: float = 0.3,
    of: int = 0,
) -> dict[int, Predictions]:
    """An arm's predictions by seed, of the same patients.

    `gain` says how well it knows the classes, `spread` how much that varies over the seeds, `noise`
    how much a seed's view of a patient does; `of` is the arm's own number, its view of a patient.
    """
    patients = np.random.default_rng(99)
    labels = np.arange(n) % classes
    content = patients.normal(size=(n, classes))
    content += 0.2 * np.random.default_rng([of]).normal(size=(n, classes))
    found = {}
    for seed in range(seeds):
        rng = np.random.default_rng([of, seed])
        shift = gain + spread * rng.normal()
        logits = shift * np.eye(classes)[labels] + content + noise * rng.normal(size=(n, classes))
        found[seed] = predictions(labels, logits)
    return found
