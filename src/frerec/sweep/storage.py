"""Where a study lies: SQLite, PostgreSQL or a journal file, and the claims that go with it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frerec.errors import ConfigError
from frerec.sweep.claims import Claims, FileClaims, PostgresClaims

EXPECTED = "null, sqlite:///FILE, journal:FILE or postgresql+psycopg://USER@HOST/DATABASE"
LOCK_SECONDS = 60  # how long SQLite waits for another worker's write


@dataclass(frozen=True)
class Shared:
    """An opened storage.

    Attributes:
        storage: Optuna's.
        claims: of this worker.
        shown: the storage in words, without path, user, host or password.
    """

    storage: Any
    claims: Claims
    shown: str


def check_storage(address: Any) -> None:
    """Refuse an address of no kind that is known.

    Raises:
        ConfigError: Says which kinds there are; repeats nothing of the address but its kind.
    """
    if not isinstance(address, str | None):
        raise ConfigError(f"storage=...: expected {EXPECTED}")
    kind = None if address is None else re.split(r"[:/]", address)[0].split("+")[0]
    if kind not in (None, "sqlite", "journal", "postgresql") or address in ("journal:", ""):
        raise ConfigError(f"storage={kind}:...: expected {EXPECTED}")
    if kind == "sqlite" and not str(address).startswith("sqlite:///"):
        raise ConfigError(f"storage=sqlite:...: expected {EXPECTED}")


def open_storage(address: str | None, study: str, folder: Path) -> Shared:
    """Open the storage, and make its file or its tables where there are none.

    Args:
        address: as `storage` in the configuration.
        study: the study's name.
        folder: where the SQLite file lies if the address is null.

    Raises:
        ConfigError: If it cannot be opened.
    """
    check_storage(address)
    if address is not None and address.startswith("postgresql"):
        return _postgresql(address, study)
    kind, name = "sqlite", str(folder / "study.db")
    if address is not None:
        kind, _, name = address.partition(":")
        name = name.removeprefix("///")
    file = Path(name).expanduser().absolute()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        claims = FileClaims(file.with_name(file.name + ".claims") / _file_name(study))
    except OSError as error:
        raise ConfigError(f"storage={address}: {error.strerror}; give a file that can be written") \
            from error  # fmt: skip
    with claims.exclusive():  # two workers would make the tables at once
        opened = _journal(file) if kind == "journal" else _relational(f"sqlite:///{file}", address)
    return Shared(opened, claims, "journal file" if kind == "journal" else "SQLite")


def _journal(file: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        return JournalStorage(JournalFileBackend(str(file)))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"storage=journal:{file}: no journal of a study; give another file") \
            from error  # fmt: skip


def _relational(url: str, address: str | None) -> Any:
    from optuna.exceptions import OptunaError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        arguments = {"connect_args": {"timeout": LOCK_SECONDS}}
    try:
        return RDBStorage(url, engine_kwargs=arguments)
    except (SQLAlchemyError, OptunaError, RuntimeError, ImportError) as error:
        raise ConfigError(f"storage={without_secret(address)}: {_reason(error)}") from error


def _postgresql(address: str, study: str) -> Shared:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise ConfigError("storage=postgresql:...: give `pip install 'frerec[postgres]'`") from None
    address = re.sub(r"^postgresql(\+\w+)?:", "postgresql+psycopg:", address)
    try:
        claims = PostgresClaims(create_engine(address, poolclass=NullPool), study)
    except (ArgumentError, SQLAlchemyError) as error:
        raise ConfigError(f"storage={without_secret(address)}: {_reason(error)}") from error
    with claims.exclusive():
        return Shared(_relational(address, address), claims, "PostgreSQL")


def without_secret(address: str | None) -> str:
    """The address without user and password."""
    return re.sub(r"//[^/@]*@", "//", str(address)).partition("?")[0]


def _reason(error: Exception) -> str:
    text = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
    return f"cannot be opened ({text}); check the address, and that the server runs"


def _file_name(study: str) -> str:
    return re.sub(r"[^\w.-]", "_", study)
