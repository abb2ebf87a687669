"""``frerec generate``: train a generator on the training split, write labelled samples."""

import sys
from collections.abc import Sequence
from pathlib import Path

from frerec.benchmark.stages import Stages
from frerec.config import check_complete, compose_config, require
from frerec.errors import ConfigError
from frerec.verbs.folders import refuse_inside


def run(config_name: str, overrides: Sequence[str]) -> int:
    """Train (or take from the store) and write the samples; resumes after a kill."""
    config = compose_config(config_name, overrides)
    out = Path(require(config, "out", "the folder for the samples"))
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give out= a folder")
    check_complete(config)
    root = config.data.get("root")
    refuse_inside(out, Path(root) if root else None, key="out", source_key="data.root")
    progress = bool(config.trainer.progress) and sys.stderr.isatty()
    manifest = Stages(config, progress=progress).generate(out)
    print(f"Samples: {out} ({len(manifest)} images)")
    return 0
