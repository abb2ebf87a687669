"""Names and numbers of samples become the real data's classes, or an error that can be pasted."""

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from frerec.config import config_directory, plain
from frerec.errors import ConfigError, DataError
from frerec.samples.label_map import map_labels
from frerec.value_types import check_types

HEART = ("no_cardiomegaly", "cardiomegaly")


def mapped(labels, label_map=None, classes=HEART):
    return map_labels(labels, label_map or {}, classes, "set")


@pytest.mark.parametrize(
    ("labels", "classes", "example"),
    [
        (["1", "0"], HEART, "{0: no_cardiomegaly, 1: cardiomegaly}"),
        (["2", "1"], HEART, "{1: no_cardiomegaly, 2: cardiomegaly}"),  # they count from 1
        (["Cardiomegaly", "no_cardiomegaly"], HEART, "{Cardiomegaly: cardiomegaly}"),
        (["No Cardiomegaly", "1"], HEART, "{1: cardiomegaly, No\\ Cardiomegaly: no_cardiomegaly}"),
        (["no_cardiomegaly", "sick"], HEART, "{sick: cardiomegaly}"),
        (["7"], HEART, "{7: no_cardiomegaly}"),
    ],
)
def test_an_unknown_label_is_told_with_what_to_pass(labels, classes, example):
    with pytest.raises(DataError) as caught:
        mapped(labels, classes=classes)
    assert f"samples.label_map={example}, with null" in str(caught.value)


NAMES = st.from_regex(r"0|[1-9][0-9]?|[a-c]([a-c0-9 _.,:(-]{0,4}[a-c0-9)])?", fullmatch=True)


@given(st.lists(NAMES, min_size=1, max_size=8))
def test_what_is_told_to_pass_is_accepted_by_the_command_line_and_solves_it(labels):
    with pytest.raises(DataError) as caught:
        mapped(labels)
    found = re.search(r"samples\.label_map=(\{.*\}), with null", str(caught.value))
    assert found
    override = OverridesParser.create().parse_override(f"samples.label_map={found.group(1)}")
    result = mapped(labels, override.value())
    assert set(result) <= set(HEART)


def test_what_is_mapped_already_stays_in_what_is_told():
    with pytest.raises(DataError, match=r"\{junk: null, 1: no_cardiomegaly, 2: cardiomegaly\}"):
        mapped(["1", "junk", "2"], {"junk": None})


@pytest.mark.parametrize("label_map", [{0: HEART[0], 1: HEART[1]}, {"0": HEART[0], "1": HEART[1]}])
def test_keys_may_be_numbers_or_text(label_map):
    assert mapped(["1", "0"], label_map) == ["cardiomegaly", "no_cardiomegaly"]


def test_numbers_that_are_names_of_real_classes_need_no_map():
    assert mapped(["0", "4", "2"], classes=("0", "1", "2", "3", "4")) == ["0", "4", "2"]
    assert mapped(["0", "4"], {0: 4, "4": 0}, classes=("0", "4")) == ["4", "0"]


def test_true_and_false_are_names_too():
    assert mapped(["true", "false"], {True: HEART[1], False: HEART[0]}) == [HEART[1], HEART[0]]


def test_null_leaves_out():
    assert mapped(["0", "1"], {0: None, 1: HEART[1]}) == [None, HEART[1]]


@pytest.mark.parametrize(
    ("label_map", "words"),
    [
        ({0: "heart"}, "maps 0 to heart, which is none of the real classes no_cardiomegaly, card"),
        ({5: "cardiomegaly"}, "5 is no class of the samples in set, which has 0, 1, 10"),
    ],
)
def test_a_map_that_leads_nowhere_is_refused(label_map, words):
    with pytest.raises(ConfigError) as caught:
        mapped(["0", "1", "10"], label_map)
    assert words in str(caught.value)


def test_many_unknown_labels_stay_one_line():
    with pytest.raises(DataError) as caught:
        mapped([str(k) for k in range(1000)])
    assert len(str(caught.value)) < 600
    assert "..." in str(caught.value)


def checked(option, **values):
    """Settings of `samples=OPTION` with some values, checked as the command line's are."""
    path = config_directory() / "samples" / f"{option}.yaml"
    defaults, config = (OmegaConf.create({"samples": OmegaConf.load(path)}) for _ in range(2))
    for key, value in values.items():
        OmegaConf.update(config, f"samples.{key}", value, force_add=True)
    check_types(config, defaults, [f"samples.{key}" for key in values])
    return config.samples


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("folder", {"label_map": {0: "a", 1: None}, "ratio": 0.5, "seed": 3}),
        ("folder", {"ratio": 2, "exclude_memorised": True}),
        ("folder", {"ratio": None, "label_map": None}),
        ("generated", {"counts": {"normal": 3, "large": 0}, "ratio": 2}),
        ("generated", {"counts": None}),
    ],
)
def test_settings_of_samples_take_what_they_say(option, values):
    settings = plain(checked(option, **values))
    assert {key: settings[key] for key in values} == values


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("folder", {"ratio": "all"}),
        ("folder", {"ratio": True}),
        ("folder", {"seed": "x"}),
        ("folder", {"exclude_memorised": 2}),
        ("folder", {"label_map": "abc"}),
        ("generated", {"ratio": None}),
        ("generated", {"counts": 5}),
        ("generated", {"counts": {"a": 1.5}}),
        ("generated", {"counts": {"a": -1}}),
        ("generated", {"counts": {"a": True}}),
    ],
)
def test_settings_of_another_kind_are_refused(option, values):
    with pytest.raises(ConfigError, match=rf"samples\.{next(iter(values))}=.*expected"):
        checked(option, **values)
