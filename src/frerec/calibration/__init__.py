"""Calibrators: SHR, RHM, FreRec and what they are compared with.

What needs Lightning (RHM, its training, FreRec) is imported at its first use, so that SHR, the
search and the baselines are plain PyTorch in a notebook.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from frerec.calibration.amplitude_mix import AmplitudeMix
from frerec.calibration.base import Calibrator, load_calibrator
from frerec.calibration.fda import FourierDomainAdaptation
from frerec.calibration.histogram import HistogramMatching
from frerec.calibration.identity import Identity
from frerec.calibration.lowpass import LowPass
from frerec.calibration.one_to_one import OneToOneReplacement
from frerec.calibration.radial import RadialGain
from frerec.calibration.reconstruction import ReconstructionGap, reconstruction_gap
from frerec.calibration.shr import StatisticalHighFrequencyReplacement

if TYPE_CHECKING:
    from frerec.calibration.frerec import FreRec
    from frerec.calibration.rhm import ReconstructiveHighFrequencyMapping
    from frerec.calibration.rhm_training import RhmTraining

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

_WITH_LIGHTNING = {
    "FreRec": "frerec",
    "ReconstructiveHighFrequencyMapping": "rhm",
    "RhmTraining": "rhm_training",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_LIGHTNING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_LIGHTNING[name]}"), name)
