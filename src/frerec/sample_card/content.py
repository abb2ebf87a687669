"""The card of a set of samples: plain values, every one from the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frerec.tracking.environment import hardware, package_versions

FORMAT = 1


def make_card(
    *,
    generator: str,
    kind: str,
    settings: Mapping[str, Any],
    trained_on: Mapping[str, Any],
    training: Mapping[str, Any],
    counts: Mapping[str, int],
    seed: int,
    excluded: Mapping[str, int],
    quality: Mapping[str, Any] | None,
    memorisation: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Put the card together.

    Args:
        generator: Its name in the configuration.
        kind: Its class.
        settings: Its arguments.
        trained_on: Data set, classes and counts; empty where it is not known.
        training: Steps, seed, seconds and the like; empty where nothing was trained.
        counts: Samples by class, those left out not counted.
        seed: Of the samples.
        excluded: Samples left out as memorised, by class; empty where nobody asked.
        quality: Distances to the real training images, or None where they were not measured.
        memorisation: What the search for copies found, or None.

    Returns:
        What ``card.json`` holds.
    """
    return {
        "format": FORMAT,
        "generator": generator,
        "kind": kind,
        "settings": dict(settings),
        "trained_on": dict(trained_on),
        "training": dict(training),
        "samples": {"counts": dict(counts), "seed": seed, "excluded": dict(excluded)},
        "quality": None if quality is None else dict(quality),
        "memorisation": None if memorisation is None else dict(memorisation),
        "versions": package_versions(),
        "hardware": hardware(),
    }
