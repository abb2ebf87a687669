"""What is written down about a run, here and, if asked, by a tracking service."""

from frerec.tracking.base import NoTracker, TrackedRun, Tracker
from frerec.tracking.csv_files import CsvTracker
from frerec.tracking.many import ManyTrackers
from frerec.tracking.mlflow import MlflowTracker
from frerec.tracking.tensorboard import TensorBoardTracker
from frerec.tracking.wandb import WandbTracker

__all__ = [
    "CsvTracker",
    "ManyTrackers",
    "MlflowTracker",
    "NoTracker",
    "TensorBoardTracker",
    "TrackedRun",
    "Tracker",
    "WandbTracker",
]
