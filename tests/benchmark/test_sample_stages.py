"""Samples of every origin in a benchmark: what their keys depend on, what is left out and shown."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_runs import BARE

from fixtures import textured_images, write_tree
from frerec.benchmark.stages import Stages
from frerec.cli import main
from frerec.config import compose_config
from frerec.data.datamodules import ImageDataModule
from frerec.errors import ConfigError
from frerec.generators import load_generator

CLASSES = ("normal_heart", "enlarged_heart")
DATA = ("data=phantom_chest_xray", "data.count=60", "data.size=32", "data.train_size=10")
TINY = ("generator.width=4", "generator.latent_dim=4", "generator.training.steps=2")
FAST = ("trainer.accelerator=cpu", "trainer.progress=false", "features.name=resnet10t")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


def stages(root: Path, *overrides: str, data: ImageDataModule | None = None) -> Stages:
    paths = (f"paths.store={root / 'store'}", f"paths.runs={root / 'runs'}", f"out={root / 'out'}")
    return Stages(compose_config("generate", [*DATA, *FAST, *paths, *overrides]), data=data)


@pytest.fixture(scope="module")
def data(root: Path) -> ImageDataModule:
    return stages(root).data


def run(root: Path, *overrides: str) -> int:
    small = ("debug=fast", "grid.arm=[gda]", "classifier.batch_size=8", "classifier.steps=2")
    paths = (f"paths.store={root / 'store'}", f"paths.runs={root / 'runs'}")
    return main(["benchmark", *DATA, *FAST, *BARE, *small, *paths, *overrides])


def training(root: Path, name: str) -> dict[str, float]:
    """What the only cell of a run was trained with."""
    (file,) = (root / "runs" / name / "cells").glob("*/metrics.json")
    found: dict[str, float] = json.loads(file.read_text())["training"]
    return found


@pytest.mark.parametrize(
    ("base", "change", "changed"),
    [
        ((), "generator.training.checkpoint_every=7", ""),
        ((), "generator.training.grid_every=null", ""),
        ((), "trainer.accelerator=auto", ""),
        ((), "generator.training.steps=3", "generator drawn samples quality"),
        ((), "generator.beta=0.5", "generator drawn samples quality"),
        ((), "generator.temperature=0.5", "drawn samples quality"),  # no weight depends on it
        ((), "samples.seed=1", "drawn samples quality"),
        ((), "samples.ratio=0.5", "drawn samples quality"),
        ((), "samples.bits=16", "drawn samples quality"),
        ((), "quality.limit=null", "quality"),
        ((), "features.seed=1", "quality"),
        ((), "memorisation.quantile=0.1", ""),
        ((), "samples.exclude_memorised=true", "samples quality"),
        (("samples.exclude_memorised=true",), "memorisation.quantile=0.1", "samples quality"),
        (("samples.exclude_memorised=true",), "features.seed=1", "quality"),
        (
            ("samples.exclude_memorised=true", "memorisation.rule=both"),
            "features.seed=1",
            "samples quality",
        ),
    ],
)
def test_a_key_changes_with_what_its_artifact_depends_on(root, data, base, change, changed):
    before, after = (
        stages(root, *TINY, *base, *more, data=data) for more in ((), (change,))
    )  # fmt: skip
    kinds = ("generator", "drawn", "samples", "quality")
    differing = [k for k in kinds if getattr(before, f"{k}_key") != getattr(after, f"{k}_key")]
    assert " ".join(differing) == changed


def test_skipped_files_are_other_samples_where_files_may_be_unreadable(root, data, tmp_path):
    write_tree(tmp_path, textured_images(4), [f"{CLASSES[k % 2]}/{k}.png" for k in range(4)])
    command = ("generator=command", "generator.command=[python,'{out}']")
    for base in (command, ("samples=folder", f"samples.path={tmp_path}")):
        keys = {
            stages(root, *base, f"data.on_error={on_error}", data=data).drawn_key
            for on_error in ("raise", "skip")
        }
        assert len(keys) == 2


def test_samples_have_the_bits_of_the_real_images_unless_others_are_asked(root, data):
    assert data.stack.dtype == "uint8"
    assert stages(root, data=data).sample_bits == 8
    assert stages(root, "samples.bits=16", data=data).sample_bits == 16
    scaled = stages(root, "data.image_size=16")
    assert scaled.data.stack.dtype == "uint16"
    assert scaled.sample_bits == 16


@pytest.mark.parametrize(("limit", "fits"), [("null", True), ("2", True), ("1", False)])
def test_fewer_than_two_images_have_no_quality(root, data, limit, fits):
    checked = stages(root, f"quality.limit={limit}", data=data)
    if fits:
        checked.check_measures()
    else:
        with pytest.raises(ConfigError, match=r"quality\.limit=1: expected at least 2, or null"):
            checked.check_measures()


@pytest.fixture(scope="module")
def oracle(root: Path) -> Path:
    """A finished benchmark with the oracle, its store beside it."""
    assert run(root, "generator=oracle", "generator.dose=0", "name=oracle") == 0
    return root


def test_the_oracles_samples_are_withheld_images_untouched(oracle, data):
    made = stages(oracle, "generator=oracle", "generator.dose=0", data=data).samples
    withheld = {image.numpy().tobytes() for image in data.withheld.stack.tensor(slice(None))}
    samples = [image.numpy().tobytes() for image in made.stack.tensor(slice(None))]
    assert len(set(samples)) == 20
    assert set(samples) <= withheld
    assert training(oracle, "oracle")["train_synthetic"] == 20


def test_the_report_says_how_good_the_samples_are(oracle):
    notes = json.loads((oracle / "runs" / "oracle" / "showcase" / "showcase.json").read_text())
    (entry,) = notes["quality"]
    assert entry["samples"] == "oracle"
    report = oracle / "runs" / "oracle" / "report"
    with (report / "quality.csv").open() as file:
        rows = {row["set"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"samples", "matched", "floor"}
    assert float(rows["samples"]["fid"]) == pytest.approx(entry["quality"]["fid"], rel=1e-8)
    assert (rows["samples"]["n_real"], rows["floor"]["n_real"]) == ("20", "10")
    assert "Generator quality" in (report / "index.html").read_text()
    assert "timm resnet10t, random weights" in (report / "table.md").read_text()


def test_other_features_are_another_showcase_and_no_other_cell(oracle, capsys):
    file = oracle / "runs" / "oracle" / "showcase" / "showcase.json"
    before, cell = json.loads(file.read_text()), training(oracle, "oracle")
    wanted = ("generator=oracle", "generator.dose=0", "name=oracle", "features.seed=1")
    assert run(oracle, *wanted) == 0
    after = json.loads(file.read_text())
    assert after["quality"][0]["quality"]["fid"] != before["quality"][0]["quality"]["fid"]
    assert training(oracle, "oracle") == cell


def test_a_checkpoint_serves_without_its_training_card(oracle, data, tmp_path):
    made = stages(oracle, "generator=oracle", "generator.dose=0", data=data)
    shutil.copytree(made.generator, tmp_path / "mine")
    (tmp_path / "mine" / "card.json").unlink()
    paths = ("generator=oracle", "generator.dose=0", f"generator.checkpoint={tmp_path / 'mine'}")
    taken = stages(tmp_path, *paths, data=data)
    taken.check_generation()
    assert torch.equal(taken.samples.stack.tensor([0, 5]), made.samples.stack.tensor([0, 5]))
    assert taken.samples.card == {"source": "oracle"}
    assert taken.generator_settings["damage"] == load_generator(taken.generator).hparams["damage"]
    assert not (tmp_path / "store" / "generators").exists()
    (tmp_path / "mine" / "data.json").unlink()
    with pytest.raises(ConfigError, match="of a split that is not known"):
        stages(tmp_path, *paths, data=data).check_generation()


@pytest.mark.parametrize("change", ["data.train_size=8", "data.split_seed=5"])
def test_an_oracle_of_another_split_may_hold_test_images(oracle, data, capsys, change):
    made = stages(oracle, "generator=oracle", "generator.dose=0", data=data).generator
    wanted = ("generator=oracle", f"generator.checkpoint={made}", "name=other", change)
    assert run(oracle, *wanted) == 2
    assert "holds images that other data or another split withheld" in capsys.readouterr().err
    assert not (oracle / "runs" / "other").exists()


def test_a_command_makes_the_samples(tmp_path):
    script = tmp_path / "sample.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "import numpy as np\n"
        "from PIL import Image\n"
        "out, counts = pathlib.Path(sys.argv[1]), json.loads(open(sys.argv[2]).read())\n"
        "rng = np.random.default_rng(int(sys.argv[3]))\n"
        "for name, count in counts.items():\n"
        "    (out / name).mkdir()\n"
        "    for k in range(count):\n"
        "        pixels = rng.integers(0, 256, (32, 32), dtype=np.uint8)\n"
        "        Image.fromarray(pixels).save(out / name / f'{k}.png')\n"
    )
    command = f"generator.command=[{sys.executable},{script},'{{out}}','{{counts}}','{{seed}}']"
    assert run(tmp_path, "generator=command", command, "name=mine") == 0
    assert training(tmp_path, "mine")["train_synthetic"] == 20
    assert "excluded_memorised" not in training(tmp_path, "mine")
    notes = json.loads((tmp_path / "runs" / "mine" / "showcase" / "showcase.json").read_text())
    assert notes["quality"][0]["quality"]["lsd_high_db"] > 3  # noise is no chest
    assert not (tmp_path / "store" / "generators").exists()


def test_copies_of_training_images_are_left_out_of_the_cell_and_counted(root, data, tmp_path):
    rows = data.rows("train")
    copies = (data.stack.tensor(rows[:8]) * 255 - 1).clamp(0, 255) / 255  # no file, no pixel alike
    names = [CLASSES[k] for k in data.labels("train")[:8]]
    write_tree(tmp_path / "s", copies, [f"{n}/copy{k}.png" for k, n in enumerate(names)])
    fresh = textured_images(8, seed=4)
    write_tree(tmp_path / "s", fresh, [f"{CLASSES[k % 2]}/new{k}.png" for k in range(8)])
    wanted = ("samples=folder", f"samples.path={tmp_path / 's'}", "samples.exclude_memorised=true")
    assert run(root, *wanted, "name=copies") == 0
    found = stages(root, *wanted, data=data)
    flagged = found.drawn.manifest.table["image"][found.memorisation.flagged]
    assert {f"{n}/copy{k}.png" for k, n in enumerate(names)} <= set(flagged)
    kept = training(root, "copies")
    assert kept["excluded_memorised"] == len(flagged) >= 8
    assert kept["train_synthetic"] == 16 - len(flagged)
    results = pd.read_csv(root / "runs" / "copies" / "report" / "results.csv")
    assert results["training_excluded_memorised"].tolist() == [len(flagged)]
    assert "Left out as memorised" in (root / "runs/copies/report/table.md").read_text()
    assert np.isfinite(found.quality["fid"])
