"""Two arms compared on the same images: over seeds, over patients, and in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from frerec.evaluation.bootstrap import Interval
from frerec.evaluation.delong import DeLongTest, delong, delong_test
from frerec.evaluation.effect_size import Effect, paired_effect
from frerec.evaluation.hierarchical import hierarchical_difference
from frerec.evaluation.predictions import Predictions
from frerec.evaluation.statistics import NO_EVIDENCE, PairedDifference, paired_difference

ALPHA = 0.05


@dataclass(frozen=True)
class ArmComparison:
    """first - second in AUC over the seeds that both have.

    Attributes:
        seeds: mean difference, its t interval and the paired t test over seeds: would other
            trainings on these images tell the same?
        patients: DeLong's interval and test of the same mean difference over patients: would these
            trainings tell the same on other patients? The AUCs are averaged over the shared seeds,
            not the scores [ours]: an average of scores is an ensemble, whose AUC is another figure.
        both: the mean difference with its bootstrap interval over seeds and patients.
        effect: Hedges' g of the differences over seeds; None with fewer than 3, or equal ones.
    """

    seeds: PairedDifference
    patients: DeLongTest
    both: Interval
    effect: Effect | None

    @property
    def p_seeds(self) -> float | None:
        """Two-sided p value over seeds."""
        return self.seeds.p

    @property
    def p_patients(self) -> float | None:
        """Two-sided p value over patients."""
        return self.patients.p

    @property
    def p(self) -> float | None:
        """The larger of the two; None where one of them is missing.

        Intersection-union test (Berger, Technometrics 24, 1982) [ours]: a difference is claimed
        only where it holds over seeds and over patients. Each test alone claims a difference of
        equal arms too often, because it takes the other source as given: how often, and how often
        both together do, is simulated in `experiments/coverage`. Holm's correction over a family
        of comparisons is applied to this value.
        """
        if self.p_seeds is None or self.p_patients is None:
            return None
        return max(self.p_seeds, self.p_patients)


def compare_arms(
    first: Mapping[int, Predictions], second: Mapping[int, Predictions]
) -> ArmComparison | None:
    """Compare the AUC of two arms by their predictions of the same images.

    Args:
        first: seed -> predictions of the one arm.
        second: seed -> predictions of the other arm.

    Returns:
        None where they share no seed.

    Raises:
        DataError: where the images, labels or patients differ.
    """
    seeds = sorted(first.keys() & second.keys())
    of_first, of_second = ({seed: _auc(arm[seed]) for seed in seeds} for arm in (first, second))
    over_seeds = paired_difference(of_first, of_second)
    if over_seeds is None:
        return None
    return ArmComparison(
        over_seeds,
        delong_test([first[seed] for seed in seeds], [second[seed] for seed in seeds]),
        hierarchical_difference(first, second),
        paired_effect(of_first, of_second),
    )


def _auc(made: Predictions) -> float:
    return float(delong(made.labels, made.probabilities[None]).auc[0])


def verdict(
    comparison: ArmComparison,
    p_corrected: float | None,
    *,
    first: str,
    second: str,
    alpha: float = ALPHA,
) -> str:
    """Say in words what a comparison shows, no more than the corrected p value allows.

    Args:
        comparison: first - second, of `compare_arms`.
        p_corrected: its `p` after correction over the family of comparisons.
        first: name of the first arm.
        second: name of the second arm.
        alpha: level of the family-wise error.
    """
    seeds, patients = comparison.p_seeds, comparison.p_patients
    if comparison.seeds.estimate.n < 2:
        tested = "no test" if patients is None else "tested over patients, not"
        return f"one seed only: {tested} over seeds"
    if seeds is None:
        return "the same difference in every seed: a t test does not apply"
    if patients is None:
        return f"{comparison.patients.reason}: no test over patients"
    if p_corrected is not None and p_corrected < alpha:
        direction = "higher" if comparison.seeds.estimate.mean > 0 else "lower"
        return f"{first} is {direction} than {second}"
    if seeds < alpha and patients < alpha:
        return f"{NO_EVIDENCE} after correction"
    if seeds < alpha:
        return f"{NO_EVIDENCE}: it holds over seeds but not over patients"
    if patients < alpha:
        return f"{NO_EVIDENCE}: it holds over patients but not over seeds"
    return NO_EVIDENCE
