"""Test settings shared by all folders."""

import os
import sys
from pathlib import Path

# Two pytest workers share two cores: more threads would only wait for one another, in the
# workers as in the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

import torch

torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).parent))  # `from fixtures import ...` in every test file
