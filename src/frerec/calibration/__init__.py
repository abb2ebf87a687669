"""Calibrators: SHR, RHM, FreRec and what they are compared with."""

from frerec.calibration.amplitude_mix import AmplitudeMix
from frerec.calibration.base import Calibrator, load_calibrator
from frerec.calibration.fda import FourierDomainAdaptation
from frerec.calibration.frerec import FreRec
from frerec.calibration.histogram import HistogramMatching
from frerec.calibration.identity import Identity
from frerec.calibration.lowpass import LowPass
from frerec.calibration.one_to_one import OneToOneReplacement
from frerec.calibration.radial import RadialGain
from frerec.calibration.reconstruction import ReconstructionGap, reconstruction_gap
from frerec.calibration.rhm import ReconstructiveHighFrequencyMapping
from frerec.calibration.rhm_training import RhmTraining
from frerec.calibration.shr import StatisticalHighFrequencyReplacement

__all__ = [
    "AmplitudeMix",
    "Calibrator",
    "FourierDomainAdaptation",
    "FreRec",
    "HistogramMatching",
    "Identity",
    "LowPass",
    "OneToOneReplacement",
    "RadialGain",
    "ReconstructionGap",
    "ReconstructiveHighFrequencyMapping",
    "RhmTraining",
    "StatisticalHighFrequencyReplacement",
    "load_calibrator",
    "reconstruction_gap",
]
