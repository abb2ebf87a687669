"""``frerec generate`` by its command line: train, sample, measure, resume, refuse."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.cli import main
from frerec.data.manifest import Manifest
from frerec.samples import load_samples

CLASSES = ("normal", "ill")
TINY = (
    "generator.width=4", "generator.latent_dim=4", "generator.training.steps=4",
    "generator.training.batch_size=8", "generator.training.checkpoint_every=2",
    "generator.training.grid_every=2", "trainer.accelerator=cpu", "features.name=resnet10t",
)  # fmt: skip
FILES = {
    "card.json", "card.md", "generator", "ill", "manifest.parquet", "memorisation.json",
    "memorisation.parquet", "memorisation.png", "normal", "samples.json", "samples.png",
    "signature.npz", "signature.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("real")
    images = textured_images(48, height=32, width=32)
    write_tree(root, images, [f"{CLASSES[k % 2]}/{k:03d}.png" for k in range(48)])
    return root


def arguments(real: Path, out: Path, *others: str) -> list[str]:
    return [
        "generate", f"data.root={real}", f"out={out}", f"paths.store={real.parent / 'store'}",
        f"paths.runs={real.parent / 'runs'}", f"data.cache_dir={real.parent / 'cache'}",
        *TINY, *others,
    ]  # fmt: skip


def digests(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.glob("*/*.png"))
        if p.parent.name in CLASSES
    }


@pytest.fixture(scope="module")
def made(real, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "samples"
    assert main(arguments(real, out, "samples.ratio=0.5")) == 0
    return out


def error(capsys, *words: str) -> str:
    assert main(words) == 2
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("frerec: error: ")]
    assert len(lines) == 1, text
    return lines[0]


def test_it_leaves_images_manifest_card_and_figures(made, real):
    assert {p.name for p in made.iterdir()} == FILES
    counts = {name: len(list((made / name).glob("*.png"))) for name in CLASSES}
    card = json.loads((made / "card.json").read_text())
    assert card["samples"]["counts"] == counts
    learned = card["trained_on"]["training_images"]
    assert sum(learned.values()) < 48  # the training split alone
    assert counts == {name: int(learned[name] * 0.5 + 0.5) for name in CLASSES}
    assert (card["training"]["steps"], card["training"]["seed"]) == (4, 0)
    assert card["quality"]["n_real"] == sum(learned.values())
    assert card["quality"]["features"].startswith("timm resnet10t, random weights")
    for key in ("fid", "kid", "precision", "lsd_db"):
        assert np.isfinite(card["quality"][key]), key
    assert card["memorisation"]["n_samples"] == sum(counts.values())
    assert str(real) not in json.dumps(card)  # nothing of this machine
    for name in ("samples.png", "signature.png", "memorisation.png"):
        with Image.open(made / name) as image:
            assert np.asarray(image).std() > 1, name
    page = (made / "card.md").read_text()
    assert "(samples.png)" in page
    assert "(signature.png)" in page
    assert f"{card['quality']['fid']:.2f}" in page
    grids = {p.name for p in (made / "generator" / "grids").iterdir()}
    assert grids == {"step-0000002.png", "step-0000004.png"}


def test_its_output_is_read_as_samples(made):
    manifest = load_samples(made, classes=CLASSES)
    assert len(manifest) == sum(1 for _ in made.glob("*/*.png"))
    assert set(manifest.table["source"]) == {"synthetic"}


def test_the_same_again_changes_no_image_and_trains_nothing(made, real, tmp_path):
    before = digests(made)
    assert main(arguments(real, made, "samples.ratio=0.5")) == 0
    assert digests(made) == before
    assert main(arguments(real, tmp_path / "more", "samples.ratio=1")) == 0
    assert before.items() <= digests(tmp_path / "more").items()  # nested


def test_a_checkpoint_takes_the_place_of_training(made, real, tmp_path, capsys):
    changes = (
        f"generator.checkpoint={made / 'generator'}",
        f"paths.store={tmp_path / 'store'}",
        "samples.ratio=0.5",
    )
    assert main(arguments(real, tmp_path / "out", *changes)) == 0
    assert digests(tmp_path / "out") == digests(made)
    assert not (tmp_path / "store" / "generators").exists()
    line = error(capsys, *arguments(real, tmp_path / "b", *changes, "data.image_size=16"))
    assert "made for pixels a side 32, the data have 16" in line
    line = error(capsys, *arguments(real, tmp_path / "b", *changes, "data.classes=[ill,normal]"))
    assert "made for classes ['normal', 'ill'], the data have ['ill', 'normal']" in line
    line = error(capsys, *arguments(real, tmp_path / "b", f"generator.checkpoint={tmp_path}"))
    assert "config.json: no such file" in line
    assert not (tmp_path / "b").exists()


def test_counts_may_be_given_by_class(real, tmp_path, capsys):
    assert main(arguments(real, tmp_path / "out", "samples.counts={ill: 3}")) == 0
    assert sorted(digests(tmp_path / "out")) == [f"ill/00000{n}.png" for n in range(3)]
    for counts, words in (
        ("{odd: 3}", "odd is no class; the data have"),
        ("{ill: -1}", "expected whole numbers, as {ours:100}"),
        ("{ill: 0}", "expected at least one image"),
    ):
        line = error(capsys, *arguments(real, tmp_path / "b", f"samples.counts={counts}"))
        assert words in line
    assert not (tmp_path / "b").exists()


def test_copies_are_found_and_left_out(real, tmp_path):
    """A command that copies training images: the check finds them, the manifest loses them."""
    script = tmp_path / "copy.py"
    script.write_text(
        "import pathlib, shutil, sys\n"
        f"real, out = pathlib.Path({str(real)!r}), pathlib.Path(sys.argv[1])\n"
        "from PIL import Image\n"
        "for name in ('normal', 'ill'):\n"
        "    (out / name).mkdir(parents=True)\n"
        "    files = sorted((real / name).iterdir())\n"
        "    for k, file in enumerate(files):\n"
        "        image = Image.open(file)\n"
        "        image = image if k % 2 else image.rotate(90 + 90 * (k % 3))\n"
        "        image.save(out / name / f'{k:03d}.png', optimize=True)\n"
    )
    wanted = [
        "generator=command", f"generator.command=[{sys.executable},{script},'{{out}}']",
        "data.val_fraction=0", "data.test_fraction=0", "samples.counts={normal: 24, ill: 24}",
        "samples.exclude_memorised=true",
    ]  # fmt: skip
    base = [a for a in arguments(real, tmp_path / "out") if not a.startswith("generator.")]
    assert main([*base, *wanted]) == 0
    table = pd.read_parquet(tmp_path / "out" / "memorisation.parquet")
    manifest = Manifest.read(tmp_path / "out" / "manifest.parquet", root=tmp_path / "out")
    copied = np.arange(24) % 2 == 1
    assert table["flagged"].to_numpy()[np.concatenate([copied, copied])].all()
    assert len(manifest) == (~table["flagged"]).sum()
    assert not any(int(Path(name).stem) % 2 for name in manifest.table["image"])
    assert all(manifest.address(row).blob.path.is_file() for row in range(len(manifest)))
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert sum(card["samples"]["excluded"].values()) == table["flagged"].sum()


def test_a_killed_run_goes_on_to_the_same_images(made, real, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "frerec.cli", *arguments(real, out, "samples.ratio=40")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while len(digests(out)) < 70 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    present = digests(out)
    assert len(present) >= 70
    assert (out / "samples.unfinished.json").exists()
    assert not (out / "card.json").exists()
    assert main(arguments(real, out, "samples.ratio=40")) == 0
    after = digests(out)
    assert present.items() <= after.items()
    assert digests(made).items() <= after.items()
    assert not (out / "samples.unfinished.json").exists()
    assert (out / "card.json").exists()


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (("samples=folder", "samples.path=x"), "are not generated"),
        (("generator=gan",), "available: command"),
        (("generator=oracle",), "set data.train_size"),
        (("samples.ratio=0",), "samples.ratio=0: expected a number above 0"),
        (("features.name=nothing",), "nothing"),
        (("memorisation.rule=some",), "memorisation.rule=some: expected one of"),
        (("memorisation.quantile=0",), "memorisation.quantile=0"),
        (("generator.latent_dim=0",), "generator latent_dim=0"),
        (("generator.training.grid_every=0",), "grid_every=0"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_made(real, tmp_path, capsys, others, words):
    base = arguments(real, tmp_path / "out")
    if others[0].startswith("generator=") and others[0] != "generator=vae":
        base = [a for a in base if not a.startswith("generator.")]
    assert words in error(capsys, *base, *others)
    assert not (tmp_path / "out").exists()


def test_the_output_lies_neither_in_nor_around_what_is_read(real, tmp_path, capsys):
    line = error(capsys, *arguments(real, real / "out"))
    assert "must not lie in data.root" in line
    line = error(capsys, *arguments(real, real.parent))
    assert "must not hold data.root" in line
    (tmp_path / "file").write_text("mine")
    assert "is a file" in error(capsys, *arguments(real, tmp_path / "file"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    assert "holds other files" in error(capsys, *arguments(real, tmp_path / "mine"))
