"""Content keys of artifacts and cells."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

KEY_LENGTH = 16


def content_hash(content: Mapping[str, Any]) -> str:
    """A short hash of plain values; equal content gives an equal hash on every machine.

    Args:
        content: JSON values only.

    Returns:
        16 hexadecimal digits.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
