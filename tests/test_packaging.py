"""The wheel carries the Hydra tree and works outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed without dependencies beside the test environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    wheel = next(folder.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def run(site: Path, cwd: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "frerec", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_command_helps_and_composes_from_another_folder(
    site: Path, tmp_path: Path
) -> None:
    where = [sys.executable, "-c", "import frerec; print(frerec.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    found = subprocess.run(
        where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith(str(site)), "the checkout was imported, not the wheel"
    assert "usage: frerec VERB" in run(site, tmp_path, "--help")
    config = run(site, tmp_path, "benchmark", "experiment=cardiomegaly", "data.root=x", "--cfg")
    assert "published: cardiomegaly" in config


def test_every_config_of_the_checkout_is_in_the_wheel(site: Path) -> None:
    def names(root: Path) -> list[str]:
        files = (p.relative_to(root) for p in root.rglob("*.yaml"))
        return sorted(str(p) for p in files if p.parts[0] != "local")

    assert names(site / "frerec" / "configs") == names(ROOT / "configs")
    assert names(ROOT / "configs")


def test_the_wheel_holds_the_package_and_nothing_else(site: Path) -> None:
    wheel = next(site.parent.glob("*.whl"))
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"frerec"}
