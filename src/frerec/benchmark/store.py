"""The store: every stage's artifact under the hash of what made it, made once."""

import logging
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

log = logging.getLogger(__name__)


class Store:
    """Folders ``root/KIND/KEY``, each either whole or absent.

    A maker works in ``root/KIND/KEY.partial``; the folder is renamed when the maker returns. A
    maker that was killed finds its own partial folder again and may go on from what lies there.
    Two processes that need the same artifact make it once: the second waits for the first.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> Path:
        """Where an artifact lies once it is made."""
        return self.root / kind / key

    def make(self, kind: str, key: str, maker: Callable[[Path], None]) -> Path:
        """The artifact's folder; ``maker(folder)`` fills it if it does not exist yet."""
        final = self.path(kind, key)
        if final.is_dir():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(final) + ".lock"):
            if not final.is_dir():  # another process may have made it meanwhile
                partial = final.with_name(key + ".partial")
                partial.mkdir(exist_ok=True)
                maker(partial)
                partial.rename(final)
        return final
