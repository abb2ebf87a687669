"""Where a verb may write."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from frerec.errors import ConfigError


def refuse_inside(output: Path, source: Path | None, *, key: str, source_key: str) -> None:
    """Refuse an output folder inside the folder that is read: its images would be read as data.

    Raises:
        ConfigError: Names both keys.
    """
    if source is None:
        return
    inner, outer = output.resolve(), source.expanduser().resolve()
    if inner == outer or outer in inner.parents:
        raise ConfigError(f"{key}={output}: must not lie in {source_key}={source}")


def refuse_around(output: Path, sources: Mapping[str, str | Path | None], *, key: str) -> None:
    """Refuse an output folder that holds something that is read: writing it would replace that.

    Args:
        output: where a verb writes.
        sources: what it reads, by the key that names it; blank ones are passed over.
        key: of the output.

    Raises:
        ConfigError: Names both keys.
    """
    outer = output.resolve()
    for source_key, source in sources.items():
        path = None if not source else Path(source).expanduser().resolve()
        if path is not None and (path == outer or outer in path.parents):
            raise ConfigError(f"{key}={output}: must not hold {source_key}={source}")


def put_in_place(work: Path, out: Path) -> None:
    """Rename a complete folder to its name; an older one there goes only then."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    work.rename(out)
    shutil.rmtree(old, ignore_errors=True)
