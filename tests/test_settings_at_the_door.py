"""Settings that would fail after hours are refused at once, by the names of their keys."""

import logging
import os
from pathlib import Path

import pytest

from frerec.benchmark.checkpoint import check_checkpoint
from frerec.benchmark.generator_checks import check_training_settings
from frerec.benchmark.plan import expand
from frerec.benchmark.stages import Stages
from frerec.config import compose_config, plain
from frerec.data.datamodules import ImageDataModule
from frerec.errors import ConfigError, DataError
from frerec.generators import ConditionalVAE
from frerec.generators.command import CommandGenerator
from frerec.samples import load_samples
from frerec.training_tools import check_machine, check_seeds, write_json

DATA = ("data=phantom_chest_xray", "data.count=60", "data.size=32")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "generator.training.steps=0: expected an integer of at least 1"),
        ({"batch_size": 0}, "generator.training.batch_size=0: "),
        ({"grid_every": 0}, "generator.training.grid_every=0: "),
        ({"precision": "8"}, "generator.training.precision=8: expected one of 32-true"),
        ({"seed": -1}, "generator.training.seed=-1: expected a whole number of at least 0"),
    ],
)
def test_a_generators_training_is_refused_by_its_whole_key(change, message) -> None:
    settings = plain(compose_config("generate", ["data.root=x"]).generator.training)
    check_training_settings(settings)
    with pytest.raises(ConfigError) as caught:
        check_training_settings(settings | change)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("seed", [-1, 0.5, True, None])
def test_seeds_are_whole_numbers(seed) -> None:
    check_seeds(**{"a.seed": 0})
    with pytest.raises(ConfigError, match=r"a.seed="):
        check_seeds(**{"a.seed": seed})


@pytest.mark.parametrize("key", ["quality.seed", "features.seed", "samples.seed"])
def test_a_seed_of_a_file_of_settings_is_refused_before_anything_is_made(key, tmp_path) -> None:
    config = compose_config("generate", [*DATA, f"paths.store={tmp_path}"])
    group, _, name = key.partition(".")
    config[group][name] = -1  # as a configuration of the user's own may have it
    with pytest.raises(ConfigError, match=f"^{key}=-1"):
        Stages(config).check_measures()


def test_unknown_places_to_run_are_refused() -> None:
    for name in ("auto", "cpu"):
        check_machine("32-true", name)
    for name in ("x", "tpu", "GPU"):
        with pytest.raises(ConfigError, match=f"trainer.accelerator={name}: expected one of auto"):
            check_machine("32-true", name)


def test_a_grid_may_be_given_as_a_whole_with_axes_of_its_own() -> None:
    base, cells = expand("benchmark", [*DATA, "grid={arm:[gda],seed:[0,1],samples.ratio:[0.5,2]}"])
    found = [(c.config.arm.name, c.config.seed, c.config.samples.ratio) for c in cells]
    assert found == [("gda", seed, ratio) for seed in (0, 1) for ratio in (0.5, 2)]
    assert list(base.grid) == ["classifier", "arm", "seed", "samples.ratio"]
    with pytest.raises(
        ConfigError, match=r"^samples.rato: no such key; did you mean samples.ratio"
    ):
        expand("benchmark", [*DATA, "grid={samples.rato:[1]}"])
    with pytest.raises(ConfigError, match=r"grid.samples.ratio: .* 'grid={samples.ratio:\[a,b\]}'"):
        expand("benchmark", [*DATA, "grid.samples.ratio=[1]"])


def test_a_checkpoint_of_another_split_is_warned_of_once(tmp_path, caplog) -> None:
    data: ImageDataModule = Stages(compose_config("generate", [*DATA])).data
    generator = ConditionalVAE(
        num_classes=2, channels=1, image_size=data.image_size, width=4, latent_dim=4
    )
    generator.save(tmp_path / "mine")
    write_json(tmp_path / "mine" / "data.json", {"fingerprint": "another"})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            check_checkpoint(tmp_path / "mine", data, ConditionalVAE)
    assert caplog.text.count("not trained on exactly this training split") == 1


def test_messages_about_a_commands_images_name_its_own_keys(tmp_path) -> None:
    out = tmp_path / "output"
    for name in ("well", "ill"):
        (out / "top" / name).mkdir(parents=True)
        (out / "top" / name / "0.png").write_bytes(b"listed, not read")
    classes = ("well", "ill")

    def message(samples: Path, **settings) -> str:
        command = CommandGenerator(command=["x", "{out}"], **settings)
        with pytest.raises((ConfigError, DataError)) as caught:
            command.load(samples, classes)
        assert "samples.path" not in str(caught.value)
        assert "samples.label" not in str(caught.value)
        return str(caught.value)

    assert message(out).endswith("give generator.output=top")
    (out / "runs").mkdir()
    (out / "top").rename(out / "runs" / "top")
    assert message(out / "runs", output="runs").endswith("give generator.output=runs/top")
    top = out / "runs" / "top"
    for label_map in ({"sick": "ill"}, {"ill": "sick"}):
        found = message(top, output="runs/top", label_map=label_map)
        assert found.startswith("generator.label_map: ")
    (top / "well").rename(top / "0")
    assert "generator.label_map={0: well}" in message(top, output="runs/top")
    missing = message(top, output="runs/top", labels="no.csv")
    assert missing.endswith("set generator.labels to a CSV file")


def test_a_name_that_is_not_utf8_is_named(tmp_path) -> None:
    (tmp_path / "well").mkdir()
    try:
        (tmp_path / "well" / os.fsdecode(b"\xff1.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(DataError) as caught:
        load_samples(tmp_path, classes=["well"])
    assert r"'well/\udcff1.png' is not UTF-8" in str(caught.value)
    str(caught.value).encode()  # can be printed and logged
