"""Test settings shared by all folders."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Two pytest workers share two cores: more threads would only wait for one another, in the
# workers as in the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).parent))  # `from fixtures import ...` in every test file


@pytest.fixture
def fresh_wandb() -> Iterator[None]:
    """W&B reads its environment once a process: before this test, and not from it afterwards.

    Ask for it before ``monkeypatch``, so that the environment is restored when W&B is left.
    """
    import wandb

    wandb.teardown()
    yield
    wandb.teardown()
