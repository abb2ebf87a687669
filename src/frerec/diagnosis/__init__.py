"""What is wrong with the spectra of a generator's images, and what a calibrator changes."""

from frerec.diagnosis.run import Diagnosis, Settings, diagnose, write_diagnosis

__all__ = ["Diagnosis", "Settings", "diagnose", "write_diagnosis"]
