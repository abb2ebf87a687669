"""Frequency grids, radial spectra and spectral distances: pure functions on tensors."""

from frerec.spectral.bands import frequency_radius, high_frequency_mask, ring_index
from frerec.spectral.distance import log_spectral_distance
from frerec.spectral.profile import radial_log_power, radial_power, ring_radius

__all__ = [
    "frequency_radius",
    "high_frequency_mask",
    "log_spectral_distance",
    "radial_log_power",
    "radial_power",
    "ring_index",
    "ring_radius",
]
