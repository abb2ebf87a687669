"""A PostgreSQL server of the tests' own, where there is one to start."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def _binary(name: str) -> str | None:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, places)]))


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an empty database on a socket; the server refuses root, so nobody starts it."""
    initdb, control = _binary("initdb"), _binary("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("no PostgreSQL here")
    folder = tmp_path_factory.mktemp("pg")
    user: dict[str, int] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o711)

    def run(*command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, cwd=folder, capture_output=True, check=False, timeout=60,
            env={**os.environ, "LC_ALL": "C"}, **user,  # type: ignore[call-overload]
        )  # fmt: skip

    data = str(folder / "data")
    made = run(initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB"
    if made.returncode == 0:
        log = str(folder / "log")
        made = run(control, "-D", data, "-l", log, "-w", "-o", options, "start")
    if made.returncode != 0:
        pytest.skip(f"PostgreSQL does not start: {made.stderr.decode()[:200]}")
    try:
        yield f"postgresql+psycopg://tester:secret@/postgres?host={folder}"
    finally:
        run(control, "-D", data, "-m", "immediate", "stop")
