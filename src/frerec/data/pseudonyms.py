"""Patients' names, replaced where a data set enters the house, so that none can get out.

Manifests, caches, logs and trackers only ever see pseudonyms: equal exactly where the patient is
equal, and the same on every machine, so that splits and results can be repeated. A hash without a
secret can be undone by trying all ids where ids are short numbers; whoever shares runs on private
data sets `FREREC_PATIENT_KEY` to a secret, and keeps it, since the pseudonyms depend on it.
"""

import hashlib
import os

KEY_VARIABLE = "FREREC_PATIENT_KEY"
OWN_GROUP = "image:"
"""Begins the group of an image whose patient is not known."""


def pseudonym(patient: str) -> str:
    """A patient's pseudonym: `p-` and 64 bits of keyed BLAKE2b, hexadecimal."""
    key = os.environ.get(KEY_VARIABLE, "").encode()[:64]
    return "p-" + hashlib.blake2b(patient.encode(), digest_size=8, key=key).hexdigest()
