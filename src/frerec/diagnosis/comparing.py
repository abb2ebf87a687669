"""How far two sets of spectra are apart: distances, power and detectors, with their intervals."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frerec.calibration.reconstruction import HIGH_BAND
from frerec.diagnosis.measuring import EPS, Spectra
from frerec.evaluation.bootstrap import Interval, Weights, auc_interval, interval
from frerec.evaluation.spectral_detector import DETECTORS, held_out_scores, too_few
from frerec.spectral.distance import distance_of_mean_power

_SPLITS = 50


def as_figure(figure: Interval) -> dict[str, float | None]:
    """An interval as plain values; a figure that is not finite is None."""
    return {k: v if v is not None and np.isfinite(v) else None for k, v in asdict(figure).items()}


def distances(real: Spectra, synthetic: Spectra, weights: Weights | None) -> dict[str, Any]:
    """Log-spectral distances and the difference of power in the high band, in dB.

    A power below 1e-12 (-120 dB, as only constant images have it) counts as that [ours].

    Args:
        real: N images.
        synthetic: M images of the same size.
        weights: bootstrap weights of the N + M images, or None for no intervals.

    Returns:
        ``lsd_db`` and ``lsd_high_db``, see
        :func:`frerec.spectral.distance.log_spectral_distance`; ``power_high_db``, the mean over
        the rings of the high band of synthetic minus real, negative where synthetic images have
        less power. Each with value, low and high.
    """
    count = len(real)
    means = [s.power.mean(axis=0)[None] for s in (real, synthetic)]
    drawn = None
    if weights is not None:
        drawn = [
            _mean_power(real, weights[:, :count]),
            _mean_power(synthetic, weights[:, count:]),
        ]
    high = real.rho >= HIGH_BAND
    found = {}
    for name, radius in (("lsd_db", 0.0), ("lsd_high_db", HIGH_BAND)):
        value = distance_of_mean_power(
            torch.from_numpy(means[0][0]).clamp_min(EPS),
            torch.from_numpy(means[1][0]).clamp_min(EPS),
            torch.from_numpy(real.rho),
            minimum_radius=radius,
        )
        draws = None
        if drawn is not None:
            draws = np.sqrt(np.square(_decibels(*drawn)[:, real.rho >= radius]).mean(axis=1))
        found[name] = as_figure(interval(value, draws, recentre=True, minimum=0.0))
    excess = float(_decibels(*means)[0, high].mean())
    draws = None if drawn is None else _decibels(*drawn)[:, high].mean(axis=1)
    found["power_high_db"] = as_figure(interval(excess, draws))
    return found


def detectors(
    trained_on: tuple[Spectra, Spectra],
    applied_to: Mapping[str, tuple[Spectra, Spectra]],
    groups: NDArray[np.int64],
    weights: Weights | None,
) -> dict[str, dict[str, Any]]:
    """AUC of the linear and the RBF-SVM detector, grouped five-fold cross-validation.

    Args:
        trained_on: real and synthetic spectra that the detectors learn from.
        applied_to: by name, the versions of the same images that they score.
        groups: ``[N + M]``, images that stay together.
        weights: for the intervals.

    Returns:
        By name, by detector: value, low, high and ``reason``, which says why where there is no
        value.
    """
    labels = np.repeat([0, 1], [len(s) for s in trained_on])
    reason = too_few(labels, groups)
    if reason is not None:
        empty = {"value": None, "low": None, "high": None, "reason": reason}
        return {name: {kind: dict(empty) for kind in DETECTORS} for name in applied_to}
    found: dict[str, dict[str, Any]] = {name: {} for name in applied_to}
    features = {
        name: np.concatenate([s.features for s in pair]) for name, pair in applied_to.items()
    }
    learnt = np.concatenate([s.features for s in trained_on])
    for kind in DETECTORS:
        scores = held_out_scores(learnt, features, labels, groups, kind=kind)
        for name, of_images in scores.items():
            figure = as_figure(auc_interval(labels, of_images, weights))
            found[name][kind] = {**figure, "reason": None}
    return found


def halves(spectra: Spectra, groups: NDArray[np.int64], *, seed: int = 0) -> dict[str, Any]:
    """What two random halves of one set differ by, in dB: the yardstick for every distance.

    Halves are smaller than the set, so this is rather too large than too small for a comparison of
    two whole sets.

    Returns:
        Median over 50 splits by group of ``lsd_db`` and ``lsd_high_db``; None for one group.
    """
    unique, code = np.unique(groups, return_inverse=True)
    if len(unique) < 2:
        return {"lsd_db": None, "lsd_high_db": None}
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {"lsd_db": [], "lsd_high_db": []}
    for _ in range(_SPLITS):
        first = (rng.permutation(len(unique)) < len(unique) // 2)[code]
        difference = _decibels(spectra.power[first].mean(0), spectra.power[~first].mean(0))
        for name, radius in (("lsd_db", 0.0), ("lsd_high_db", HIGH_BAND)):
            found[name].append(float(np.sqrt(np.square(difference[spectra.rho >= radius]).mean())))
    return {name: float(np.median(values)) for name, values in found.items()}


def _mean_power(spectra: Spectra, weights: Weights) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = weights @ spectra.power / weights.sum(axis=1, keepdims=True)
    return mean


def _decibels(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> NDArray[np.float64]:
    """Synthetic minus real; ``[..., R]``."""
    logs = [np.log10(np.maximum(power, EPS)) for power in (synthetic, real)]
    difference: NDArray[np.float64] = 10 * (logs[0] - logs[1])
    return difference
