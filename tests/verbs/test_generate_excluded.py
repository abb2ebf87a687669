"""``frerec generate`` without what is memorised: copies lie apart, and a re-run tells no lies."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.benchmark import sample_description
from frerec.bulk import output as output_module
from frerec.bulk.output import sole_writer
from frerec.cli import main
from frerec.data.manifest import Manifest
from frerec.errors import DataError
from frerec.generators import ConditionalVAE
from frerec.samples import load_samples

CLASSES = ("normal", "ill")
COPIES = {f"{name}/00000{n}.png" for name in CLASSES for n in (1, 3)}
OTHERS = {f"{name}/00000{n}.png" for name in CLASSES for n in (0, 2)}


@pytest.fixture
def generate(tmp_path, monkeypatch):
    """Generate with a network whose samples of odd numbers are training images."""
    pictures = textured_images(48, height=32, width=32)
    write_tree(tmp_path / "real", pictures, [f"{CLASSES[k % 2]}/{k:03d}.png" for k in range(48)])
    known = [
        np.asarray(Image.open(path)) / 255 for path in sorted((tmp_path / "real/ill").iterdir())
    ]

    def draw(_self, labels, _seed, numbers):
        noise = torch.from_numpy(np.random.default_rng(0).random((len(labels), 1, 32, 32)))
        for row, number in enumerate(numbers):
            if number % 2:
                noise[row, 0] = torch.from_numpy(known[number % 24])
        return noise.float()

    monkeypatch.setattr(ConditionalVAE, "draw", draw)
    settings = [
        f"data.root={tmp_path / 'real'}", f"out={tmp_path / 'out'}",
        f"paths.store={tmp_path / 'store'}", f"paths.runs={tmp_path / 'runs'}",
        f"data.cache_dir={tmp_path / 'cache'}", "data.val_fraction=0", "data.test_fraction=0",
        "samples.counts={normal: 4, ill: 4}", "generator.width=4", "generator.latent_dim=4",
        "generator.training.steps=1", "generator.training.batch_size=8",
        "trainer.accelerator=cpu", "features.name=resnet10t",
    ]  # fmt: skip
    return lambda *, excluded: main(
        ["generate", *settings, f"samples.exclude_memorised={str(excluded).lower()}"]
    )


def pngs(folder: Path) -> set[str]:
    return {f"{p.parent.name}/{p.name}" for name in CLASSES for p in (folder / name).glob("*.png")}


def assert_excluded(out: Path) -> None:
    assert pngs(out) == OTHERS
    assert pngs(out / "memorised") == COPIES
    assert set(load_samples(out, classes=CLASSES).table["image"]) == OTHERS
    assert set(Manifest.read(out / "drawn.parquet").table["image"]) == OTHERS | COPIES
    for name, key in (("card.json", "samples"), ("samples.json", None)):
        card = json.loads((out / name).read_text())
        assert (card[key] if key else card)["excluded"] == {"normal": 2, "ill": 2}


def test_copies_lie_apart_until_they_are_wanted(generate, tmp_path):
    out = tmp_path / "out"
    assert generate(excluded=True) == 0
    assert_excluded(out)
    before = {p: p.stat().st_mtime_ns for p in out.glob("**/00000?.png")}
    assert generate(excluded=True) == 0
    assert_excluded(out)
    assert {p: p.stat().st_mtime_ns for p in out.glob("**/00000?.png")} == before  # none redrawn
    assert generate(excluded=False) == 0
    assert pngs(out) == OTHERS | COPIES
    assert len(load_samples(out, classes=CLASSES)) == 8
    assert not (out / "memorised").exists()
    assert json.loads((out / "samples.json").read_text())["excluded"] == {}


def test_a_kill_before_the_end_leaves_a_set_that_nobody_reads(generate, tmp_path, monkeypatch):
    def killed(*_arguments, **_settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sample_description, "make_card", killed)
        with contextlib.suppress(KeyboardInterrupt):
            assert generate(excluded=True) != 0
    with pytest.raises(DataError, match="has not finished"):
        load_samples(tmp_path / "out", classes=CLASSES)
    assert generate(excluded=True) == 0
    assert_excluded(tmp_path / "out")


def test_a_second_process_is_refused(generate, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(output_module, "_PATIENCE", 0.0)
    with sole_writer(tmp_path / "out"):
        assert generate(excluded=False) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "frerec: error" in line]
    assert len(lines) == 1
    assert "out: another run writes there; wait for it, or choose another out=" in lines[0]
    assert not any((tmp_path / "out").iterdir())
