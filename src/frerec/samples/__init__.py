"""Labelled synthetic images of any origin, as a manifest like that of the real ones."""

from frerec.samples.against_real import check_against_real
from frerec.samples.loader import load_samples
from frerec.samples.ratio import balanced_counts, take_counts, take_ratio
from frerec.samples.real_files import files_of_real_images
from frerec.samples.writer import write_samples

__all__ = [
    "balanced_counts",
    "check_against_real",
    "files_of_real_images",
    "load_samples",
    "take_counts",
    "take_ratio",
    "write_samples",
]
