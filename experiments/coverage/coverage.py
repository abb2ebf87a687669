"""How often do the intervals hold the truth, and how often do the tests claim what is not?

    python experiments/coverage/coverage.py REPLICATES

Simulated studies of two arms that are equally good: binormal scores of 150 images, one or two of a
patient, with what a patient, an image, an arm and a seed add to a score; 3 or 5 seeds, whose gain
varies little or much. Of every setting, over REPLICATES studies: how often the interval of the mean
AUC over seeds and patients holds its expectation, how often that of the difference holds 0 and that
of the effect size the true effect of a drawn difference, and how often a difference is claimed
at p < 0.05 by the test over seeds, by that over patients and by both together.
Writes coverage.csv beside itself.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from frerec.evaluation.comparison import ALPHA, compare_arms
from frerec.evaluation.effect_size import paired_effect
from frerec.evaluation.hierarchical import hierarchical_interval
from frerec.evaluation.predictions import Predictions

IMAGES = 150
SEEDS = (3, 5)
PER_PATIENT = (1, 2)
SPREADS = {"small": 0.05, "medium": 0.15, "large": 0.4}  # of a seed's gain, about 1
GAIN = 1.0  # of the mean score of positives
PATIENT, IMAGE = 0.8, 0.6  # deviations that all arms and seeds see; together 1
OF_ARM, OF_SEED = 0.3, 0.4  # and those that an arm, and a seed, add for each image
EFFECT = 2.0  # true effect size of the drawn differences
COLUMNS = (
    "seeds",
    "images_a_patient",
    "seed_spread",
    "replicates",
    "mean_held",
    "difference_held",
    "effect_held",
    "claimed_over_seeds",
    "claimed_over_patients",
    "claimed_over_both",
)

Floats = NDArray[np.float64]


def expected_auc(spread: float) -> float:
    """AUC of the mean seed over all patients, by a sum over the gains."""
    gains = GAIN + spread * stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    deviation = np.sqrt(2 * (PATIENT**2 + IMAGE**2 + OF_ARM**2 + OF_SEED**2))
    return float(stats.norm.cdf(gains / deviation).mean())


def study(rng: np.random.Generator, seeds: int, each: int, spread: float) -> list[dict]:
    """Two arms' predictions by seed, of the same images."""
    patients = np.arange(IMAGES) // each
    labels = (patients % 2).astype(np.int64)
    names = np.array([f"image {k}" for k in range(IMAGES)], dtype=object)
    groups = np.array([f"patient {k}" for k in patients], dtype=object)
    common = PATIENT * rng.normal(size=IMAGES)[patients] + IMAGE * rng.normal(size=IMAGES)

    def predictions(of_arm: Floats) -> Predictions:
        gain = GAIN + spread * rng.normal()
        score = gain * labels + common + of_arm + OF_SEED * rng.normal(size=IMAGES)
        p = 1 / (1 + np.exp(-score))
        return Predictions(names, groups, labels, np.stack([1 - p, p], axis=1))

    arms = (OF_ARM * rng.normal(size=IMAGES) for _ in range(2))
    return [{seed: predictions(of_arm) for seed in range(seeds)} for of_arm in arms]


def effect_held(rng: np.random.Generator, seeds: int) -> bool:
    """Whether the interval of an effect size holds the true one."""
    drawn = dict(enumerate(rng.normal(EFFECT, 1, seeds)))
    found = paired_effect(drawn, dict.fromkeys(drawn, 0.0))
    if found is None or found.low is None or found.high is None:
        return False
    return found.low <= EFFECT <= found.high


def simulate(seeds: int, each: int, spread: float, replicates: int) -> Floats:
    """Shares of the last six columns, in their order."""
    truth = expected_auc(spread)
    counted = np.zeros(6)
    for replicate in range(replicates):
        rng = np.random.default_rng([seeds, each, round(1000 * spread), replicate])
        first, second = study(rng, seeds, each, spread)
        mean = hierarchical_interval(first, seed=replicate)
        found = compare_arms(first, second)
        if mean.low is None or mean.high is None or found is None:
            raise RuntimeError("a study without an interval: more images are needed")
        gap, p_values = found.both, (found.p_seeds, found.p_patients, found.p)
        if gap.low is None or gap.high is None:
            raise RuntimeError("a difference without an interval: more images are needed")
        counted += [
            mean.low <= truth <= mean.high,
            gap.low <= 0 <= gap.high,
            effect_held(rng, seeds),
            *(p is not None and p < ALPHA for p in p_values),
        ]
    return counted / replicates


def main(replicates: int) -> None:
    """Write coverage.csv, one row a setting."""
    file = Path(__file__).with_name("coverage.csv")
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(COLUMNS)
        for seeds in SEEDS:
            for each in PER_PATIENT:
                for spread in SPREADS.values():
                    shares = simulate(seeds, each, spread, replicates)
                    row = (seeds, each, spread, replicates, *(f"{share:.4g}" for share in shares))
                    rows.writerow(row)
                    print(dict(zip(COLUMNS, row, strict=True)), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal() or int(sys.argv[1]) < 1:
        sys.exit(__doc__)
    main(int(sys.argv[1]))
