"""Calibrators: SHR, RHM, FreRec and what they are compared with."""

from frerec.calibration.base import Calibrator, load_calibrator
from frerec.calibration.frerec import FreRec
from frerec.calibration.identity import Identity
from frerec.calibration.rhm import ReconstructiveHighFrequencyMapping
from frerec.calibration.rhm_training import RhmTraining
from frerec.calibration.shr import StatisticalHighFrequencyReplacement

__all__ = [
    "Calibrator",
    "FreRec",
    "Identity",
    "ReconstructiveHighFrequencyMapping",
    "RhmTraining",
    "StatisticalHighFrequencyReplacement",
    "load_calibrator",
]
