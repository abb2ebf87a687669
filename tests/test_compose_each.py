"""A grid's configurations are those that Hydra composes one by one, and nobody shares them."""

import shutil

import pytest
from omegaconf import OmegaConf

import frerec.config
from frerec.config import compose_config, compose_each, config_directory
from frerec.errors import ConfigError

KEPT = ("experiment=paper/cpu/cardiomegaly", "data.root=somewhere/far off", "classifier.steps=7")
EACH = (
    ("arm=gda", "seed=0", "data.train_size=100"),
    ("arm=gda", "seed=1", "data.train_size=null"),
    ("arm=ceiling", "seed=1"),
    ("data.train_size=5", "classifier=resnet50", "classifier.steps=9", "generator=oracle"),
    ("generator=oracle", "generator.dose=1", "arm=frerec", "calibrator.shr.neighbours=20"),
    ("++data.label_map={a: b, c: null}", "+data.label_map.d=e", "~published"),
    ("data.classes=[a,b]", "seed=2"),
    ("data.name=123",),  # a name of digits becomes text
    (),
)


def plain(config):
    return OmegaConf.to_container(config, resolve=False)


def test_each_is_what_hydra_composes_of_it_alone():
    found = [plain(config) for config in compose_each("benchmark", KEPT, EACH)]
    assert found == [plain(compose_config("benchmark", [*KEPT, *each])) for each in EACH]


def test_a_value_that_is_a_mapping_joins_the_defaults_and_not_the_one_before():
    each = (["generator.training={steps: 5}"], ["generator.training={batch_size: 3}"])
    first, second = (c.generator.training for c in compose_each("benchmark", [], each))
    default = compose_config("benchmark").generator.training
    assert (first.steps, first.batch_size) == (5, default.batch_size)
    assert (second.steps, second.batch_size) == (default.steps, 3)


@pytest.mark.parametrize(
    "wrong",
    ["sed=1", "seed=one", "arm=nothing", "classifier.steps=1.5", "data.root=", "seed", "arm=null",
     "grid.seed.x=1", "~nowhere", "+seed=2"],
)  # fmt: skip
def test_a_mistake_has_the_words_that_it_has_alone(wrong):
    with pytest.raises(ConfigError) as alone:
        compose_config("benchmark", [*KEPT, wrong])
    with pytest.raises(ConfigError) as among:
        list(compose_each("benchmark", KEPT, [["seed=0"], [wrong]]))
    assert str(among.value) == str(alone.value)


def test_to_change_a_configuration_changes_no_other():
    first, second = compose_each("benchmark", [], [["seed=0"], ["seed=0"]])
    first.classifier.steps = -1
    first.data = {}
    assert plain(second) == plain(compose_config("benchmark", ["seed=0"]))
    alone = compose_config("benchmark")
    alone.seed = 17
    assert compose_config("benchmark").seed != 17


def test_a_file_that_was_edited_is_read_anew(tmp_path, monkeypatch):
    tree = shutil.copytree(config_directory(), tmp_path / "configs")
    monkeypatch.setattr(frerec.config, "config_directory", lambda: tree)
    compose_config("benchmark", ["arm=gda"])
    (tree / "arm" / "gda.yaml").write_text((tree / "arm" / "raw.yaml").read_text())
    assert compose_config("benchmark", ["arm=gda"]).arm.name == "raw"
    (config,) = compose_each("benchmark", ["arm=gda"], [["seed=3"]])
    assert (config.arm.name, config.seed) == ("raw", 3)
