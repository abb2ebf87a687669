"""Test settings shared by all folders."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # `from fixtures import ...` in every test file


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Two pytest workers share two cores; more threads would only wait for each other."""
    torch.set_num_threads(1)
