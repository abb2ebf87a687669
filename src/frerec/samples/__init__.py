"""Labelled synthetic images of any origin, as a manifest like that of the real ones."""

from frerec.samples.loader import check_against_real, load_samples
from frerec.samples.writer import balanced_counts, write_samples

__all__ = ["balanced_counts", "check_against_real", "load_samples", "write_samples"]
