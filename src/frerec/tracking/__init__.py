"""What is written down about a run, here and, if asked, on Weights & Biases."""

from frerec.tracking.wandb import NoTracker, WandbTracker

__all__ = ["NoTracker", "WandbTracker"]
