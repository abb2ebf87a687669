"""association: Cramer's V and Fisher's test against SciPy and the formula; warnings by chance."""

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact
from scipy.stats.contingency import association as scipys

from frerec.data.audit.association import Association, associations, cramers_v, differences

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    globals()["RNG"] = np.random.default_rng(0)


def association(table: object) -> Association:
    return associations([np.array(table)])[0]


def test_cramers_v_is_bergsmas_formula() -> None:
    table = np.array([[30, 12, 8], [10, 25, 15]])
    chi2 = chi2_contingency(table, correction=False).statistic
    n, r, c = table.sum(), 2, 3
    phi = chi2 / n - (r - 1) * (c - 1) / (n - 1)
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    assert cramers_v(table) == pytest.approx(math.sqrt(phi / min(rows - 1, columns - 1)))


def test_for_many_images_it_is_scipys() -> None:
    table = RNG.integers(5000, 20000, (4, 5))
    assert cramers_v(table) == pytest.approx(scipys(table, "cramer"), abs=2e-3)


def test_it_runs_from_no_association_to_a_perfect_one() -> None:
    assert cramers_v(np.array([[50, 50], [50, 50]])) == 0
    assert cramers_v(np.array([[50, 0], [0, 50]])) == pytest.approx(1)
    assert not association([[10, 20, 0], [0, 0, 0]]).strong
    nothing = association(np.zeros((0, 0)))
    assert (nothing.v, nothing.p, nothing.strong) == (0, 1, False)


def test_a_groups_p_is_fishers_for_its_most_telling_value_times_their_number_and_holms() -> None:
    tables = [np.array([[3, 9, 0], [20, 4, 6], [7, 8, 1]]), np.array([[5, 1], [2, 9], [4, 4]])]
    raw = []
    for table in tables:
        for row in table:
            cells = np.stack([[row, row.sum() - row], [table.sum(axis=0) - row] * 2])
            cells[1, 1] = table.sum() - row.sum() - cells[1, 0]
            one_sided = [
                fisher_exact(cells[:, :, value], alternative=side).pvalue
                for value in range(len(row))
                for side in ("less", "greater")
            ]
            raw.append(min(1, 2 * min(one_sided) * len(row)))
    order = np.argsort(raw)
    expected = np.empty(6)
    expected[order] = np.maximum.accumulate(np.array(raw)[order] * np.arange(6, 0, -1)).clip(max=1)
    found = [group.p for each in associations(tables) for group in each.groups]
    assert found == pytest.approx(expected.tolist())
    assert [each.p for each in associations(tables)] == pytest.approx(
        [expected[:3].min(), expected[3:].min()]
    )


def test_the_distance_of_a_group_is_total_variation_from_all_others() -> None:
    table = np.array([[6, 2, 2], [5, 5, 10], [0, 0, 0]])
    inside, outside = np.array([0.6, 0.2, 0.2]), np.array([0.25, 0.25, 0.5])
    np.testing.assert_allclose(differences(table)[0], inside - outside)
    np.testing.assert_allclose(differences(table)[2], 0)
    distance = max(  # the largest difference of any set of values
        (inside - outside)[list(chosen)].sum() for chosen in [(0,), (1,), (2,), (0, 1), (0, 2)]
    )
    assert [g.distance for g in association(table).groups] == pytest.approx([distance] * 2 + [0])


def test_a_rare_class_of_one_format_is_strong_though_v_is_small() -> None:
    """As in the chest X-rays of the NIH: 2.5 % positive, these all JPEG, the others by half."""
    rare = association([[0, 2500], [48750, 48750]])
    assert rare.v == pytest.approx(0.156, abs=1e-3)
    assert rare.strong
    assert [g.distance for g in rare.groups] == pytest.approx([0.5, 0.5])
    of_fourteen = association([[0, 500], *[[4000, 4100]] * 13])
    assert of_fourteen.v < 0.2
    assert [g.strong for g in of_fourteen.groups] == [True] + [False] * 13
    spread = association([[0] * 5 + [40] * 5, [1000] * 10])  # no value tells much alone
    assert spread.groups[0].strong


def test_small_differences_of_many_images_are_not_strong() -> None:
    small = association([[2500, 2500], [42000, 58000]])
    assert small.p < 1e-6
    assert not small.strong


def test_few_images_of_a_rare_class_are_not_strong_by_one_rare_value() -> None:
    table = np.array([[1, 1, 0, 0], [0, 960, 20, 20]])
    assert chi2_contingency(table).pvalue < 1e-6  # which is why it is not asked
    assert not association(table).strong
    assert association([[6, 1, 0, 0], [0, 960, 20, 20]]).strong


@pytest.mark.parametrize(
    "sizes", [(5, 5), (20, 20), (3, 20), (2, 1000), (3, 20, 40, 200), (6,) * 14]
)
@pytest.mark.parametrize("values", [2, 10])
def test_chance_alone_is_hardly_ever_called_strong(sizes: tuple[int, ...], values: int) -> None:
    """Six categories that have nothing to do with the class: one warning in 100 sets at most."""
    rng = np.random.default_rng(0)
    warned = 0
    for _ in range(100):
        shares = rng.dirichlet(np.full(values, 0.3), 6)
        tables = [np.array([rng.multinomial(n, share) for n in sizes]) for share in shares]
        warned += any(found.strong for found in associations(tables))
    assert warned <= 3
