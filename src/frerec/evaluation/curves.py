"""What figures of classifiers draw: mean ROC curves with bands, and reliability diagrams."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from frerec.evaluation.bootstrap import LEVEL, group_weights
from frerec.evaluation.calibration_bins import bin_probabilities
from frerec.evaluation.hierarchical import seed_deviations
from frerec.evaluation.metrics import ECE_BINS, top_confidence
from frerec.evaluation.predictions import Predictions, check_same_images

BySeed = Mapping[int, Predictions]
Floats = NDArray[np.float64]

GRID = 201  # [ours] false-positive rates at which curves are drawn
BAND_DRAWS = 300  # [ours] bootstrap samples of a band: it is read by eye


@dataclass(frozen=True, eq=False)
class RocBand:
    """Mean ROC curve and its pointwise 95 % band.

    Attributes:
        fpr: float64 ``[G]``, from 0 to 1 in equal steps: false-positive rate, 1 - specificity.
        mean: float64 ``[G]`` in [0, 1]: sensitivity, averaged over seeds (and over the classes
            against the rest, where there are more than two).
        low: float64 ``[G]``, None where there is no band.
        high: as `low`.
        covers: what the band tells: "seeds and patients", "patients" (one seed) or "" for no band.
    """

    fpr: Floats
    mean: Floats
    low: Floats | None
    high: Floats | None
    covers: str


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often what was predicted came true, by predicted probability.

    Attributes:
        edges: float64 ``[M + 1]`` from 0 to 1.
        counts: float64 ``[M]``, images in each bin, mean over the seeds.
        confidence: float64 ``[M]``, mean predicted probability; NaN in an empty bin, as below.
        accuracy: float64 ``[M]``, share for which it came true.
        low: float64 ``[M]``, end of Wilson's 95 % interval of the share.
        high: as `low`.
        error: calibration error, mean over the seeds: the metric ``ece``.
    """

    edges: Floats
    counts: Floats
    confidence: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    error: float


def roc_band(by_seed: BySeed, *, draws: int = BAND_DRAWS, seed: int = 0) -> RocBand:
    """Mean ROC curve by vertical averaging (Fawcett, 2006) with a band from the bootstrap.

    Args:
        by_seed: seed -> its predictions of the same images.
        draws: bootstrap samples, of seeds and patients as in `frerec.evaluation.hierarchical`.
        seed: of the draw.

    Raises:
        DataError: for no seed at all, or where the seeds did not score the same images.
    """
    made = [by_seed[s] for s in sorted(by_seed)]
    check_same_images(made)
    labels = made[0].labels
    fpr = np.linspace(0, 1, GRID)

    def curves(weights: Floats) -> Floats:
        return np.stack([_macro_roc(labels, p.probabilities, weights, fpr) for p in made])

    of_seeds = curves(np.ones((1, len(labels))))[:, 0]
    mean = of_seeds.mean(axis=0)
    weights = group_weights(made[0].codes, labels, draws=draws, seed=seed)
    if weights is None:
        return RocBand(fpr, mean, None, None, "")
    drawn = curves(weights).mean(axis=0)
    several = len(made) > 1
    if several:
        drawn = drawn + seed_deviations(of_seeds, draws=draws, seed=seed)
    tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    low, high = np.percentile(drawn, tails, axis=0).clip(0, 1)
    return RocBand(fpr, mean, low, high, "seeds and patients" if several else "patients")


def reliability(by_seed: BySeed, bins: int = ECE_BINS) -> Reliability:
    """Reliability diagram of an arm, of the probability of the predicted class.

    Args:
        by_seed: seed -> its predictions of the same images.
        bins: of equal width, those of the calibration error.

    Returns:
        Shares over all seeds. Seeds score the same images, which do not become more evidence by
        that: Wilson's interval (1927) takes the mean count over the seeds [ours].

    Raises:
        DataError: for no seed at all, or where the seeds did not score the same images.
    """
    made = [by_seed[s] for s in sorted(by_seed)]
    check_same_images(made)
    found = [bin_probabilities(*top_confidence(p.labels, p.probabilities), bins) for p in made]
    counts = np.mean([b.counts for b in found], axis=0)
    sizes = np.where(counts > 0, counts, np.nan)
    confidence = np.mean([b.predicted for b in found], axis=0) / sizes
    accuracy = np.mean([b.observed for b in found], axis=0) / sizes
    low, high = wilson(accuracy, sizes)
    error = float(np.mean([b.error for b in found]))
    return Reliability(found[0].edges, counts, confidence, accuracy, low, high, error)


def wilson(share: Floats, count: Floats) -> tuple[Floats, Floats]:
    """Wilson's 95 % score interval of shares of counts (JASA 22, 1927), in [0, 1]."""
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def _macro_roc(
    labels: NDArray[np.int64], probabilities: Floats, weights: Floats, fpr: Floats
) -> Floats:
    """Sensitivity ``[B, G]`` at the rates `fpr`, for each row of the weights ``[B, N]``."""
    classes = range(probabilities.shape[1]) if probabilities.shape[1] > 2 else (1,)
    curves = [_roc(labels == c, probabilities[:, c], weights, fpr) for c in classes]
    mean: Floats = np.mean(curves, axis=0)
    return mean


def _roc(positive: NDArray[np.bool_], scores: Floats, weights: Floats, fpr: Floats) -> Floats:
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(scores[order])), len(order) - 1]  # last of equal scores
    rates = []
    for side in (~positive, positive):
        reached = (weights * side)[:, order].cumsum(axis=1)[:, ends]
        rates.append(np.pad(reached / reached[:, -1:], ((0, 0), (1, 0))))
    # Where the curve rises straight up, np.interp takes the upper end.
    found = [np.interp(fpr, x, y) for x, y in zip(*rates, strict=True)]
    return np.stack(found)
