"""areas: against scikit-learn, SciPy and Hanley and McNeil; how often chance tells a class."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from frerec.data.audit.areas import as_dict, auc, class_aucs, telling

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    globals()["RNG"] = np.random.default_rng(0)


SIZES = [(2, 2), (3, 3), (2, 50), (3, 20), (10, 30), (3, 4000), (4, 6, 20)]


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.7])
def test_the_area_is_scikit_learns_ties_and_missing_values_included(shift: float) -> None:
    member = RNG.random(300) < 0.3
    values = np.round(RNG.normal(size=300) + shift * member, 1)
    found = auc(values, member)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(member, values))
    assert found.low < found.value < found.high
    gaps = np.where(np.arange(300) % 7, values, np.nan)
    known = ~np.isnan(gaps)
    expected = roc_auc_score(member[known], values[known])
    assert auc(gaps, member).value == pytest.approx(expected)


def with_area(area: float, n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Values of n members and n others, and who is one; n^2 times the area is a whole number."""
    wrong = round((1 - area) * n * n)
    passed = np.array([wrong // n + (k < wrong % n) for k in range(n)])
    return np.concatenate([np.arange(n), passed - 0.5]), np.arange(2 * n) < n


@pytest.mark.parametrize("area", [0.0, 0.03, 0.5, 0.64, 0.92, 1.0])
def test_the_ends_are_as_far_as_hanley_and_mcneils_error_there(area: float) -> None:
    """For groups of equal size, Newcombe's method 5 has the variance of 1982, but at the end."""
    n = 10
    found = auc(*with_area(area, n))
    assert found.value == pytest.approx(area)
    assert (found.low == 0) == (area == 0)
    assert (found.high == 1) == (area == 1)
    for end in {found.low, found.high} - {0, 1}:
        first, second = end / (2 - end), 2 * end**2 / (1 + end)
        variance = end * (1 - end) + (n - 1) * (first + second - 2 * end**2)
        assert abs(area - end) == pytest.approx(norm.ppf(0.975) * math.sqrt(variance) / n, rel=1e-6)


def test_a_perfect_area_of_few_images_is_not_certain() -> None:
    for members, others, most in [(2, 2, 0.5), (3, 3, 0.6), (2, 50, 0.7), (40, 40, 0.96)]:
        values = np.arange(float(members + others))
        found = auc(values, values >= others)
        assert (found.value, found.high) == (1, 1)
        assert 0.3 < found.low < most
        turned = auc(-values, values >= others)
        assert (turned.value, turned.low, turned.high) == pytest.approx((0, 0, 1 - found.low))


@pytest.mark.parametrize(("members", "others"), [(5, 5), (5, 50), (40, 80)])
@pytest.mark.parametrize("shift", [-1.0, 1.0, 2.5])
def test_the_interval_covers_the_true_area_about_as_often_as_it_says(
    members: int, others: int, shift: float
) -> None:
    rng = np.random.default_rng(1)
    truth = 0.5 * (1 + math.erf(shift / 2))  # P(N(shift, 1) > N(0, 1))
    member = np.arange(members + others) < members
    found = [auc(rng.normal(size=len(member)) + shift * member, member) for _ in range(300)]
    assert 0.92 <= np.mean([area.low <= truth <= area.high for area in found]) <= 0.995


def test_the_p_value_is_exact_for_few_and_scipys_for_many() -> None:
    values = RNG.random(40)
    member = np.arange(40) < 3
    exact = mannwhitneyu(values[member], values[~member], method="exact").pvalue
    assert auc(values, member).p == pytest.approx(exact)
    values, member = RNG.normal(size=1000), np.arange(1000) < 60
    values[member] += 0.2
    expected = mannwhitneyu(values[member], values[~member], method="asymptotic").pvalue
    assert auc(values, member).p == pytest.approx(expected)


def test_ties_make_the_p_value_no_smaller_than_it_is() -> None:
    """Two of three members have what one in ten of the others has: chance, 1 in 40."""
    values = np.concatenate([[1, 1, 0], np.zeros(18), [1, 1]])
    member = np.arange(23) < 3
    usual = mannwhitneyu(values[member], values[~member], method="asymptotic").pvalue
    draws = np.random.default_rng(0).permuted(np.tile(values, (20_000, 1)), axis=1)
    truth = np.mean(draws[:, :3].sum(axis=1) >= 2)
    assert usual < truth < auc(values, member).p


def test_turning_the_question_round_turns_the_answer_round() -> None:
    member = np.arange(60) < 25
    values = RNG.normal(size=60) + member
    one, other = auc(values, member), auc(values, ~member)
    assert (other.value, other.low, other.high, other.p) == pytest.approx(
        (1 - one.value, 1 - one.high, 1 - one.low, one.p)
    )


def test_nobody_to_compare_with_is_no_area() -> None:
    assert auc(np.arange(3.0), np.zeros(3, dtype=bool)) is None
    assert auc(np.full(3, np.nan), np.array([True, False, True])) is None
    assert as_dict(None) is None


def test_p_values_are_corrected_for_all_numbers_and_classes_together() -> None:
    labels = np.repeat([0, 1, 2], 30)
    numbers = {
        "x": RNG.normal(size=90) + labels,
        "y": RNG.normal(size=90),
        "z": np.full(90, np.nan),
    }
    found = class_aucs(numbers, labels, ["a", "b", "c"])
    assert list(found) == ["x", "y", "z"]
    assert list(found["z"].values()) == [None] * 3
    raw = [auc(numbers[key], labels == k).p for key in "xy" for k in range(3)]
    best = int(np.argmin(raw))
    assert best in (0, 2)
    assert found["x"]["ac"[best // 2]].p == pytest.approx(6 * min(raw))
    corrected = [found[key][name].p for key in "xy" for name in "abc"]
    assert all(c >= r for c, r in zip(corrected, raw, strict=True))


def test_only_large_and_certain_areas_are_telling() -> None:
    labels = np.repeat([0, 1, 2], 200)
    values = np.random.default_rng(0).normal(size=600) + np.array([0, 1.2, 3])[labels]
    found = class_aucs({"x": values, "flat": np.ones(600)}, labels, ["a", "b", "c"])
    assert [name for name, _ in telling(found["x"])] == ["c", "a"]
    assert telling(found["flat"]) == []
    rare = class_aucs({"x": np.arange(5000.0)}, (np.arange(5000) > 4994).astype(int), ["a", "b"])
    assert [name for name, _ in telling(rare["x"])] == ["a", "b"]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", ["continuous", "rare", "levels"])
def test_chance_alone_hardly_ever_tells_a_class(sizes: tuple[int, ...], kind: str) -> None:
    """Three numbers that have nothing to do with the class: one warning in 100 sets at most."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    make = {
        "continuous": lambda: rng.random(len(labels)),
        "rare": lambda: (rng.random(len(labels)) < 0.1).astype(float),
        "levels": lambda: np.floor(4 * rng.random(len(labels))),
    }[kind]
    names = [str(k) for k in range(len(sizes))]
    told = 0
    for _ in range(60):
        found = class_aucs({key: make() for key in "abc"}, labels, names)
        told += any(telling(areas) for areas in found.values())
    assert told <= 2
