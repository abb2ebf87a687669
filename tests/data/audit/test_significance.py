"""significance: Holm's correction, by hand and by its definition."""

import numpy as np
import pytest

from frerec.data.audit.significance import holm


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_rejects_what_stepping_down_rejects() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.random(7) ** 4
        rejected = np.zeros(7, dtype=bool)
        for step, position in enumerate(np.argsort(p)):
            if p[position] >= 0.05 / (7 - step):
                break
            rejected[position] = True
        assert (np.array(holm(p.tolist())) < 0.05).tolist() == rejected.tolist()
