"""Where a verb may write."""

from pathlib import Path

from frerec.errors import ConfigError


def refuse_inside(output: Path, source: Path | None, *, key: str, source_key: str) -> None:
    """Refuse an output folder inside the folder that is read: its images would be read as data.

    Raises:
        ConfigError: Names both keys.
    """
    if source is None:
        return
    inner, outer = output.resolve(), source.resolve()
    if inner == outer or outer in inner.parents:
        raise ConfigError(f"{key}={output}: must not lie in {source_key}={source}")
