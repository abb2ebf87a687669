"""Who is connected with whom."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def connected(edges: np.ndarray, nodes: int) -> np.ndarray:
    """Codes int64 [nodes]: equal for nodes that edges connect, numbered by their first members.

    Args:
        edges: int64 [M, 2 or more]; the first two columns are positions of nodes, in any order and
            any number of times.
        nodes: how many there are.
    """
    start, end = edges[:, 0], edges[:, 1]
    graph = coo_array((np.ones(len(edges), dtype=bool), (start, end)), (nodes, nodes))
    _, component = connected_components(graph, directed=False)
    _, first, code = np.unique(component, return_index=True, return_inverse=True)
    order: np.ndarray = np.argsort(np.argsort(first)).astype(np.int64)[code]
    return order
