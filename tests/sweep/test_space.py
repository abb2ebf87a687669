"""The search space: Hydra's sweep grammar as Optuna's distributions, and what is refused."""

from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from frerec.config import compose_config, config_directory
from frerec.errors import ConfigError
from frerec.sweep.samplers import grid_size
from frerec.sweep.space import Parameter, parse_space, split_overrides


def parameter(text: str, key: str = "a.b") -> Parameter:
    (found,) = parse_space({key: text})
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("choice(paper,focal)", CategoricalDistribution(["paper", "focal"])),
        ("1,2", CategoricalDistribution([1, 2])),
        ("choice([1,2],true)", CategoricalDistribution(["[1,2]", True])),
        ("range(1,10,step=3)", IntDistribution(1, 7, step=3)),
        ("range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("interval(0.1,0.9)", FloatDistribution(0.1, 0.9)),
        ("tag(log,interval(1e-5,1e-2))", FloatDistribution(1e-5, 1e-2, log=True)),
        ("tag(int,interval(1,20))", IntDistribution(1, 20)),
        ("int(interval(1,20))", IntDistribution(1, 20)),
        ("tag(int,log,interval(1,200))", IntDistribution(1, 200, log=True)),
    ],
)
def test_the_grammar_becomes_the_distribution_of_the_same_values(
    text: str, expected: object
) -> None:
    assert parameter(text).distribution == expected


def test_a_range_has_hydras_own_values_and_a_glob_the_options_of_its_group() -> None:
    assert parameter("range(0.1,0.5,0.1)").values == (0.1, 0.2, 0.3, 0.4)
    assert parameter("range(5)").values == (0, 1, 2, 3, 4)
    options = parameter("glob(resnet1*)", key="classifier").values
    assert options == ("resnet10t", "resnet18")


@given(
    low=st.integers(-50, 50), count=st.integers(1, 60), tail=st.integers(1, 7),
    step=st.integers(1, 7), digits=st.integers(0, 9),
)  # fmt: skip
def test_a_range_of_decimals_leaves_its_stop_out(
    low: int, count: int, tail: int, step: int, digits: int
) -> None:
    stop = low + (count - 1) * step + min(tail, step)  # in units of the last digit
    written = [f"{Decimal(one).scaleb(-digits):f}" for one in (low, stop, step)]
    expected = tuple(float(Decimal(one).scaleb(-digits)) for one in range(low, stop, step))
    text = f"range({written[0]},{written[1]},step={written[2]})"
    assert parameter(text).values == expected
    found = parameter(text)
    assert found.ends() == [expected[0], expected[-1]]
    for value in expected:
        assert found.value_of(found.override(value).partition("=")[2]) == value


def test_a_range_may_be_longer_than_a_list_but_not_in_a_grid() -> None:
    long = parameter("range(1,1e9)")
    assert long.ends() == [1.0, 999999999.0]
    assert long.values == ()
    assert long.override(77.0) == "a.b=77.0"
    with pytest.raises(ConfigError, match="more than 10000"):
        grid_size([long])
    assert grid_size([parameter("range(10000)")]) == 10000


def test_an_override_gives_back_the_value_even_one_with_a_space() -> None:
    found = parameter("choice('x y',3,0.5)", key="classifier.name")
    for value, expected in (("x y", "x y"), (3, "3"), (0.5, "0.5")):
        assert str(compose_config("benchmark", [found.override(value)]).classifier.name) == expected


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("a", "0.5", "expected choice"),
        ("a", 0.5, "in quotes"),
        ("a", "interval(1,1)", "low below high"),
        ("a", "tag(log,interval(0,1))", "begins above 0"),
        ("a", "tag(int,interval(0.5,3))", "whole numbers"),
        ("a", "tag(lgo,interval(1,2))", "tag lgo"),
        ("a", "choice(1,1)", "stands twice"),
        ("a", "choice(1,1.0)", "stands twice"),
        ("a", "true,1", "stands twice"),
        ("a", "choice(null,20)", "choice() takes no null; write null,20"),
        ("a", "interval(null,2)", "NoneType is incompatible"),
        ("a", "range(1,5,step=0)", "a step other than 0"),
        ("a", "range(0.1,inf)", "finite numbers"),
        ("report.dpi", "1,2", "the same in all trials"),
        ("a", "range(3,3)", "no value"),
        ("a", "choice(1", "choice(1"),
        ("a", "glob(*)", "config groups"),
        ("seed", "0,1", "averages over seeds"),
        ("paths.runs", "a,b", "the same in all trials"),
    ],
)
def test_what_is_no_space_is_refused_by_its_key(key: str, text: object, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_space({key: text})
    assert expected in str(caught.value)
    assert key in str(caught.value)


def test_an_override_adds_to_the_space_or_takes_out_of_it() -> None:
    given = ["arm=frerec", "classifier.lr=tag(log,interval(1e-4,1e-2))", "a=4"]
    kept, space, own = split_overrides(given, {"a": "1,2", "b": "3,4"}, trial=False)
    assert kept == ["arm=frerec", "a=4"]
    assert space == {"b": "3,4", "classifier.lr": "tag(log,interval(1e-4,1e-2))"}
    assert own == {}
    kept, space, own = split_overrides(["a=1"], {"a": "1,2"}, trial=True)
    assert (kept, space, own) == ([], {"a": "1,2"}, {"a": "1"})


def test_a_given_value_lies_in_the_space_or_is_refused() -> None:
    whole = parameter("tag(int,log,interval(5,200))")
    assert whole.value_of("40") == 40
    assert type(whole.value_of("40.0")) is int  # W&B's q_log_uniform_values gives floats
    assert parameter("interval(0.1,0.9)").value_of("0.9") == 0.9
    assert parameter("choice(paper,focal)").value_of("focal") == "focal"
    for text, wrong in (
        ("interval(0.1,0.9)", "0.95"),
        ("tag(int,interval(1,9))", "2.5"),
        ("choice(a,b)", "c"),
        ("range(1,9,2)", "2"),
        ("interval(0,1)", "true"),
    ):
        with pytest.raises(ConfigError, match="not in the space"):
            parameter(text).value_of(wrong)


def sweeps() -> list[str]:
    return sorted(path.stem for path in (config_directory() / "sweep").glob("*.yaml"))


@pytest.mark.parametrize("name", sweeps())
def test_every_shipped_space_is_one_and_has_keys_that_exist(name: str) -> None:
    config = compose_config("sweep", [f"sweep={name}"])
    space = parse_space(dict(config.space))
    for end in (0, -1):
        compose_config("benchmark", [one.override(one.ends()[end]) for one in space])


def test_the_search_of_wandb_is_over_the_same_space() -> None:
    file = config_directory() / "wandb_sweeps" / "shr.yaml"
    theirs = yaml.safe_load(file.read_text(encoding="utf-8"))
    ours = parse_space(dict(compose_config("sweep", ["sweep=shr"]).space))
    assert set(theirs["parameters"]) == {one.key for one in ours}
    for one in ours:
        given, d = theirs["parameters"][one.key], one.distribution
        assert isinstance(d, FloatDistribution | IntDistribution)
        assert (given["min"], given["max"]) == (d.low, d.high)
        assert ("log" in given.get("distribution", "")) == d.log
    assert theirs["metric"] == {"name": "val/auc", "goal": "maximize"}
    assert theirs["command"][:4] == ["frerec", "sweep", "sweep=shr", "trial=true"]
