"""association: Cramer's V against SciPy and the formula, the AUC against scikit-learn."""

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association
from sklearn.metrics import roc_auc_score

from frerec.data.audit.association import as_dict, auc, class_aucs, cramers_v, telling

RNG = np.random.default_rng(0)


def test_cramers_v_is_bergsmas_formula_and_the_p_that_of_the_chi_square_test() -> None:
    table = np.array([[30, 12, 8], [10, 25, 15]])
    chi2, p, *_ = chi2_contingency(table, correction=False)
    n, r, c = table.sum(), 2, 3
    phi = chi2 / n - (r - 1) * (c - 1) / (n - 1)
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    found = cramers_v(table)
    assert found.v == pytest.approx(math.sqrt(phi / min(rows - 1, columns - 1)))
    assert found.p == pytest.approx(p)
    assert found.strong


def test_for_many_images_it_is_scipys() -> None:
    table = RNG.integers(5000, 20000, (4, 5))
    assert cramers_v(table).v == pytest.approx(association(table, "cramer"), abs=2e-3)


def test_it_runs_from_no_association_to_a_perfect_one() -> None:
    assert cramers_v(np.array([[50, 50], [50, 50]])).v == 0
    assert cramers_v(np.array([[50, 0], [0, 50]])).v == pytest.approx(1)
    assert not cramers_v(np.array([[10, 20, 0], [0, 0, 0]])).strong
    assert cramers_v(np.zeros((0, 0))).v == 0


def test_chance_alone_is_not_called_strong() -> None:
    tables = [RNG.multinomial(40, np.full(8, 1 / 8)).reshape(2, 4) for _ in range(300)]
    assert sum(cramers_v(table).strong for table in tables) <= 9


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


def test_the_interval_covers_the_true_area_about_as_often_as_it_says() -> None:
    shift = 1.0
    truth = 0.5 * (1 + math.erf(shift / 2))  # P(N(1, 1) > N(0, 1))
    for sign in (1, -1):
        covered = 0
        for _ in range(400):
            values = np.concatenate([RNG.normal(shift, 1, 40), RNG.normal(0, 1, 80)])
            found = auc(sign * values, np.arange(120) < 40)
            expected = truth if sign == 1 else 1 - truth
            covered += found.low <= expected <= found.high
        assert 0.92 <= covered / 400 <= 0.98


def test_turning_the_question_round_turns_the_answer_round() -> None:
    member = np.arange(60) < 25
    values = RNG.normal(size=60) + member
    one, other = auc(values, member), auc(values, ~member)
    assert (other.value, other.low, other.high) == pytest.approx(
        (1 - one.value, 1 - one.high, 1 - one.low)
    )


def test_nobody_to_compare_with_is_no_area() -> None:
    assert auc(np.arange(3.0), np.zeros(3, dtype=bool)) is None
    assert auc(np.full(3, np.nan), np.array([True, False, True])) is None
    assert as_dict(None) is None


def test_only_large_and_certain_areas_are_telling() -> None:
    labels = np.repeat([0, 1, 2], 200)
    values = RNG.normal(size=600) + np.array([0, 0.3, 3])[labels]
    found = telling(class_aucs(values, labels, ["a", "b", "c"]))
    assert [name for name, _ in found] == ["c", "a"]
    few = telling(class_aucs(np.array([1.0, 2, 3]), np.array([0, 1, 1]), ["a", "b"]))
    assert [name for name, area in few if not 0 < area.value < 1] == [name for name, _ in few]
    assert telling(class_aucs(np.ones(600), labels, ["a", "b", "c"])) == []
