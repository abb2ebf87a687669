"""The audit of a decoded data set: duplicates, leaks, encodings and spectra, by class and split."""

from frerec.data.audit.contact_sheet import write_contact_sheets, write_pair_sheet
from frerec.data.audit.summary import Audit, audit

__all__ = ["Audit", "audit", "write_contact_sheets", "write_pair_sheet"]
