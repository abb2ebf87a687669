"""`measure`, by which every benchmark says what it took, for how many units, and beside what."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from setting import Sizes, chosen_sizes, machine


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Name the machine and the versions in the record."""
    machine_info["frerec"] = machine()


@pytest.fixture(scope="session")
def sizes() -> Sizes:
    """How much is measured."""
    return chosen_sizes()


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


Measure = Callable[..., Any]


@pytest.fixture
def measure(benchmark: BenchmarkFixture, sizes: Sizes) -> Measure:
    """Time a call some rounds after a warm-up call; its last result comes back.

    Args of the function that it returns: what to call; ``name`` within a ``group`` of things that
    are compared; ``per`` units a call and the ``unit``'s name; the ``reference`` of the group to
    which the ratio is taken (None for the reference itself and where there is none); further
    facts for the record.
    """

    def run(
        function: Callable[[], Any],
        *,
        group: str,
        name: str,
        per: float,
        unit: str,
        reference: str | None = None,
        rounds: int | None = None,
        warmup: int = 1,
        **facts: Any,
    ) -> Any:
        benchmark.group = group
        benchmark.extra_info.update(
            name=name, per=per, unit=unit, reference=reference, facts=dict(facts)
        )
        return benchmark.pedantic(
            function, rounds=rounds or sizes.rounds, warmup_rounds=warmup, iterations=1
        )

    return run
