"""Which values the keys of generators and samples take, by the command line."""

import pytest

from frerec.config import compose_config
from frerec.errors import ConfigError


@pytest.mark.parametrize(
    "override",
    [
        "generator.training.grid_every=null", "generator.training.grid_every=5",
        "generator.training.gradient_clip=null", "generator.training.gradient_clip=2",
        "quality.limit=null", "quality.limit=50", "features.image_size=null",
        "features.image_size=64", "generator.checkpoint=null", "generator.checkpoint=some/folder",
        "samples.bits=8", "samples.bits=16", "samples.bits=null",
    ],
)  # fmt: skip
def test_values_that_fit_are_taken(override):
    compose_config("generate", ["data.root=x", override])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["samples.bits=12"], "samples.bits=12: expected 8, 16 or null"),
        (["samples.bits=true"], "expected 8, 16 or null"),
        (["quality.limit=many"], "quality.limit=many: expected a whole number, or null"),
        (["generator.training.grid_every=0.5"], "expected a whole number, or null"),
        (["generator.training.gradient_clip=much"], "expected a number"),
        (["generator.training.steps=null"], "expected a value"),
        (["generator=ddpm", "generator.min_snr=x"], "expected a number, or null"),
        (["generator=fastgan", "generator.training.gradient_clip=x"], "expected a number, or null"),
        (["generator.checkpoint=[a]"], "expected text, or null"),
        (["features.image_size=big"], "expected a whole number, or null"),
        (["quality.seed=-1"], "quality.seed=-1: expected a whole number of at least 0"),
        (["generator.training.seed=-1"], "expected a whole number of at least 0"),
        (["data.split_seed=-2"], "expected a whole number of at least 0"),
        (["generator.checkpoint="], "generator.checkpoint is missing: give generator.checkpoint="),
        (["samples.path="], "samples.path is missing: give samples.path=..., or null"),
        (["samples=folder", "samples.path="], "samples.path is missing: give samples.path=..."),
        (["data.root="], "data.root is missing"),
        (["generator=command", "generator.command=[echo,{out}]"], 'as [echo,"{out}"]'),
        (["generator=command", "generator.command=echo"], "expected a list, as [a,b]"),
    ],
)
def test_others_are_named(overrides, words):
    with pytest.raises(ConfigError) as caught:
        compose_config("generate", ["data.root=x", *overrides])
    assert words in str(caught.value)


def test_nulls_replace_numbers_of_a_bigger_configuration():
    chosen = ["data.root=x", "generator=ddpm_base", "generator.min_snr=null"]
    assert compose_config("generate", chosen).generator.min_snr is None


def test_a_folder_may_be_called_by_a_number():
    config = compose_config("generate", ["data.root=x", "generator.checkpoint=7"])
    assert config.generator.checkpoint == "7"
