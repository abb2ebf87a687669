"""Reading JSON that another process wrote, with errors that name the file."""

import json
import math
from pathlib import Path
from typing import Any

from frerec.errors import DataError


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: where the file is damaged or holds anything else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{file}: not readable as JSON ({reason}); run the benchmark again"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: must hold a JSON object, found a {type(content).__name__}")
    return content


def section(content: dict[str, Any], key: str, file: Path) -> dict[str, Any]:
    """The object under a key, empty where it is missing or null.

    Raises:
        DataError: where it is anything else.
    """
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DataError(f"{file}: {key} must be an object, found a {type(value).__name__}")
    return value


def number(value: object) -> float | None:
    """The value as a finite float, None where it is null, NaN or no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def numbers(content: dict[str, Any]) -> dict[str, float]:
    """Those entries that are finite numbers."""
    return {str(key): x for key, value in content.items() if (x := number(value)) is not None}
