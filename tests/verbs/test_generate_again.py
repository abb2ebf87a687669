"""``frerec generate`` after something went wrong: mended, resumed, or refused in one line."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from fixtures import textured_images, write_tree
from frerec.benchmark import sample_description
from frerec.benchmark.stages import Stages
from frerec.cli import main
from frerec.config import compose_config
from frerec.data.manifest import Manifest
from frerec.errors import ConfigError
from frerec.samples import load_samples
from frerec.samples.set_folder import DESCRIPTION

CLASSES = ("normal", "ill")
SAMPLER = """
import sys
from pathlib import Path
from PIL import Image
import random
draw = random.Random(1)
for name in ("normal", "ill"):
    (Path(sys.argv[1]) / name).mkdir()
    for k in range(4):
        pixels = bytes(draw.randrange(256) for _ in range(1024))
        Image.frombytes("L", (32, 32), pixels).save(Path(sys.argv[1]) / name / f"{k}.png")
bad = Path(sys.argv[2])
if bad.exists():
    (Path(sys.argv[1]) / "ill" / "2.png").write_bytes(bad.read_bytes())
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("again") / "real"
    images = textured_images(48, height=32, width=32)
    write_tree(root, images, [f"{CLASSES[k % 2]}/{k:03d}.png" for k in range(48)])
    return root


def settings(real: Path, out: Path, *others: str) -> list[str]:
    return [
        f"data.root={real}", f"out={out}", f"paths.store={real.parent / 'store'}",
        f"paths.runs={real.parent / 'runs'}", f"data.cache_dir={real.parent / 'cache'}",
        "trainer.accelerator=cpu", "features.name=resnet10t", "samples.counts={normal: 4, ill: 4}",
        *others,
    ]  # fmt: skip


VAE = (
    "generator.width=4", "generator.latent_dim=4", "generator.training.steps=1",
    "generator.training.batch_size=8",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(real) -> Path:
    out = real.parent / "made"
    assert main(["generate", *settings(real, out, *VAE)]) == 0
    return out


@pytest.fixture
def command(tmp_path) -> list[str]:
    """A sampler that leaves a broken image as long as the file ``bad`` is there."""
    (tmp_path / "sample.py").write_text(SAMPLER)
    (tmp_path / "bad").write_bytes(b"\x89PNG no more")
    words = f'{sys.executable},{tmp_path / "sample.py"},"{{out}}",{tmp_path / "bad"}'
    return ["generator=command", f"generator.command=[{words}]"]


def error(capsys, words: list[str]) -> str:
    assert main(["generate", *words]) == 2
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("frerec: error: ")]
    assert len(lines) == 1, text
    return lines[0]


@pytest.mark.parametrize("visible", [True, False])
def test_a_command_is_mended_and_run_again_in_the_same_folder(
    real, tmp_path, capsys, command, visible
):
    words = settings(real, tmp_path / "out", *command)
    assert "2.png" in error(capsys, words)
    (tmp_path / "bad").unlink()  # which nothing of the command says
    if visible:
        (tmp_path / "sample.py").write_text(SAMPLER + "\n# mended")
    assert main(["generate", *words]) == 0
    assert len(load_samples(tmp_path / "out", classes=CLASSES)) == 8


def test_unreadable_samples_that_are_skipped_are_not_listed(real, tmp_path, command):
    out = tmp_path / "out"
    assert main(["generate", *settings(real, out, *command, "data.on_error=skip")]) == 0
    listed = set(load_samples(out, classes=CLASSES).table["image"])
    assert len(listed) == 7
    assert "output/ill/2.png" not in listed
    assert json.loads((out / "samples.json").read_text())["unreadable"] == {"ill": 1}
    assert json.loads((out / "card.json").read_text())["samples"]["counts"]["ill"] == 3
    assert len(Manifest.read(out / "drawn.parquet")) == 8


def test_a_kill_while_a_set_is_described_leaves_no_card_of_another(
    real, made, tmp_path, monkeypatch
):
    out = shutil.copytree(made, tmp_path / "out")
    assert all((out / name).exists() for name in DESCRIPTION)

    def killed(*_arguments, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample_description, "_draw", killed)
    assert main(["generate", *settings(real, out, *VAE, "quality.seed=1")]) != 0
    assert not any((out / name).exists() for name in DESCRIPTION)
    assert (out / "samples.unfinished.json").exists()


def test_a_real_test_image_in_the_place_of_a_sample_is_refused(real, made, tmp_path, capsys):
    out = shutil.copytree(made, tmp_path / "out")
    words = settings(real, out, *VAE)
    data = Stages(compose_config("generate", words)).data.manifest
    row = int(np.flatnonzero(data.table["split"] == "test")[0])
    (out / "ill" / "000001.png").write_bytes(data.address(row).blob.path.read_bytes())
    assert "ill/000001.png: is a real test file" in error(capsys, words)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe{"])
def test_a_damaged_record_beside_a_checkpoint_is_named_before_sampling(
    real, made, tmp_path, capsys, content
):
    mine = shutil.copytree(made / "generator", tmp_path / "mine")
    (mine / "card.json").write_bytes(content)
    words = settings(real, tmp_path / "out", *VAE, f"generator.checkpoint={mine}")
    assert "card.json: damaged" in error(capsys, words)
    assert not (tmp_path / "out").exists()


def test_a_class_named_as_a_file_of_ours_is_refused_before_training(tmp_path, capsys):
    images = textured_images(32, height=32, width=32)
    names = [f"{('normal', 'card.json')[k % 2]}/{k:03d}.png" for k in range(32)]
    write_tree(tmp_path / "real", images, names)
    words = settings(tmp_path / "real", tmp_path / "out", *VAE, "samples.counts=null")
    assert "class 'card.json': cannot be a folder's name" in error(capsys, words)
    assert not (tmp_path / "store" / "generators").exists()


def test_an_oracles_samples_serve_only_the_split_that_they_were_withheld_from(real, tmp_path):
    out = tmp_path / "oracle"
    oracle = ("generator=oracle", "generator.dose=0.5", "data.train_size=8")
    assert main(["generate", *settings(real, out, *oracle)]) == 0
    common = [word for word in settings(real, out) if not word.startswith("samples.")]
    common += ["samples=folder", f"samples.path={out}"]
    same = Stages(compose_config("generate", [*common, "data.train_size=8"]))
    assert same.samples_are_real
    assert len(same._user_samples) == 8
    for change in (("data.train_size=8", "data.split_seed=4"), ("data.train_size=null",)):
        other = Stages(compose_config("generate", [*common, *change]))
        with pytest.raises(ConfigError, match=r"samples\.path=.*: its samples are real images, of"):
            _ = other._user_samples
