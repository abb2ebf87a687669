"""components: who is connected, against following the edges by hand."""

import numpy as np

from frerec.data.components import connected


def by_hand(edges: np.ndarray, nodes: int) -> list[int]:
    """The reference: merge sets, number them by their first members."""
    of = list(range(nodes))
    for a, b in edges[:, :2].tolist():
        old, new = of[a], of[b]
        of = [new if code == old else code for code in of]
    numbers: dict[int, int] = {}
    return [numbers.setdefault(code, len(numbers)) for code in of]


def test_they_are_numbered_by_their_first_members() -> None:
    pairs = np.array([[4, 6, 2], [1, 4, 0], [2, 3, 1]])
    found = connected(pairs, 7)
    assert found.tolist() == [0, 1, 2, 2, 1, 3, 1]
    assert found.dtype == np.int64
    assert connected(np.zeros((0, 3), dtype=np.int64), 3).tolist() == [0, 1, 2]
    assert connected(np.zeros((0, 2), dtype=np.int64), 0).tolist() == []


def test_any_order_and_any_number_of_edges() -> None:
    rng = np.random.default_rng(0)
    for nodes in (1, 5, 40):
        edges = rng.integers(0, nodes, (nodes // 2, 2))
        assert connected(edges, nodes).tolist() == by_hand(edges, nodes)
    for times in (255, 256, 65536):  # an edge so often that a small counter runs over
        assert connected(np.tile([[2, 0]], (times, 1)), 3).tolist() == [0, 1, 0]
